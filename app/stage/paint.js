/* The pictures of the stage: what is drawn, what it looks at, and the patch that goes over. */

const CONTEXT = "#b0407c", SOURCE = "#e69f00", HERE = "#18212b", REST = 0.22;

/** A canvas in its size on the screen, cleared. */
function prepared(canvas) {
  const density = window.devicePixelRatio || 1, side = Math.round(canvas.clientWidth * density);
  if (canvas.width !== side || canvas.height !== side) Object.assign(canvas, { width: side, height: side });
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, side, side);
  return { context, side, density };
}

/** Draw a picture up to a position, and what is still to come faintly. */
function pictureUpTo({ context, side }, picture, { width, height }, shown) {
  const cell = side / width, unit = picture.width / width;
  const rows = Math.floor(shown / width), rest = shown % width;
  if (shown < width * height) {
    context.globalAlpha = REST;
    context.drawImage(picture, 0, 0, side, side);
    context.globalAlpha = 1;
    context.clearRect(0, 0, side, rows * cell);
    context.clearRect(0, rows * cell, rest * cell, cell);
  }
  if (rows) context.drawImage(picture, 0, 0, picture.width, rows * unit, 0, 0, side, rows * cell);
  if (rest) context.drawImage(picture, 0, rows * unit, rest * unit, unit, 0, rows * cell, rest * cell, cell);
}

function box({ context, density }, x, y, cell, colour, width) {
  context.lineWidth = (width + 2) * density;
  context.strokeStyle = "rgb(255 255 255 / 0.9)";
  context.strokeRect(x, y, cell, cell);
  context.lineWidth = width * density;
  context.strokeStyle = colour;
  context.strokeRect(x, y, cell, cell);
}

/** Outline the context cells around a cell that lie in the grid. */
function outlineContext(stage, context, position, { width, height }) {
  const cell = stage.side / width, row = Math.floor(position / width), col = position % width;
  stage.context.lineWidth = 1.25 * stage.density;
  stage.context.strokeStyle = CONTEXT;
  for (const [down, right] of context) {
    const [r, c] = [row + down, col + right];
    if (r >= 0 && c >= 0 && r < height && c < width) stage.context.strokeRect(c * cell, r * cell, cell, cell);
  }
}

/** A picture up to a position, with nothing around it. */
export function paintAlone(canvas, picture, grid, shown) {
  pictureUpTo(prepared(canvas), picture, grid, shown);
}

/** The picture being drawn, its position and its context. */
export function paintDrawing(canvas, picture, grid, shown, position, context) {
  const stage = prepared(canvas), cell = stage.side / grid.width;
  pictureUpTo(stage, picture, grid, shown);
  if (context) outlineContext(stage, context, position, grid);
  box(stage, (position % grid.width) * cell, Math.floor(position / grid.width) * cell, cell, HERE, 2.5);
}

/** The source that is looked at, with the cell that came next there and its context. */
export function paintSource(canvas, picture, grid, cellNumber, context) {
  const stage = prepared(canvas), cell = stage.side / grid.width;
  stage.context.drawImage(picture, 0, 0, stage.side, stage.side);
  if (cellNumber < 0) return;
  outlineContext(stage, context, cellNumber, grid);
  box(stage, (cellNumber % grid.width) * cell, Math.floor(cellNumber / grid.width) * cell, cell, SOURCE, 2.5);
}

/** One square of a picture, as large as the canvas. */
export function paintSquare(canvas, picture, columns, square) {
  const { context, side } = prepared(canvas), unit = picture.width / columns;
  context.imageSmoothingEnabled = true;
  context.drawImage(picture, (square % columns) * unit, Math.floor(square / columns) * unit, unit, unit, 0, 0, side, side);
}
