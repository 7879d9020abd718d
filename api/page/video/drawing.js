// Boxes with their labels, drawn over the picture.

/** CSS pixels. */
const LINE = 2;
const FONT_SIZE = 13;
const PADDING = 4;
const LABEL = FONT_SIZE + 2 * PADDING;

/** A label longer than this is cut. */
const LONGEST = 40;

/** Under each line lies a darker one, so that it shows on any picture. */
const CASING = "rgba(0, 0, 0, 0.65)";

/** @typedef {import("./colours.js").Look} Look */

/**
 * @typedef {object} Scene
 * @property {import("./found.js").Found} found
 * @property {Uint8Array} mask - for each class, whether it is to be seen.
 * @property {number} least - confidence, in parts.
 * @property {Look[]} looks
 * @property {{width: number, height: number}} source - pixels of the source frame.
 * @property {boolean} hasLabels
 */

/**
 * Draw the objects of a frame over all of a canvas, the most confident on top.
 * @param {CanvasRenderingContext2D} context - scaled to CSS pixels.
 * @param {{width: number, height: number}} size - of the canvas, in CSS pixels.
 * @param {Scene} scene
 * @param {number} place - of the frame.
 * @param {boolean} isHeld - whether the picture is a later one, so that the boxes only nearly fit.
 * @returns {Map<number, number>} how many of each class are to be seen.
 */
export function drawFrame(context, size, scene, place, isHeld) {
  const { found, mask, least } = scene;
  const across = size.width / scene.source.width;
  const down = size.height / scene.source.height;
  /** @type {Map<number, number>} */
  const counts = new Map();
  context.font = `600 ${FONT_SIZE}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  context.globalAlpha = isHeld ? 0.6 : 1;
  // Results have the most confident first.
  for (let each = found.first[place + 1] - 1; each >= found.first[place]; each--) {
    const kind = found.kind[each];
    if (found.conf[each] < least || !mask[kind]) continue;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    const [left, top, right, bottom] = found.box.subarray(each * 4, each * 4 + 4);
    // Whole pixels, so that lines are sharp.
    const x = Math.round(left * across);
    const y = Math.round(top * down);
    const box = { x, y, width: Math.round(right * across) - x, height: Math.round(bottom * down) - y };
    const look = scene.looks[kind];
    drawBox(context, box, look);
    if (scene.hasLabels) {
      drawLabel(context, size, box, look, labelOf(found.classes[kind], found.conf[each]));
    }
  }
  context.globalAlpha = 1;
  return counts;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {{x: number, y: number, width: number, height: number}} box
 * @param {Look} look
 */
function drawBox(context, box, look) {
  context.setLineDash([]);
  context.lineWidth = LINE + 2;
  context.strokeStyle = CASING;
  context.strokeRect(box.x, box.y, box.width, box.height);
  context.setLineDash(look.dash);
  context.lineWidth = LINE;
  context.strokeStyle = look.fill;
  context.strokeRect(box.x, box.y, box.width, box.height);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {{width: number, height: number}} size
 * @param {{x: number, y: number}} box
 * @param {Look} look
 * @param {string} text
 */
function drawLabel(context, size, box, look, text) {
  const width = context.measureText(text).width + 2 * PADDING;
  const left = Math.max(0, Math.min(box.x - LINE / 2, size.width - width));
  const above = box.y - LABEL - LINE / 2;
  const top = Math.min(above >= 0 ? above : box.y + LINE / 2, size.height - LABEL);
  context.fillStyle = look.fill;
  context.fillRect(left, top, width, LABEL);
  context.fillStyle = look.ink;
  context.fillText(text, left + PADDING, top + LABEL / 2 + 0.5);
}

/**
 * @param {string} name
 * @param {number} conf - in parts.
 */
function labelOf(name, conf) {
  const short = name.length > LONGEST ? `${[...name].slice(0, LONGEST).join("")}…` : name;
  return `${short} ${Math.round(conf / 100)} %`;
}
