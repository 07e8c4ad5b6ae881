/* What every control and number is, in a sentence with its unit: shown as a tooltip, and said to screen readers. */

/** By selector; an element that has a title of its own keeps it. */
const TIPS = {
  "#prompt": "What to draw: 1 to 300 characters. A style (3d, noto, twemoji, flat) and a colour in it are heeded.",
  "#method": "Model only: no retrieval. DAiD mixes distributions, FAiD blends features inside the model, or both.",
  "#seed": "Starts the random numbers, 0 to 4294967295. Runs that share it draw with the same luck.",
  "#dice": "Another seed, at random",
  "#generate": "Draw the picture, about a second (Enter in the prompt does the same)",
  "#stop": "End the drawing; what is drawn so far can be stepped through",
  ".chip": "Take this prompt",
  ".tile": "Take this prompt and these settings, and draw",
  ".lp-segments label": "Show the picture as it is",
  "[data-part=where]": "Position of the last position: how many codes were drawn before this one",
  "[data-part=scrub]": "Position in the order of drawing: left to right, top to bottom",
  "[data-part=title]": "The prompt of this run",
  "[data-part=canvas]": "The picture up to this position; solid: the patch of this position, dashed: its context. Click a cell to go there.",
  "[data-part=context]": "The patches that were already there and formed the query, around the gap",
  "[data-part=chosen]": "The patch of the code that was taken, as it is in the finished picture",
  "[data-part=choice]": "Number of the code in the codebook, and where it lies",
  "[data-part=flip]": "A flip: the same random number would have taken another code without retrieval",
  "[data-part=ruler-model]": "0 to 1, cut by the model's probabilities; the line is the random number u",
  "[data-part=ruler-blended]": "0 to 1, cut by the blended probabilities; the code under the line u is taken",
  "[data-part=ruler-unblended]": "0 to 1, cut by the probabilities without the blenders; the line is the random number u",
  "[data-part=column-model]": "Probability of the code under the model, in %",
  "[data-part=column-retrieval]": "Probability of the code among the neighbours, softmax(-distance / τ), in %",
  "[data-part=column-blended]": "Probability that the code was sampled with: (1 - λ) model + λ retrieval, in %",
  ".lp-codes .lp-percent": "Probability of the code, in %",
  ".lp-codes .lp-bars": "The probabilities of the code as bars; the longest of the table fills the width",
  ".lp-codes .lp-code": "Number of the code in the codebook",
  ".lp-codes .lp-patch": "The code's patch among its like",
  "[data-part=neighbours-text]": "How many neighbours are shown, and how much of the retrieval distribution they carry, in %",
  ".lp-card-numbers span:first-child": "Distance: squared L2 between contexts of unit vectors, 0 is the same context",
  ".lp-card-numbers span:last-child": "Weight: the neighbour's share of the retrieval distribution, in %",
  ".lp-share": "The neighbour's share of the retrieval distribution, 0 to 100 %",
  ".lp-crop": "Where the patch lies in its source picture; dashed or thin: the context that was compared",
  ".lp-legend": "The colour scale of the overlay, with its ends and the value here",
  "[data-kind=compatibility]": "Compatibility: how well the feature fits, as the blender scores it, 0 to 1",
  "[data-kind=start-cosine]": "Cosine to the feature that entered the first blender, -1 to 1",
  "[data-kind=code-cosine]": "Cosine to the feature of the code that was taken, -1 to 1",
  "[data-kind=share]": "Norm of what the blender adds, in % of the hidden state that it is added to",
  "[data-kind=hop]": "Weight of this hop (window radius) in the blender, 0 to 1; they sum to 1",
  "#copy-link": "Copy an address that draws this run again and opens it at this position",
  "#save-page": "One file under 3 MB that replays this run from disk, with its pictures, without a server",
  "#save-trace": "Everything that decided each code, as a plain npz file for Python or for this page",
  "#open-trace": "Show a trace (.npz, up to 32 MB) that this page or the command line has saved",
  "#history": "The finished runs of this visit, newest first, 32 at most; click one to see it again",
  "#bring-files": "Choose up to 200 picture files, each up to 10 MB and 40 megapixels",
  "#bring-forget": "Drop your pictures from the server now; closing the page does the same",
  "#bring-status": "How many pictures were taken, and which files were refused and why",
  "#bring-seen": "The pictures in your database, as the model gets them",
  "#tour-start": "Seven steps over a recorded run",
};

/** Of the run's facts beside its prompt, by their name. */
const FACT_TIPS = {
  model: "Which model drew the picture",
  method: "How retrieval took part",
  database: "Which pictures the neighbours came from",
  seed: "Start of the random numbers, 0 to 4294967295",
  time: "How long the drawing took, in seconds",
  "λ": "Retrieval weight before the gate, 0 to 1",
  "τ": "Retrieval temperature, in squared L2",
  K: "Neighbours that are looked up at each position",
  features: "How many neighbours go through the blenders",
  lookups: "Positions that asked the database, of all positions",
  flips: "Positions where retrieval changed the code",
};

/** The tooltip of what the pointer or the focus is on, put on the innermost element that has one. */
function showTip(event) {
  const target = event.target;
  if (!(target instanceof Element) || target.closest("[title]:not([title=''])")) return;
  const fact = target.closest(".lp-facts li");
  if (fact) return setTitle(fact, FACT_TIPS[fact.firstChild.textContent] || "");
  const hits = Object.keys(TIPS).map((selector) => [target.closest(selector), selector]).filter(([node]) => node);
  const inner = hits.find(([node]) => hits.every(([other]) => other.contains(node)));
  if (inner) setTitle(inner[0], TIPS[inner[1]]);
}

for (const kind of ["pointerover", "focusin"]) document.addEventListener(kind, showTip, { passive: true });
