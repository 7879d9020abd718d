// What was found in a video, in typed arrays: a million boxes are 15 MB of numbers, as objects they would be 200.

/** How far a player's time may be from a result's and mean the same frame, in seconds: both round to microseconds,
 * containers to milliseconds at the worst, and no video has more than a thousand frames per second. */
export const SAME_FRAME = 0.0005;

/** Confidences are kept in these parts of one, as results write them; so comparing is exact. */
export const PARTS = 10_000;

/** Steps of confidence that can be chosen. */
export const STEPS = 100;

/** @typedef {{class: string, box: [number, number, number, number], conf: number}} Detected */
/** @typedef {{frame: number, time: number | null, objects: Detected[], error?: {code: string}}} Row */

/** Frames that were looked at, in order, and their objects; grows as pages of the result come in. */
export class Found {
  constructor() {
    /** Frames with a time. */
    this.frames = 0;
    /** Frames that could not be looked at. */
    this.failed = 0;
    this.objects = 0;
    /** Names; an object holds the place of its class in this list. @type {string[]} */
    this.classes = [];
    /** Number of each frame in the source, from 0. */
    this.number = new Int32Array(1024);
    /** Seconds from the container's first timestamp. */
    this.time = new Float64Array(1024);
    /** The first object of each frame; one more than there are frames. */
    this.first = new Int32Array(1025);
    /** Class of each object. */
    this.kind = new Uint16Array(4096);
    /** Confidence of each object, in `PARTS`. */
    this.conf = new Uint16Array(4096);
    /** Left, top, right, bottom of each object: pixels of the upright source frame. */
    this.box = new Int32Array(4 * 4096);
    /** For each class, how many objects each step of confidence has. @type {Uint32Array[]} */
    this.steps = [];
    /** Places of the names. @type {Map<string, number>} */
    this._places = new Map();
    /** Frames from one that was looked at to the next. */
    this.stride = 0;
    /** Seconds of that, where a neighbour tells nothing. */
    this.usual = 0.2;
  }

  /**
   * Take the next rows of the result.
   * @param {Row[]} rows
   */
  add(rows) {
    for (const row of rows) {
      if (row.time === null || row.time === undefined || row.error) this.failed += 1;
      else this._frame(row);
    }
  }

  /**
   * Say how the video was sampled, as the head of its result says it.
   * @param {number | undefined} stride
   * @param {number} fps
   */
  sampled(stride, fps) {
    this.stride = stride ?? 0;
    if (fps > 0) this.usual = (stride ?? 5) / fps;
  }

  /**
   * Return the place of the last frame that was looked at up to a time; -1 where there is none.
   * @param {number} seconds
   */
  at(seconds) {
    return this.past(seconds + SAME_FRAME) - 1;
  }

  /**
   * Return how many frames have a time up to this one.
   * @param {number} seconds
   */
  past(seconds) {
    let low = 0;
    let high = this.frames;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.time[middle] <= seconds) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Return the second up to which a frame's boxes hold: the next frame that was looked at, or that should have been.
   * @param {number} place
   */
  until(place) {
    const time = this.time[place];
    if (place + 1 >= this.frames) return time + this.usual;
    const step = this.number[place + 1] - this.number[place];
    const next = this.time[place + 1];
    return this.stride && step > this.stride ? time + ((next - time) * this.stride) / step : next;
  }

  /**
   * Return which frame's boxes are to be seen at a time, and whether it is that very frame.
   * @param {number} seconds
   * @returns {{place: number, isExact: boolean} | null} null where nothing was looked at.
   */
  shownAt(seconds) {
    const place = this.at(seconds);
    if (place < 0 || seconds >= this.until(place) - SAME_FRAME) {
      return place >= 0 && Math.abs(seconds - this.time[place]) <= SAME_FRAME ? { place, isExact: true } : null;
    }
    return { place, isExact: Math.abs(seconds - this.time[place]) <= SAME_FRAME };
  }

  /**
   * Return how many objects of a class are at least so confident.
   * @param {number} kind
   * @param {number} step - of confidence, 0 to `STEPS`.
   */
  count(kind, step) {
    let count = 0;
    for (let each = step; each <= STEPS; each++) count += this.steps[kind][each];
    return count;
  }

  /** @param {Row} row */
  _frame(row) {
    const place = this.frames;
    if (place + 1 >= this.time.length) {
      this.number = grown(this.number, new Int32Array(place * 2));
      this.time = grown(this.time, new Float64Array(place * 2));
      this.first = grown(this.first, new Int32Array(place * 2 + 1));
    }
    this.number[place] = row.frame;
    this.time[place] = /** @type {number} */ (row.time);
    for (const each of row.objects) this._object(each);
    this.frames += 1;
    this.first[this.frames] = this.objects;
  }

  /** @param {Detected} found */
  _object(found) {
    const place = this.objects;
    if (place >= this.kind.length) {
      this.kind = grown(this.kind, new Uint16Array(place * 2));
      this.conf = grown(this.conf, new Uint16Array(place * 2));
      this.box = grown(this.box, new Int32Array(place * 8));
    }
    const kind = this._kind(found.class);
    const conf = Math.round(found.conf * PARTS);
    this.kind[place] = kind;
    this.conf[place] = conf;
    this.box.set(found.box, place * 4);
    this.steps[kind][Math.floor((conf * STEPS) / PARTS)] += 1;
    this.objects += 1;
  }

  /** @param {string} name */
  _kind(name) {
    let kind = this._places.get(name);
    if (kind === undefined) {
      kind = this.classes.push(name) - 1;
      this._places.set(name, kind);
      this.steps.push(new Uint32Array(STEPS + 1));
    }
    return kind;
  }
}

/**
 * @template {Int32Array | Float64Array | Uint16Array} Numbers
 * @param {Numbers} from
 * @param {Numbers} to
 * @returns {Numbers}
 */
function grown(from, to) {
  to.set(/** @type {any} */ (from));
  return to;
}
