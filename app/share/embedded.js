/* Runs as soon as it is here, before the page is laid out. */

import { embed } from "./embed.js";

embed();
