/*
 * The page inside of another one: ?embed=1, with parts hidden by ?hide=, and its height told to the page around it.
 *
 * What is hidden follows from attributes of the document's element, in share.css.
 */

export const PARTS = ["head", "examples", "prompt", "settings", "tabs", "neighbours", "runs"];
const ALWAYS = ["head", "examples"];

/**
 * What a query asks for; names that are not those of parts are let go.
 * @param {string} search
 * @returns {string[] | null} the parts to hide; null for a page that is not embedded
 */
export function hiddenParts(search) {
  const params = new URLSearchParams(search);
  if (params.get("embed") !== "1") return null;
  const wanted = (params.get("hide") ?? "").split(",").map((name) => name.trim());
  return PARTS.filter((name) => ALWAYS.includes(name) || wanted.includes(name));
}

/** Tell the page around this one how high it is, now and whenever that changes. */
function tellHeight() {
  let told = 0;
  const tell = () => {
    const content = document.querySelector(".gradio-container");
    const height = content ? Math.ceil(content.getBoundingClientRect().height) : 0;
    if (!height || height === told) return;
    told = height;
    window.parent.postMessage({ type: "loupe:height", height }, "*");  // a number, which is no secret
  };
  const sizes = new ResizeObserver(tell);
  sizes.observe(document.documentElement);
  const parts = new MutationObserver(() => {
    const content = document.querySelector(".gradio-container");
    if (!content) return;
    parts.disconnect();
    sizes.observe(content);
  });
  parts.observe(document.documentElement, { childList: true, subtree: true });
}

/** Make the page an embedded one, if its address asks for it. */
export function embed() {
  const hidden = hiddenParts(location.search);
  if (!hidden) return;
  Object.assign(document.documentElement.dataset, { embed: "1", hide: hidden.join(" ") });
  if (window.parent !== window) tellHeight();
}
