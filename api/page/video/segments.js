// When a class is to be seen, as the API's summary says it, but of what is chosen.

/** @typedef {{kind: number, start: number, end: number, conf: number, frames: number}} Segment - conf in parts. */

/**
 * Return the segments of the classes that are shown, in the order in which they begin.
 * A segment is a run of frames; sights that are no more than a second (or two intervals) apart are one.
 * @param {import("./found.js").Found} found
 * @param {Uint8Array} mask
 * @param {number} least
 * @returns {Segment[]}
 */
export function segmentsOf(found, mask, least) {
  const gap = Math.max(1, 2 * found.usual) + 1e-6;
  /** @type {(Segment & {place: number})[]} */
  const open = [];
  /** @type {Segment[]} */
  const all = [];
  for (let place = 0; place < found.frames; place++) {
    const time = found.time[place];
    for (let each = found.first[place]; each < found.first[place + 1]; each++) {
      const kind = found.kind[each];
      const conf = found.conf[each];
      if (conf < least || !mask[kind]) continue;
      let current = open[kind];
      if (!current || (time - current.end > gap && place - current.place > 1)) {
        current = { kind, start: time, end: time, conf, frames: 0, place: -1 };
        open[kind] = current;
        all.push(current);
      }
      if (current.place !== place) current.frames += 1;
      current.place = place;
      current.end = time;
      if (conf > current.conf) current.conf = conf;
    }
  }
  return all;
}
