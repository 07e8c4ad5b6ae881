/*
 * What stands between Gradio's client and the network.
 *
 * Gradio gives a page up when a stream of events breaks, or when a request does not come through: from then on it answers to
 * no click, and it loads itself anew when the server is back, with all that was typed and shown. It goes on, though, after an
 * event that failed. So what broke is handed on to it as events that failed; the page says why, and offers to try again.
 */

const STREAM = /\/queue\/data\/?$/, ASKED = /\/(queue\/join|run\/[^/]+)\/?$/;
const SILENT_MS = 45_000; // three times what Gradio's server lets pass between two signs of life
const PATIENT_MS = 15_000;
const ORDERLY_MS = 200;
const ENDED_KEPT = 100;
const UNREACHED = "The server cannot be reached.";
const LOST = [{ msg: "unexpected_error", message: "The connection was cut.", success: false, session_not_found: false }, { msg: "close_stream" }];

const inEvents = (messages) => new TextEncoder().encode(messages.map((message) => `data: ${JSON.stringify(message)}\n\n`).join(""));
const moment = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** An answer that Gradio takes for an error of the event, in its two ways of reading one. */
function refusal(message) {
  return new Response(JSON.stringify({ detail: message, error: message }), { status: 500, headers: { "Content-Type": "application/json" } });
}

/** What a reader has next; rejects when nothing comes for too long. */
async function nextOf(reader, silentMs) {
  let timer = 0;
  const silence = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("silence")), silentMs); });
  try {
    return await Promise.race([reader.read(), silence]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What was asked for and has not ended. The server closes a stream when nothing is left to come, and an event that is asked
 * for at that moment would wait for a stream that Gradio's client believes is there.
 */
class Asking {
  constructor() {
    this.open = new Set();
    this.ended = [];
  }

  began(id) {
    if (id && !this.ended.includes(id)) this.open.add(id);
  }

  end(id) {
    this.open.delete(id);
    this.ended = [...this.ended.slice(-ENDED_KEPT), id];
  }

  /** Whether a stream that is about to be closed is to go on; for each event once, should it never end. */
  hold() {
    const held = this.open.size > 0;
    this.open.clear();
    return held;
  }
}

/** One message of a stream as an object; an empty one for what is none. */
function messageOf(part) {
  try {
    return JSON.parse(part.replace(/^data: ?/, ""));
  } catch {
    return {};
  }
}

/** Hand on what one answer has; whether the stream is to go on in another one. */
async function passOn(reader, push, silentMs, asking) {
  const decoder = new TextDecoder();
  let text = "", held = false;
  try {
    for (;;) {
      const { done, value } = await nextOf(reader, silentMs);
      if (done) break;
      const parts = (text + decoder.decode(value, { stream: true })).split("\n\n");
      text = parts.pop() ?? "";
      for (const part of parts) {
        const { msg, event_id: id } = messageOf(part);
        if (msg === "process_completed") asking.end(id);
        if (msg === "close_stream" && asking.hold()) held = true;
        else push(`${part}\n\n`);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
  if (text) push(text);
  return held;
}

/** Hand on a stream of events to its end; whether that was an orderly one: Gradio lets go of it when the server says so. */
async function handOn(fetch, request, push, silentMs, asking) {
  for (let more = true; more;) {
    const answer = await fetch(request);
    if (!answer.ok) return false;
    more = await passOn(answer.body.getReader(), push, silentMs, asking);
  }
  await moment(ORDERLY_MS);
  return request.signal.aborted;
}

/**
 * The stream of events; where it breaks, what waited for it has failed, once the server answers again.
 * @returns {Response}
 */
function streamed(fetch, request, line, silentMs, asking) {
  const body = new ReadableStream({
    async start(controller) {
      const push = (text) => controller.enqueue(new TextEncoder().encode(text));
      const whole = await handOn(fetch, request, push, silentMs, asking).catch(() => false);
      if (!whole && !request.signal.aborted) {
        asking.hold();
        line.cut();
        await line.mend(true);
        if (!request.signal.aborted) controller.enqueue(inEvents(LOST));
      }
      try { controller.close(); } catch { /* nobody reads it any more */ }
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
}

/** A request for an event; what does not come through, or comes from something before the server, is an error of the event. */
async function asked(fetch, request, line, patientMs, asking) {
  const waiting = setTimeout(() => line.mend(), patientMs); // which says so if nothing answers
  try {
    const answer = await fetch(request);
    if (answer.ok) asking.began((await answer.clone().json().catch(() => ({}))).event_id);
    if (answer.status < 500 || answer.headers.get("Content-Type")?.includes("json")) return answer;
    line.unreached();
    return refusal(`The server did not take it (${answer.status}).`);
  } catch (error) {
    if (request.signal.aborted) throw error;
    line.unreached();
    return refusal(UNREACHED);
  } finally {
    clearTimeout(waiting);
  }
}

/**
 * A fetch for Gradio's client.
 * @param {typeof fetch} fetch the browser's
 * @param {{cut: () => void, unreached: () => void, mend: (again?: boolean) => Promise<void>}} line is told what broke, and waits
 *   until the server answers
 * @param {{silentMs?: number, patientMs?: number}} [limits]
 * @returns {typeof fetch}
 */
export function guarded(fetch, line, { silentMs = SILENT_MS, patientMs = PATIENT_MS } = {}) {
  const asking = new Asking();
  return async (input, init) => {
    const { pathname } = new URL(input instanceof Request ? input.url : String(input), globalThis.location?.href);
    if (STREAM.test(pathname)) return streamed(fetch, new Request(input, init), line, silentMs, asking);
    if (ASKED.test(pathname)) return asked(fetch, new Request(input, init), line, patientMs, asking);
    return fetch(input, init);
  };
}
