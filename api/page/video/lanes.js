// Draws a timeline: how many objects there are at once, a ruler, and below them a lane for each class.
import { columnsOf } from "./columns.js";
import { marks } from "./time.js";

/** CSS pixels. */
export const CHART = 56;
export const RULER = 22;
export const LANE = 28;

/** Pixels between two lanes. */
const GAP = 8;

/** CSS pixels that a mark of the ruler needs. */
const MARK = 74;

/** Both themes have dark instruments, as the picture is dark: every colour of a class shows on this ground. */
const GROUND = "#14181d";
const LOOKED = "#232a32";
const INK = "#c3ccd6";
const FAINT = "#39424c";
const AREA = "#7d8b9a";

/** How bright a column is in which hardly any frame shows the class, of 255. */
const FAINTEST = 110;

/** A class that is not to be seen is still there, dimmed. */
const HIDDEN = 0.22;

/** @typedef {import("./columns.js").Columns} Columns */
/** @typedef {import("./columns.js").View} View */

/**
 * Make a canvas fit its place, and return what draws on it in CSS pixels.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 */
function fitted(canvas, width, height) {
  const dense = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * dense);
  canvas.height = Math.round(height * dense);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.scale(canvas.width / width, canvas.height / height);
  context.fillStyle = GROUND;
  context.fillRect(0, 0, width, height);
  return context;
}

/**
 * Draw everything.
 * @param {{chart: HTMLCanvasElement, lanes: HTMLCanvasElement}} canvases
 * @param {import("./drawing.js").Scene} scene
 * @param {number[]} order - classes, from the top.
 * @param {View} view
 * @param {number} width - CSS pixels.
 * @returns {number} the most objects at once in view.
 */
export function drawTimeline(canvases, scene, order, view, width) {
  const columns = columnsOf(scene.found, scene.mask, scene.least, view, width);
  const most = columns.most.reduce((high, each) => Math.max(high, each), 0);
  const context = fitted(canvases.chart, width, CHART + RULER);
  drawChart(context, columns, most);
  drawRuler(context, view, width);
  drawLanes(fitted(canvases.lanes, width, Math.max(1, order.length) * LANE), columns, scene, order);
  return most;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Columns} columns
 * @param {number} most
 */
function drawChart(context, columns, most) {
  const height = CHART - 8;
  for (let column = 0; column < columns.width; column++) {
    if (!columns.looked[column]) continue;
    context.fillStyle = LOOKED;
    context.fillRect(column, 4, 1, CHART - 4);
    const tall = most ? (columns.most[column] / most) * height : 0;
    context.fillStyle = AREA;
    context.fillRect(column, CHART - tall, 1, tall);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {View} view
 * @param {number} width
 */
function drawRuler(context, view, width) {
  const scale = width / (view.to - view.from);
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  for (const mark of marks(view, Math.floor(width / MARK))) {
    const left = Math.round((mark.seconds - view.from) * scale);
    context.fillStyle = FAINT;
    context.fillRect(left, CHART, 1, RULER);
    context.fillStyle = INK;
    if (left + MARK / 2 < width) context.fillText(mark.text, left + 4, CHART + RULER / 2 + 1);
  }
}

/**
 * Draw one row of pixels for each lane, and stretch it: eighty lanes take no longer than eight.
 * @param {CanvasRenderingContext2D} context
 * @param {Columns} columns
 * @param {import("./drawing.js").Scene} scene
 * @param {number[]} order
 */
function drawLanes(context, columns, scene, order) {
  const { width, looked, seen } = columns;
  if (!order.length) return;
  const pixels = new ImageData(width, order.length * 2);
  order.forEach((kind, lane) => {
    const [red, green, blue] = scene.looks[kind].rgb;
    const dim = scene.mask[kind] ? 1 : HIDDEN;
    for (let column = 0; column < width; column++) {
      const all = looked[column];
      if (!all) continue;
      const share = seen[kind * width + column] / all;
      paint(pixels.data, (lane * 2 * width + column) * 4, 35, 42, 50, 255);
      if (!share) continue;
      const bright = (FAINTEST + (255 - FAINTEST) * share) * dim;
      paint(pixels.data, ((lane * 2 + 1) * width + column) * 4, red, green, blue, bright);
    }
  });
  stretch(context, pixels, order.length);
}

/**
 * @param {Uint8ClampedArray} data
 * @param {number} at
 * @param {number} red
 * @param {number} green
 * @param {number} blue
 * @param {number} alpha
 */
function paint(data, at, red, green, blue, alpha) {
  data[at] = red;
  data[at + 1] = green;
  data[at + 2] = blue;
  data[at + 3] = alpha;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {ImageData} pixels - two rows for each lane: its ground, and what is on it.
 * @param {number} lanes
 */
function stretch(context, pixels, lanes) {
  const { width } = pixels;
  const strip = new OffscreenCanvas(width, pixels.height);
  /** @type {OffscreenCanvasRenderingContext2D} */ (strip.getContext("2d")).putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = false;
  for (let lane = 0; lane < lanes; lane++) {
    const top = lane * LANE;
    context.drawImage(strip, 0, lane * 2, width, 1, 0, top + 2, width, LANE - 4);
    context.drawImage(strip, 0, lane * 2 + 1, width, 1, 0, top + GAP / 2 + 2, width, LANE - GAP - 4);
  }
}
