// The timeline: where each class is to be seen, what is shown now, and a way to any moment.
import { element } from "../elements.js";
import { say } from "../words.js";
import { CHART, RULER, drawTimeline } from "./lanes.js";
import { clock } from "./time.js";

/** Seconds that a view shows at least. */
const CLOSEST = 2;

/** What one step of zooming changes. */
const ZOOM = 2;

/** Draws the lanes once for each change, and moves a line over them. */
export class Timeline {
  /**
   * @param {import("./player.js").Player} player
   * @param {import("./drawing.js").Scene} scene
   * @param {(most: number) => void} onDrawn - told the most objects at once that are in view.
   */
  constructor(player, scene, onDrawn) {
    this._player = player;
    this._scene = scene;
    this._onDrawn = onDrawn;
    this._duration = 0;
    /** Classes from the top. @type {number[]} */
    this.order = [];
    this._view = { from: 0, to: 1 };
    this._isDue = false;
    this._make();
    this._listen();
  }

  /** @param {number} seconds */
  setDuration(seconds) {
    const isWhole = this._view.from === 0 && this._view.to >= this._duration;
    this._duration = Math.max(seconds, 0.001);
    if (isWhole) this._view = { from: 0, to: this._duration };
    this.track.setAttribute("aria-valuemax", seconds.toFixed(2));
    this.drawSoon();
  }

  /** @param {number[]} order */
  setOrder(order) {
    this.order = order;
    this.drawSoon();
  }

  /** Draw before the browser next paints. */
  drawSoon() {
    if (this._isDue) return;
    this._isDue = true;
    requestAnimationFrame(() => this._draw());
  }

  /**
   * @param {1 | -1} direction - 1 comes closer.
   * @param {number} [around] - the second that stays where it is.
   */
  zoom(direction, around = this._player.time) {
    const { from, to } = this._view;
    const length = Math.min(this._duration, Math.max(CLOSEST, (to - from) * ZOOM ** -direction));
    const share = Math.min(1, Math.max(0, (around - from) / (to - from)));
    this._show(around - share * length, length);
  }

  close() {
    this._watcher.disconnect();
  }

  _make() {
    this._chart = element("canvas", { "aria-hidden": "true" });
    this._lanes = element("canvas", { "aria-hidden": "true" });
    this._line = element("div", { class: "playhead", "aria-hidden": "true" });
    this._hint = element("div", { class: "hint", "aria-hidden": "true", hidden: true });
    const facts = { role: "slider", tabindex: "0", "aria-orientation": "horizontal", "aria-valuemin": "0" };
    this._head = element("div", { class: "track-head" }, this._chart);
    this._head.style.height = `${CHART + RULER}px`;
    this.track = element(
      "div",
      { class: "track", ...facts, "aria-label": say("video.timeline.track"), "aria-valuenow": "0" },
      ...[this._head, this._lanes, this._line, this._hint],
    );
    this._watcher = new ResizeObserver(() => this.drawSoon());
    this._watcher.observe(this.track);
  }

  _listen() {
    const { track } = this;
    track.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      track.setPointerCapture(event.pointerId);
      this._player.seek(this._at(event));
    });
    track.addEventListener("pointermove", (event) => {
      this._hover(event);
      if (track.hasPointerCapture(event.pointerId)) this._player.seek(this._at(event));
    });
    track.addEventListener("pointerleave", () => (this._hint.hidden = true));
    track.addEventListener("wheel", (event) => this._wheel(event), { passive: false });
    track.addEventListener("keydown", (event) => this._key(event));
    this._player.addEventListener("picture", () => this._follow());
    this._player.video.addEventListener("seeking", () => this._follow());
  }

  _draw() {
    this._isDue = false;
    const width = Math.floor(this.track.clientWidth);
    if (!width) return;
    const begun = performance.now();
    const canvases = { chart: this._chart, lanes: this._lanes };
    const most = drawTimeline(canvases, this._scene, this.order, this._view, width);
    this.track.dataset.milliseconds = (performance.now() - begun).toFixed(2);
    this._onDrawn(most);
    this._follow();
  }

  /** Move the line to where the player is, and the view with it. */
  _follow() {
    const time = this._player.target;
    const { from, to } = this._view;
    const isOutside = time < from || time > to;
    if (isOutside && to - from < this._duration) this._show(time - (to - from) * 0.1, to - from);
    const width = this.track.clientWidth;
    const left = ((time - this._view.from) / (this._view.to - this._view.from)) * width;
    this._line.style.transform = `translateX(${Math.min(width, Math.max(0, left)).toFixed(1)}px)`;
    this.track.setAttribute("aria-valuenow", time.toFixed(2));
    this.track.setAttribute("aria-valuetext", clock(time, 2));
  }

  /**
   * @param {number} from
   * @param {number} length
   */
  _show(from, length) {
    const start = Math.max(0, Math.min(from, this._duration - length));
    this._view = { from: start, to: start + length };
    this.drawSoon();
  }

  /** @param {MouseEvent} event */
  _at(event) {
    const { left, width } = this.track.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - left) / width));
    return this._view.from + share * (this._view.to - this._view.from);
  }

  /** @param {PointerEvent} event */
  _hover(event) {
    const { left, width } = this.track.getBoundingClientRect();
    this._hint.hidden = event.pointerType === "touch";
    this._hint.textContent = clock(this._at(event), 2);
    const half = this._hint.offsetWidth / 2;
    const place = Math.min(width - half, Math.max(half, event.clientX - left));
    this._hint.style.transform = `translateX(${place - half}px)`;
  }

  /** @param {WheelEvent} event */
  _wheel(event) {
    const { from, to } = this._view;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1 : -1, this._at(event));
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY) && to - from < this._duration) {
      event.preventDefault();
      this._show(from + (event.deltaX / this.track.clientWidth) * (to - from), to - from);
    }
  }

  /** The keys of a slider; left and right are those of the whole page. @param {KeyboardEvent} event */
  _key(event) {
    const tenth = (this._view.to - this._view.from) / 10;
    /** @type {Record<string, number>} */
    const targets = {
      Home: 0,
      End: this._duration,
      PageUp: this._player.target + tenth,
      PageDown: this._player.target - tenth,
    };
    if (!(event.key in targets)) return;
    event.preventDefault();
    this._player.seek(targets[event.key]);
  }
}
