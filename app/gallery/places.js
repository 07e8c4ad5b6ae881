/* What the address of the gallery names: a run and a position, runs beside each other, a table of runs, or all of them. */

const KINDS = ["run", "compare", "sweep"];

/**
 * What a hash asks for.
 * @param {string} hash
 * @returns {{kind: string, name: string, step: number}} kind "home" for all that is nothing else; step: -1 for none
 */
export function placeOf(hash) {
  const asked = new URLSearchParams(hash.replace(/^#/, ""));
  const kind = KINDS.find((one) => asked.get(one));
  if (!kind) return { kind: "home", name: hash.replace(/^#/, ""), step: -1 };
  const said = asked.get("step") ?? "";
  return { kind, name: asked.get(kind), step: /^\d{1,6}$/.test(said) ? Number(said) : -1 };
}

/** The hash of a place. */
export function hashOf(kind, name, step = -1) {
  return `#${kind}=${encodeURIComponent(name)}${step >= 0 ? `&step=${step}` : ""}`;
}
