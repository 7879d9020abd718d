// The picture with its boxes: a canvas over the video, drawn anew for each picture and whenever the choice changes.
import { element } from "../elements.js";
import { drawFrame } from "./drawing.js";

/** @typedef {import("./drawing.js").Scene} Scene */
/** @typedef {{place: number, isExact: boolean, counts: Map<number, number>} | null} Shown */

/** Draws what was found over the picture that is shown; tells (`drawn`) what that is. */
export class Stage extends EventTarget {
  /**
   * @param {import("./player.js").Player} player
   * @param {Scene} scene
   */
  constructor(player, scene) {
    super();
    this._player = player;
    this.scene = scene;
    this.hasBoxes = true;
    /** What is to be seen; null where nothing was looked at. @type {Shown} */
    this.shown = null;
    this._isDue = false;
    this.canvas = element("canvas", { class: "boxes", "aria-hidden": "true" });
    this.node = element("div", { class: "stage" }, player.video, this.canvas);
    this._context = this.canvas.getContext("2d");
    /** Of the picture, in CSS pixels. */
    this._size = { width: 0, height: 0 };
    player.addEventListener("picture", () => this.draw());
    for (const event of ["pause", "playing", "seeked"]) player.video.addEventListener(event, () => this.draw());
    player.video.addEventListener("resize", () => this._fit());
    // Not within the observer: what is laid out anew there may change what is observed.
    this._watcher = new ResizeObserver(() => requestAnimationFrame(() => this._fit()));
    this._watcher.observe(this.node);
  }

  /** @param {boolean} isShown */
  showBoxes(isShown) {
    this.hasBoxes = isShown;
    this._toggled();
  }

  /** @param {boolean} isShown */
  showLabels(isShown) {
    this.scene.hasLabels = isShown;
    this._toggled();
  }

  _toggled() {
    this.drawSoon();
    this.dispatchEvent(new Event("toggled"));
  }

  /** Draw before the browser next paints; however often it is asked for. */
  drawSoon() {
    if (this._isDue) return;
    this._isDue = true;
    requestAnimationFrame(() => this._isDue && this.draw());
  }

  /** Draw what belongs to the picture that is shown. */
  draw() {
    this._isDue = false;
    const { found } = this.scene;
    const { width, height } = this._size;
    this._context.clearRect(0, 0, width, height);
    const shown = this._player.shown === null ? null : found.shownAt(this._player.time);
    let counts = new Map();
    if (shown && this.hasBoxes) {
      // While it plays every picture looks the same: what changes five times a second flickers.
      const isHeld = !shown.isExact && this._player.video.paused;
      counts = drawFrame(this._context, this._size, this.scene, shown.place, isHeld);
    }
    this.shown = shown && { ...shown, counts };
    this.canvas.dataset.frame = shown ? String(found.number[shown.place]) : "";
    this.dispatchEvent(new Event("drawn"));
  }

  close() {
    this._watcher.disconnect();
  }

  /** Lay the canvas exactly over the picture, at the device's own pixels. */
  _fit() {
    const { videoWidth, videoHeight } = this._player.video;
    const { clientWidth, clientHeight } = this.node;
    const source = videoWidth ? { width: videoWidth, height: videoHeight } : this.scene.source;
    const scale = Math.min(clientWidth / source.width, clientHeight / source.height);
    const width = source.width * scale;
    const height = source.height * scale;
    const dense = window.devicePixelRatio || 1;
    const { style } = this.canvas;
    this.canvas.width = Math.round(width * dense);
    this.canvas.height = Math.round(height * dense);
    style.width = `${width}px`;
    style.height = `${height}px`;
    style.left = `${(clientWidth - width) / 2}px`;
    style.top = `${(clientHeight - height) / 2}px`;
    this._size = { width, height };
    this._context.setTransform(this.canvas.width / width || 1, 0, 0, this.canvas.height / height || 1, 0, 0);
    this.draw();
  }
}
