/* What the page's own controls are, in a sentence with their unit. Those of a tab are in its declaration. */

/** By selector. */
export const TIPS = {
  "#settings": "Basic: model, database and strength. All: every setting, in the words of the paper.",
  "#strength": "How much of a say look-ups have",
  "#reset": "Model, database, seed and settings as the page had them at first",
  "#method": "Model only: no look-ups. DAiD mixes distributions, FAiD blends features inside the model, or both.",
  "#dice": "Another seed, at random",
  "#generate": "Draw the picture (Enter in the prompt does the same)",
  "#stop": "Pause the drawing: step through what is there, then go on or change it",
  "#pace": "Slowly: each look-up is shown for a moment before the next patch. Patch by patch: press One patch for each.",
  ".chip": "Draw this, with the settings as they are",
  ".tile": "Take this prompt and these settings, and draw",
  "#onward-patch": "Draw the next patch, and pause again",
  "#onward-row": "Draw to the end of the row, and pause again",
  "#onward-end": "Draw the rest of the picture",
  "[aria-label='More tabs']": "The tabs that do not fit here",
  "#tour-start": "A few stops through a recorded run",
};
