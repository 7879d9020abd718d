// Which objects are to be seen: classes, and the least confidence.
import { PARTS, STEPS } from "./found.js";

/** Tells everybody (`change`) when something else is chosen. */
export class Choice extends EventTarget {
  constructor() {
    super();
    /** Step of confidence, 0 to `STEPS`. */
    this.step = 0;
    /** Names that are not to be seen; those that come later are. @type {Set<string>} */
    this.hidden = new Set();
  }

  /** The least confidence, as results keep it. */
  get least() {
    return (this.step * PARTS) / STEPS;
  }

  /** @param {number} step */
  setStep(step) {
    if (step === this.step) return;
    this.step = step;
    this._tell();
  }

  /**
   * @param {string} name
   * @param {boolean} isShown
   */
  show(name, isShown) {
    if (isShown) this.hidden.delete(name);
    else this.hidden.add(name);
    this._tell();
  }

  /** @param {Iterable<string>} names - all others are shown. */
  hide(names) {
    this.hidden = new Set(names);
    this._tell();
  }

  /**
   * Return, for each class, whether it is to be seen.
   * @param {string[]} classes
   */
  mask(classes) {
    return Uint8Array.from(classes, (name) => (this.hidden.has(name) ? 0 : 1));
  }

  _tell() {
    this.dispatchEvent(new Event("change"));
  }
}
