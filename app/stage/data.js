/* The recordings that the stage shows. */

/** A picture of a file as a bitmap. */
const bitmapOf = async (text) => (text ? createImageBitmap(await (await fetch(`data:image/webp;base64,${text}`)).blob()) : null);

/**
 * Fetch the recordings, with their pictures decoded.
 * @param {URL} address
 * @returns {Promise<object>} as `app.stage.recording` writes it; pictures, sheets and sources as bitmaps
 */
export async function loadExample(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`the example answered ${answer.status}`);
  const example = await answer.json();
  const sources = await Promise.all(example.sources.map(async (source) => ({ ...source, picture: await bitmapOf(source.picture) })));
  const runs = await Promise.all(example.runs.map(async (run) => ({ ...run, picture: await bitmapOf(run.picture), sheet: await bitmapOf(run.sheet) })));
  return { ...example, sources, runs };
}

/** Positions that look-ups changed, in order. */
export const changesOf = (run) => Object.keys(run.tiles).map(Number).sort((a, b) => a - b);
