/* Saves files on the visitor's disk. */

/** Returns what saves a file. */
export function mount() {
  return (value) => {
    const file = value?.file;
    if (!file) return;
    const anchor = document.createElement("a");
    anchor.href = file.url;
    anchor.download = file.orig_name || file.path.split("/").pop();
    anchor.click();
  };
}
