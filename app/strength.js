/* Strengths in the browser: what the settings become, and which strength they are of, without asking the server. */

/**
 * @typedef {Object} Table
 * @property {string[]} fields names of the settings that a strength is made of, in the order of their widgets
 * @property {Object<string, {meaning: string, settings: Object<string, unknown>}>} strengths by name
 * @property {Object<string, string[]>} refused the settings that a database refuses, by its name
 * @property {string} custom what is said of settings that are of no strength
 */

/** What a strength says of a setting over a database: what that refuses is off. */
const wanted = (table, { settings }, database, name) => (table.refused[database]?.includes(name) ? 0 : settings[name]);

/**
 * The settings with a strength; those that it does not say stay as they are.
 * @param {Table} table
 * @param {...unknown} now the settings as they are
 */
export function withStrength(table, name, database, ...now) {
  const strength = table.strengths[name];
  return table.fields.map((field, i) => (strength && field in strength.settings ? wanted(table, strength, database, field) : now[i]));
}

/**
 * What the picker shows: the name of the strength that settings are of, null for none, and what it does.
 * @param {Table} table
 * @param {...unknown} now
 */
export function strengthOf(table, database, ...now) {
  const found = Object.entries(table.strengths).find(([, strength]) => table.fields.every((field, i) => (
    !(field in strength.settings) || wanted(table, strength, database, field) === now[i])));
  return { __type__: "update", value: found?.[0] ?? null, info: found?.[1].meaning ?? table.custom };
}
