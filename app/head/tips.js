/* What the page's own controls are, in a sentence with their unit. Those of a tab are in its declaration. */

/** By selector. */
export const TIPS = {
  "#prompt": "What to draw: 1 to 300 characters. A style (3d, noto, twemoji, flat) and a colour in it are heeded.",
  "#method": "Model only: no retrieval. DAiD mixes distributions, FAiD blends features inside the model, or both.",
  "#seed": "Starts the random numbers, 0 to 4294967295. Runs that share it draw with the same luck.",
  "#dice": "Another seed, at random",
  "#generate": "Draw the picture, about a second (Enter in the prompt does the same)",
  "#stop": "End the drawing; what is drawn so far can be stepped through",
  ".chip": "Take this prompt",
  ".tile": "Take this prompt and these settings, and draw",
  "#onward-patch": "Draw the next patch, and pause again",
  "#onward-row": "Draw to the end of the row, and pause again",
  "#onward-end": "Draw the rest of the picture",
  "[aria-label='More tabs']": "The tabs that do not fit here",
  "#tour-start": "A few stops over a recorded run",
};
