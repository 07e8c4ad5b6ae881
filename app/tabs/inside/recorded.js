/* What a trace that was kept with the inside of its model says of a position: the answers of a page without a server. */

/** Where the weights of a position begin among those of one layer: T + q of each position q before it. */
export const beginAt = (position, words) => position * words + (position * (position - 1)) / 2;

/** The weights of a position in one layer, or, for null, the mean of all: those of the words and of the patches before. */
export function weightsAt({ inside, arrays, steps }, position, layer) {
  const count = inside.words.length + position, all = beginAt(steps, inside.words.length);
  const layers = layer === null ? Array.from({ length: Math.max(1, inside.layers) }, (_, i) => i) : [layer];
  const mean = new Array(count).fill(0);
  for (const which of layers) {
    const begin = which * all + beginAt(position, inside.words.length);
    for (let i = 0; i < count; i++) mean[i] += arrays.inside_look[begin + i] / inside.unit / layers.length;
  }
  return mean;
}

/** The answer of `inside.answer` in app/inside.py, from the trace itself; heads are not in it. */
export function recordedAt(trace, { run, step, layer }) {
  const { inside, arrays, steps } = trace, words = inside.words.length, weights = weightsAt(trace, step, layer);
  const stages = inside.stages.map(([number, place], stage) => {
    const at = stage * steps + step, listed = [at * inside.likeliest, (at + 1) * inside.likeliest];
    return {
      layer: number, place, codes: [...arrays.inside_code.slice(...listed)], chances: [...arrays.inside_chance.slice(...listed)],
      taken: arrays.inside_taken[at],
    };
  });
  return {
    run, step, code: arrays.code[step], layers: inside.layers, heads: 0, note: inside.note, recorded: true, stages,
    words: inside.words.map((word, i) => [word, weights[i]]), cells: weights.slice(words),
  };
}
