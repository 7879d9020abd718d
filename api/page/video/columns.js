// What each column of a timeline shows: one pass over the objects of the part that is in view.

/** @typedef {import("./found.js").Found} Found */
/** @typedef {{from: number, to: number}} View - seconds. */

/**
 * @typedef {object} Columns
 * @property {number} width - columns.
 * @property {Uint16Array} looked - for each column, how many frames in it were looked at.
 * @property {Uint16Array} seen - for each class and column, in how many of them the class is.
 * @property {Uint16Array} most - for each column, the most objects at once that are to be seen.
 */

/**
 * @param {Found} found
 * @param {Uint8Array} mask - for each class, whether its objects count in `most`.
 * @param {number} least - confidence, in parts.
 * @param {View} view
 * @param {number} width
 * @returns {Columns}
 */
export function columnsOf(found, mask, least, view, width) {
  const kinds = found.classes.length;
  const columns = {
    width,
    looked: new Uint16Array(width),
    seen: new Uint16Array(width * kinds),
    most: new Uint16Array(width),
  };
  const scale = width / (view.to - view.from);
  const last = found.past(view.to);
  const seenIn = new Int32Array(kinds).fill(-1);
  for (let place = Math.max(0, found.at(view.from)); place < last; place++) {
    const start = Math.max(0, Math.floor((found.time[place] - view.from) * scale));
    const end = Math.min(width, Math.max(start + 1, Math.round((found.until(place) - view.from) * scale)));
    if (end > 0 && start < width) addFrame(found, place, { mask, least, seenIn, columns, start, end });
  }
  return columns;
}

/**
 * @param {Found} found
 * @param {number} place
 * @param {{mask: Uint8Array, least: number, seenIn: Int32Array, columns: Columns, start: number, end: number}} to
 */
function addFrame(found, place, { mask, least, seenIn, columns, start, end }) {
  const { width, looked, seen, most } = columns;
  const { kind, conf, first } = found;
  let count = 0;
  for (let each = first[place]; each < first[place + 1]; each++) {
    if (conf[each] < least) continue;
    const which = kind[each];
    count += mask[which];
    if (seenIn[which] === place) continue;
    seenIn[which] = place;
    for (let column = start; column < end; column++) seen[which * width + column] += 1;
  }
  for (let column = start; column < end; column++) {
    looked[column] += 1;
    if (count > most[column]) most[column] = count;
  }
}
