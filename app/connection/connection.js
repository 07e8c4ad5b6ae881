/* Runs before Gradio asks for the first event: the page's connection to the server. */

import { find } from "../client/page.js";
import { guarded } from "./guard.js";
import { Line } from "./line.js";

const native = globalThis.fetch.bind(globalThis);
const here = new URL("../../here", find("script[src*='connection/connection.js']").src);  // beside the versions of the scripts
const line = new Line(native, here.href);

globalThis.fetch = guarded(native, line);  // the one way into Gradio's client, which has no other for this
line.prepare();
line.keep();
