// One video in the list: what it is, how far it is, and what can be done with it.
import * as calls from "./calls.js";
import { element, write } from "./elements.js";
import { may } from "./sign_in.js";
import { duration, left, longTime, shortTime } from "./units.js";
import { number, say } from "./words.js";

/** States in which nothing more happens by itself. */
const ENDED = new Set(["ready", "failed", "cancelled"]);

/**
 * What may be done with a video in a state, and with which right.
 * @type {[action: "cancel" | "retry" | "delete", states: string[], scope: "submit" | "delete"][]}
 */
const ACTIONS = [
  ["cancel", ["queued", "processing"], "submit"],
  ["retry", ["failed", "cancelled"], "submit"],
  ["delete", ["ready", "failed", "cancelled"], "delete"],
];

/** @param {any} video - as the API shows it. */
export function nameOf(video) {
  return video.filename ?? say("list.unnamed");
}

/** A row; `node` is its element. */
export class Row {
  /**
   * @param {any} video - as the list or a look has it.
   * @param {(action: string, row: Row) => void} onAction - "cancel", "retry" or "delete".
   * @param {(tag: string) => void} onTag
   */
  constructor(video, onAction, onTag) {
    this.video = video;
    this.onAction = onAction;
    this.onTag = onTag;
    this.shownAt = performance.now();
    /** What the buttons were made for; others are made only then, so that the focus stays. */
    this.shownActions = "";
    this.name = element("a", { class: "row-name", href: `#/videos/${encodeURIComponent(video.id)}` });
    this.tags = element("div", { class: "row-tags" });
    this.state = element("span", { class: "state" });
    this.time = element("span", { class: "quiet numbers" });
    this.bar = element("progress", { max: 1 });
    this.why = element("span", { class: "row-why numbers" });
    this.when = element("time", { class: "row-when numbers" });
    this.buttons = element("div", { class: "row-buttons" });
    this.node = element(
      "li",
      { class: "row", data: { id: video.id } },
      element("div", { class: "row-main" }, this.name, this.tags),
      element("div", { class: "row-how" }, element("div", { class: "row-line" }, this.state, this.time), this.bar, this.why),
      this.when,
      this.buttons,
    );
    this.show();
  }

  get hasEnded() {
    return ENDED.has(this.video.status);
  }

  /** Whether nobody has begun with it. */
  get isWaiting() {
    return this.video.status === "queued" || (this.video.status === "processing" && this.video.stage === "queued");
  }

  /**
   * Take in news. The list does not know what a look knows, so that is kept as long as it may still hold.
   * @param {any} news
   * @returns {boolean} whether the state is another.
   */
  update(news) {
    const old = this.video;
    const isOld = news.attempt < old.attempt || (news.attempt === old.attempt && this.hasEnded && !ENDED.has(news.status));
    if (isOld) return false;
    const isSame = old.status === news.status && old.attempt === news.attempt;
    this.video = isSame ? { ...old, ...news, stage: news.progress ? news.stage : (news.stage ?? old.stage) } : news;
    this.show();
    return !isSame;
  }

  /** Write down what is known, in the language of now. */
  show() {
    const { video } = this;
    write(this.name, nameOf(video));
    this.showTags();
    write(this.state, this.stateWords());
    this.state.className = `state ${this.isWaiting ? "queued" : video.status}`;
    write(this.time, this.timeWords());
    write(this.why, this.whyWords());
    this.why.classList.toggle("bad", video.status === "failed");
    this.showBar();
    write(this.when, shortTime(video.created_at));
    this.when.dateTime = video.created_at;
    this.when.title = longTime(video.created_at);
    this.showButtons();
  }

  stateWords() {
    const { status, stage } = this.video;
    return status === "processing" && stage ? say(`stage.${stage}`) : say(`status.${status}`);
  }

  timeWords() {
    const { status, stage, progress, created_at: created, ended_at: ended } = this.video;
    if (status === "ready" && ended) return say("row.took", { time: duration((Date.parse(ended) - Date.parse(created)) / 1000) });
    if (this.hasEnded || !progress?.known || stage === "queued") return "";
    return progress.eta_seconds === null ? "" : left(progress.eta_seconds);
  }

  whyWords() {
    const { status, stage, progress, error, attempt } = this.video;
    const attempts = attempt > 1 ? say("row.attempt", { count: attempt }) : "";
    if (status === "failed" && error) return joined(calls.sentenceOf(error.code, error.message), attempts);
    if (this.hasEnded || !progress?.known) return attempts;
    if (stage === "queued") return joined(progress.queue_position > 0 && say("row.place", { count: progress.queue_position }), attempts);
    const frames = progress.frames_total && say("row.frames", { done: progress.frames_done, total: progress.frames_total });
    return joined(frames, progress.fps && say("row.rate", { fps: number(progress.fps, { maximumFractionDigits: 0 }) }), attempts);
  }

  showTags() {
    const { tags } = this.video;
    const key = JSON.stringify([tags, say("row.tag")]);
    if (this.tags.dataset.key === key) return;
    this.tags.dataset.key = key;
    this.tags.replaceChildren(
      ...tags.map((/** @type {string} */ tag) =>
        element(
          "button",
          { type: "button", class: "tag", title: say("row.tag", { tag }), on: { click: () => this.onTag(tag) } },
          tag,
        ),
      ),
    );
  }

  showBar() {
    const { status, progress } = this.video;
    this.bar.hidden = status !== "processing" || this.isWaiting;
    this.bar.setAttribute("aria-label", say("row.progress.of", { name: nameOf(this.video) }));
    if (progress?.known && progress.frames_total) this.bar.value = progress.frames_done / progress.frames_total;
    else if (!progress?.known) this.bar.value = 0;
    else this.bar.removeAttribute("value");
  }

  showButtons() {
    const { status } = this.video;
    const actions = ACTIONS.filter(([, states, scope]) => states.includes(status) && may(scope)).map(([action]) => action);
    const key = JSON.stringify([actions, nameOf(this.video), say("row.cancel")]);
    if (key === this.shownActions) return;
    const hadFocus = this.buttons.contains(document.activeElement);
    this.shownActions = key;
    const named = { name: nameOf(this.video) };
    this.buttons.replaceChildren(
      ...actions.map((action) =>
        element(
          "button",
          {
            type: "button", class: "plain", "aria-label": say(`row.${action}.of`, named),
            on: { click: () => this.onAction(action, this) },
          },
          say(`row.${action}`),
        ),
      ),
    );
    if (hadFocus) (this.buttons.firstElementChild ?? this.name).focus();
  }
}

/** @param {...(string | number | false | null | undefined)} parts */
function joined(...parts) {
  return parts.filter(Boolean).join(" · ");
}
