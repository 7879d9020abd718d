// A video that is ready: picture, timeline, filters, table and files, put together.
import { element, write } from "../elements.js";
import { say } from "../words.js";
import { actionsOf, momentOf } from "./actions.js";
import { Choice } from "./choice.js";
import { looksOf } from "./colours.js";
import { createControls } from "./controls.js";
import { createDownloads } from "./downloads.js";
import { factsOf, notesOf } from "./facts.js";
import { ClassRows, createConfidence } from "./filters.js";
import { Found, STEPS } from "./found.js";
import { createKeyList, listenForKeys } from "./keys.js";
import { createMoment } from "./moment.js";
import { isLeft } from "./pausing.js";
import { Player } from "./player.js";
import { read } from "./reading.js";
import { createSource } from "./source.js";
import { createSpans } from "./spans.js";
import { Stage } from "./stage.js";
import { Timeline } from "./timeline.js";

/** Lanes that are shown, of the classes with the most objects: more would be more than a canvas holds. */
const MOST_LANES = 200;

/**
 * @typedef {object} Context
 * @property {typeof import("../calls.js")} calls
 * @property {string} videoId
 * @property {AbortSignal} signal - ends everything.
 * @property {number | null} t - seconds at which the player begins.
 */

/** Everything about a video that is ready. */
export class Workbench {
  /** @param {Context} context */
  constructor(context) {
    this._context = context;
    this.found = new Found();
    this.choice = new Choice();
    /** @type {import("./drawing.js").Scene} */
    this.scene = {
      ...{ found: this.found, mask: new Uint8Array(), least: 0, looks: [] },
      ...{ source: { width: 16, height: 9 }, hasLabels: true },
    };
    const video = element("video", { playsinline: true, preload: "auto", "aria-label": say("video.player") });
    video.muted = true;
    this.player = new Player(video);
    this.stage = new Stage(this.player, this.scene);
    this.timeline = new Timeline(this.player, this.scene, (most) => this._showMost(most));
    this._rows = new ClassRows(this.found, this.choice);
    this._spans = createSpans(this.player, this.scene, this.choice);
    this._order = "";
    this.node = this._make();
    this._listen();
  }

  /** Read the result; what has come is shown at once. */
  async open() {
    const { calls, videoId, signal, t } = this._context;
    if (t !== null) this.player.seekFrame(t);
    try {
      await read(this.found, calls, videoId, { signal, onPage: (head, isLast) => this._grow(head, isLast) });
    } catch (error) {
      if (!isLeft(error)) write(this._reading, /** @type {any} */ (error).sentence ?? String(error));
    }
  }

  close() {
    this.player.close();
    this.stage.close();
    this.timeline.close();
  }

  _make() {
    this._facts = element("p", { class: "facts quiet numbers" });
    this._notes = element("div", { class: "notes" });
    this._reading = element("p", { class: "quiet small", role: "status" }, say("video.reading"));
    this._told = element("p", { class: "told", role: "status" });
    this._most = element("span", { class: "numbers" });
    this._screen = element("div", { class: "screen" });
    const keyList = createKeyList();
    const { player, stage, timeline } = this;
    const actions = actionsOf({
      ...{ player, stage, timeline, keyList, screen: this._screen, videoId: this._context.videoId },
      tell: (text) => write(this._told, text),
    });
    listenForKeys(actions, this._context.signal);
    this._controls = createControls(player, stage, actions);
    stage.node.addEventListener("click", actions.toggle);
    stage.node.append(createSource(player, this._context));
    this._screen.append(stage.node, this._controls.node);
    return element(
      "div",
      { class: "workbench" },
      ...[this._facts, this._notes, this._screen, createMoment(player, stage), this._told],
      ...[this._panel(actions), this._spans.node, this._files(), keyList],
    );
  }

