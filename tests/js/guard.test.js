import assert from "node:assert/strict";
import { test } from "node:test";

import { guarded } from "../../app/connection/guard.js";

const ROOT = "http://there/demo/gradio_api", STREAM = `${ROOT}/queue/data?session_hash=one`;
const encoder = new TextEncoder();

/** A line that is mended at once, and what it was told. */
function lineOf() {
  const told = [];
  return { told, cut: () => told.push("cut"), unreached: () => told.push("unreached"), mend: async (again = false) => { told.push(again ? "mend again" : "mend"); } };
}

/** An answer in parts; then it ends, breaks, or says nothing more. */
function answerOf(parts, then = "end") {
  let next = 0;
  const body = new ReadableStream({
    pull(controller) {
      if (next < parts.length) return controller.enqueue(encoder.encode(parts[next++]));
      if (then === "end") return controller.close();
      if (then === "break") return controller.error(new TypeError("network error"));
      return new Promise(() => {});
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
}

const messages = (text) => text.split("\n\n").filter(Boolean).map((part) => JSON.parse(part.replace("data: ", "")).msg);
const EVENT = 'data: {"msg":"process_generating"}\n\n';

test("what is not for an event goes through as it is", async () => {
  const asked = [];
  const fetch = guarded(async (...all) => { asked.push(all); return "answer"; }, lineOf());
  assert.equal(await fetch(`${ROOT}/file=x`, { method: "GET" }), "answer");
  assert.deepEqual(asked, [[`${ROOT}/file=x`, { method: "GET" }]]);
});

test("a stream that breaks ends in events that failed, and in a stream that is closed", async () => {
  const line = lineOf(), fetch = guarded(async () => answerOf([EVENT], "break"), line);
  const text = await (await fetch(STREAM)).text();
  assert.deepEqual(messages(text), ["process_generating", "unexpected_error", "close_stream"]);
  assert.equal(JSON.parse(text.split("\n\n")[1].replace("data: ", "")).session_not_found, false);
  assert.deepEqual(line.told, ["cut", "mend again"]);
});

for (const [what, answer] of [
  ["that is cut off without a word", async () => answerOf([EVENT])],
  ["that cannot be opened", async () => { throw new TypeError("no route"); }],
  ["that something before the server answers", async () => new Response("<h1>Bad gateway</h1>", { status: 502 })],
]) {
  test(`so does one ${what}`, async () => {
    const text = await (await guarded(answer, lineOf())(STREAM)).text();
    assert.deepEqual(messages(text).slice(-2), ["unexpected_error", "close_stream"]);
  });
}

test("so does one that is silent for too long", async () => {
  const fetch = guarded(async () => answerOf([EVENT], "silence"), lineOf(), { silentMs: 20 });
  assert.deepEqual(messages(await (await fetch(STREAM)).text()), ["process_generating", "unexpected_error", "close_stream"]);
});

test("nothing is told of a stream before the server answers again", async () => {
  let mended = () => {};
  const line = { ...lineOf(), mend: () => new Promise((resolve) => { mended = () => resolve(undefined); }) };
  const reader = (await guarded(async () => answerOf([], "break"), line)(STREAM)).body.getReader();
  const first = reader.read();
  assert.equal(await Promise.race([first, new Promise((resolve) => { setTimeout(resolve, 30, "waits"); })]), "waits");
  mended();
  assert.equal((await first).done, false);
});

test("a stream that Gradio lets go of when the server says so is no cut", async () => {
  const line = lineOf(), over = new AbortController();
  const answer = await guarded(async () => answerOf(['data: {"msg":"close_stream"}\n\n']), line)(STREAM, { signal: over.signal });
  const reader = answer.body.getReader();
  await reader.read();
  over.abort();
  assert.equal((await reader.read()).done, true);
  assert.deepEqual(line.told, []);
});

test("an event that does not come through is an error of the event", async () => {
  const line = lineOf(), fetch = guarded(async () => { throw new TypeError("Failed to fetch"); }, line);
  for (const place of ["queue/join", "run/predict"]) {
    const answer = await fetch(`${ROOT}/${place}`, { method: "POST", body: "{}" });
    assert.equal(answer.status, 500);
    const { detail, error } = await answer.json();
    assert.equal(detail, error);
    assert.match(detail, /cannot be reached/);
    assert.notEqual(detail, "Connection errored out. ");  // for which Gradio gives the page up
  }
  assert.deepEqual(line.told, ["unreached", "unreached"]);
});

test("what the server itself refuses is handed on; what is not its answer becomes words", async () => {
  const answers = [new Response('{"detail":"Queue is full"}', { status: 503, headers: { "Content-Type": "application/json" } }), new Response("<h1>502</h1>", { status: 502 })];
  const fetch = guarded(async () => answers.shift(), lineOf());
  assert.equal((await fetch(`${ROOT}/queue/join`, { method: "POST", body: "{}" })).status, 503);
  assert.match((await (await fetch(`${ROOT}/queue/join`, { method: "POST", body: "{}" })).json()).detail, /502/);
});

test("an event that is given up stays given up", async () => {
  const over = new AbortController(), line = lineOf();
  const fetch = guarded(async ({ signal }) => { over.abort(); throw signal.reason; }, line);
  await assert.rejects(fetch(`${ROOT}/queue/join`, { method: "POST", body: "{}", signal: over.signal }));
  assert.deepEqual(line.told, []);
});

const SAID = (msg, id) => `data: ${JSON.stringify({ msg, event_id: id })}\n\n`;

test("a stream goes on while something that was asked for has not ended, and is closed then", async () => {
  const answers = [[SAID("process_completed", "a"), SAID("close_stream")], [SAID("process_completed", "b"), SAID("close_stream")]];
  let opened = 0;
  const fetch = guarded(async (input) => (String(input.url ?? input).includes("queue/join")
    ? new Response('{"event_id": "b"}', { headers: { "Content-Type": "application/json" } }) : answerOf(answers[opened++])), lineOf());
  await fetch(`${ROOT}/queue/join`, { method: "POST", body: "{}" });
  const control = new AbortController(), reading = fetch(STREAM, { signal: control.signal });
  const text = await (await reading).text();
  assert.deepEqual(messages(text).slice(0, 3), ["process_completed", "process_completed", "close_stream"]);
  assert.equal(opened, 2);
});

test("it does not go on for what has ended before its answer came, nor twice for what never ends", async () => {
  let opened = 0;
  const fetch = guarded(async (input) => {
    if (!String(input.url ?? input).includes("queue/join")) return answerOf([SAID("process_completed", `e${opened++}`), SAID("close_stream")]);
    return new Response('{"event_id": "e0"}', { headers: { "Content-Type": "application/json" } });
  }, lineOf());
  await (await fetch(STREAM)).text();
  await fetch(`${ROOT}/queue/join`, { method: "POST", body: "{}" });
  await (await fetch(STREAM)).text();
  assert.equal(opened, 2);
});
