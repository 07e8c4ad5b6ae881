/* The stage's elements; nothing in it comes from a visitor. */

export const TEMPLATE = `
<div class="sg-page">
  <header class="sg-head">
    <p class="sg-name">AR-RAG Loupe</p>
    <p>See what a look-up changes while a picture is drawn</p>
    <button type="button" class="sg-quiet" data-sg="open">Open the debugger</button>
  </header>
  <h1>This model never saw a flat-style pizza. With one to look at, it draws one.</h1>
  <p class="sg-lead">It draws patch by patch. Before each patch it asks a database: <em>where the surroundings looked like this, what came next?</em></p>
  <div class="sg-row" data-sg="row">
    <figure class="sg-part sg-alone"><figcaption><b>Alone</b></figcaption>
      <canvas data-sg="alone" role="img" aria-label="The pizza that the model draws alone: a heap of colours"></canvas>
      <p>The same model, prompt and luck, without look-ups.</p></figure>
    <figure class="sg-part sg-drawing"><figcaption><b>With look-ups</b> <span data-sg="where"></span></figcaption>
      <canvas data-sg="drawing" role="img"></canvas>
      <p>Pink: the surroundings it looks for.</p></figure>
    <figure class="sg-part sg-source"><figcaption><b>What it looks at</b> <span data-sg="caption"></span></figcaption>
      <canvas data-sg="source" role="img"></canvas>
      <p data-sg="pictures"></p></figure>
    <section class="sg-part sg-patch" aria-label="This patch"><h2>This patch</h2>
      <div class="sg-choice" data-sg="alone-choice"><canvas data-sg="alone-tile" aria-hidden="true"></canvas>
        <div><p data-sg="alone-said">alone, it would have drawn</p>
          <p class="sg-bar"><i class="sg-model" data-sg="alone-model"></i><span data-sg="alone-model-text"></span></p>
          <p class="sg-bar"><i class="sg-mixed" data-sg="alone-mixed"></i><span data-sg="alone-mixed-text"></span></p></div></div>
      <div class="sg-choice"><canvas data-sg="taken-tile" aria-hidden="true"></canvas>
        <div><p data-sg="taken-said">the look-up said</p>
          <p class="sg-bar"><i class="sg-lookup" data-sg="taken-lookup"></i><span data-sg="taken-lookup-text"></span></p>
          <p class="sg-bar"><i class="sg-mixed" data-sg="taken-mixed"></i><span data-sg="taken-mixed-text"></span></p></div></div>
      <p class="sg-verdict" data-sg="verdict"></p></section>
    <svg class="sg-arrow" data-sg="arrow" aria-hidden="true"><path class="sg-halo"/><path class="sg-line"/><path class="sg-point"/></svg>
    <canvas class="sg-flying" data-sg="flying" aria-hidden="true" hidden></canvas>
  </div>
  <div class="sg-controls">
    <button type="button" class="sg-play" data-sg="play" aria-label="Play"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4.5 2.8 13 8l-8.5 5.2z"/></svg></button>
    <div class="sg-line-box"><canvas class="sg-ticks" data-sg="ticks" aria-hidden="true"></canvas>
      <input type="range" data-sg="line" min="0" step="1" aria-label="Patch; marks are patches that look-ups changed"></div>
    <div class="sg-strengths" role="radiogroup" aria-label="How much look-ups decide" data-sg="strengths"></div>
    <button type="button" class="sg-quiet" data-sg="off-here">Turn look-ups off from here</button>
  </div>
  <p class="sg-honest" data-sg="honest"></p>
  <form class="sg-own" data-sg="own">
    <input type="text" data-sg="prompt" maxlength="300" aria-label="Draw your own" placeholder="Draw your own: a thing, a colour, a style" autocomplete="off">
    <button type="submit" class="sg-draw">Draw</button>
    <button type="button" class="sg-chip">red heart</button><button type="button" class="sg-chip">green apple</button><button type="button" class="sg-chip">purple house</button>
    <button type="button" class="sg-chip" data-sg="known">The things it knows</button>
    <button type="button" class="sg-chip" data-sg="bring">Use my own pictures</button>
  </form>
  <p class="sg-note" data-sg="note" role="status"></p>
</div>`;