  /** @param {import("./keys.js").KeyActions} actions */
  _panel(actions) {
    const { choice, found } = this;
    /** @type {(word: string, act: () => void, shown?: string) => HTMLElement} */
    const button = (word, act, shown) =>
      element("button", { type: "button", "aria-label": shown && say(word), on: { click: act } }, shown ?? say(word));
    const names = element("div", { class: "names" }, this._head(), this._rows.node);
    return element(
      "section",
      { class: "panel", "aria-labelledby": "timeline-title" },
      element(
        "div",
        { class: "tools" },
        element("h2", { id: "timeline-title" }, say("video.timeline")),
        createConfidence(choice),
        button("video.all", () => choice.hide([])),
        button("video.nothing", () => choice.hide(found.classes)),
        element("span", { class: "spacer" }),
        element(
          "span",
          { class: "zoom" },
          button("video.wider", () => actions.zoom(-1), "−"),
          button("video.closer", () => actions.zoom(1), "+"),
        ),
      ),
      element("div", { class: "plot" }, names, this.timeline.track),
      this._reading,
    );
  }

  _head() {
    return element("p", { class: "names-head" }, element("span", {}, say("video.most")), this._most);
  }

  _files() {
    const files = createDownloads(this._context, this.choice, this.found);
    const title = element("h2", { id: "files-title" }, say("video.downloads"));
    return element("section", { class: "panel", "aria-labelledby": "files-title" }, title, files);
  }

  _listen() {
    const { video } = this.player;
    this.choice.addEventListener("change", () => this._choose());
    video.addEventListener("loadedmetadata", () => this._measure());
    for (const event of ["pause", "seeked"]) {
      video.addEventListener(event, () => {
        if (!video.paused || this._context.signal.aborted) return;
        history.replaceState(null, "", momentOf(this._context.videoId, this.player.target));
      });
    }
  }

  /**
   * Show what has been read so far.
   * @param {any} head - of the result.
   * @param {boolean} isLast
   */
  _grow(head, isLast) {
    const { found, scene, player } = this;
    if (!this._headSeen) this._begin(head);
    scene.looks = looksOf(found.classes);
    this._sort();
    this._choose();
    // This draws, so everything has to be known.
    if (found.frames && found.number[0] === 0) player.align(found.time[0]);
    this._measure();
    if (!isLast) {
      const share = (found.frames + found.failed) / Math.max(1, head.video.sampled);
      write(this._reading, say("video.reading.share", { share: Math.min(99, Math.floor(share * 100)) }));
      return;
    }
    const rarer = found.classes.length - MOST_LANES;
    write(this._reading, rarer > 0 ? say("video.rarer", { count: rarer }) : "");
    this._notes.replaceChildren(...notesOf(head, found));
    this._spans.fill();
    this.node.dataset.read = String(found.frames);
  }

  /** @param {any} head */
  _begin(head) {
    this._headSeen = head;
    this.scene.source = { width: head.video.width, height: head.video.height };
    this.player.rate = head.video.fps || 25;
    this.stage.node.style.aspectRatio = `${head.video.width} / ${head.video.height}`;
    write(this._facts, factsOf(head));
    this.choice.setStep(Math.floor((head.options?.conf ?? 0) * STEPS + 1e-9));
  }

  /** Put the classes with the most objects on top. */
  _sort() {
    const { found } = this;
    const counts = found.classes.map((_, kind) => found.count(kind, 0));
    const order = found.classes.map((_, kind) => kind);
    order.sort((one, other) => counts[other] - counts[one] || (found.classes[one] < found.classes[other] ? -1 : 1));
    const shown = order.slice(0, MOST_LANES);
    if (shown.join() !== this._order) {
      this._order = shown.join();
      this._rows.make(shown, this.scene.looks);
      this.timeline.setOrder(shown);
    } else this._rows.show();
  }

  /** Let what is chosen show: the boxes before the next paint, and the lanes. */
  _choose() {
    this.scene.mask = this.choice.mask(this.found.classes);
    this.scene.least = this.choice.least;
    this.stage.drawSoon();
    this.timeline.drawSoon();
  }

  _measure() {
    const last = this.found.frames ? this.found.until(this.found.frames - 1) : 0;
    const seconds = Math.max(this._headSeen?.video.duration ?? last, this.player.duration);
    this._controls.setDuration(seconds);
    this.timeline.setDuration(seconds);
  }

  /** @param {number} most */
  _showMost(most) {
    write(this._most, String(most));
  }
}
