/* Saves files on the visitor's disk, and tells the page: "loupe:saved" with {name, problem}. */

import { tellSaved } from "./asking.js";

/** Returns what saves a file. */
export function mount() {
  return (value) => {
    if (!value) return;
    const { file, problem } = value, name = file ? file.orig_name || file.path.split("/").pop() : "";
    if (file) {
      const anchor = document.createElement("a");
      Object.assign(anchor, { href: file.url, download: name });
      anchor.click();
    }
    tellSaved(name, problem);
  };
}
