// The list of videos: live, filtered, page by page.
import { announce } from "./announce.js";
import * as calls from "./calls.js";
import { confirmed } from "./dialogs.js";
import { one, write } from "./elements.js";
import { Filter } from "./filter.js";
import { Following } from "./following.js";
import { showEnd } from "./list_end.js";
import { Pages } from "./pages.js";
import { nameOf, Row } from "./row.js";
import { onSignIn } from "./sign_in.js";
import { clock } from "./units.js";
import { onLanguage, say } from "./words.js";

/** Rounds between two looks at the top of the list. */
const HEAD_EVERY = 4;

/** The list, and what is below and above it. */
export class List {
  constructor() {
    this.node = one("#list");
    this.note = one("#list-note");
    this.filter = new Filter(one("#filter"), () => void this.restart());
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    this.pages = new Pages(this.filter);
    this.round = 0;
    this.lastKnown = new Date();
    this.following = new Following({
      onNews: (row, video) => this.take(row, video),
      onGone: (row) => this.drop(row),
      onRound: () => this.lookAtHead(),
    });
    onLanguage(() => this.showAll());
    onSignIn(() => this.showAll());
  }

  /** Load the first page, and follow what moves. */
  async start() {
    await this.restart();
    this.following.hurry();
  }

  /** @param {string} text - the filter, as the address has it. */
  async read(text) {
    if (this.filter.read(text)) await this.restart();
  }

  /** Begin anew: the filter is another. */
  async restart() {
    this.pages.stop();
    this.pages = new Pages(this.filter);
    for (const row of this.rows.values()) this.following.remove(row);
    this.rows.clear();
    this.node.replaceChildren();
    await this.more();
  }

  /** Load the next page. */
  async more() {
    const { pages } = this;
    this.node.setAttribute("aria-busy", "true");
    showEnd(this, { isLoading: true });
    try {
      const videos = await pages.next();
      if (pages !== this.pages) return;
      for (const video of videos) this.place(video);
      showEnd(this, {});
    } catch (error) {
      if (pages !== this.pages || !(error instanceof calls.Problem)) return;
      showEnd(this, { problem: error });
    } finally {
      if (pages === this.pages) this.node.setAttribute("aria-busy", "false");
    }
  }

  /**
   * Show a video where it belongs, or what is new of it.
   * @param {any} video
   */
  place(video) {
    const known = this.rows.get(video.id);
    if (known) {
      this.take(known, video);
      return;
    }
    const row = new Row(video, (action, of) => void this.act(action, of), (tag) => this.filter.chooseTag(tag));
    this.node.insertBefore(row.node, this.placeOf(row));
    this.rows.set(video.id, row);
    this.following.add(row);
    this.filter.offer(video.tags);
  }

  /**
   * Return the element below the place of a row; null where it is the last.
   * @param {Row} row
   */
  placeOf(row) {
    const isAbove = (/** @type {any} */ node) => isNewer(this.rows.get(node.dataset.id)?.video, row.video);
    const last = this.node.lastElementChild;
    if (!last || isAbove(last)) return null;
    let next = this.node.firstElementChild;
    while (next && isAbove(next)) next = next.nextElementSibling;
    return next;
  }

  /**
   * Show a video at the top at once, if the filter holds it.
   * @param {any} video
   */
  add(video) {
    if (!this.filter.holds(video)) return;
    this.place(video);
    showEnd(this, {});
    this.following.hurry();
  }

  /**
   * Take in news of a video.
   * @param {Row} row
   * @param {any} video
   */
  take(row, video) {
    const hadEnded = row.hasEnded;
    if (!row.update(video) || hadEnded || !row.hasEnded) return;
    const reason = video.error ? calls.sentenceOf(video.error.code, video.error.message) : "";
    announce(say(`row.said.${video.status}`, { name: nameOf(video), reason }));
  }

  /** @param {Row} row */
  drop(row) {
    this.following.remove(row);
    this.rows.delete(row.video.id);
    row.node.remove();
    if (!this.rows.size) showEnd(this, {});
  }

  async lookAtHead() {
    this.round += 1;
    if (this.round % HEAD_EVERY !== 0) return;
    const { pages } = this;
    const askedAt = performance.now();
    try {
      const isKnown = (/** @type {string} */ id) => this.filter.isByName || !this.rows.size || this.rows.has(id);
      const { videos, since } = await pages.head(isKnown);
      if (pages !== this.pages) return;
      this.merge(videos, since, askedAt);
      this.lastKnown = new Date();
      if (this.note.dataset.kind === "stale") this.note.hidden = true;
    } catch (error) {
      if (error instanceof calls.Problem) this.tell("stale", say("list.stale", { time: clock(this.lastKnown) }));
    }
  }

  /**
   * Bring the top of the list up to date.
   * @param {any[]} videos
   * @param {string | null} since - down to which time these are all; see `Pages.head`.
   * @param {number} askedAt - what was shown later may be missing among them.
   */
  merge(videos, since, askedAt) {
    const ids = new Set(videos.map(({ id }) => id));
    const before = this.rows.size;
    for (const row of [...this.rows.values()]) {
      const isCovered = since === "" || (since !== null && Date.parse(row.video.created_at) > Date.parse(since));
      if (isCovered && row.shownAt < askedAt && !ids.has(row.video.id)) this.drop(row);
    }
    for (const video of videos) this.place(video);
    if (this.rows.size !== before) showEnd(this, {});
  }

  /**
   * Do something with a video, after a question where it cannot be undone.
   * @param {string} action - "cancel", "retry" or "delete".
   * @param {Row} row
   */
  async act(action, row) {
    const named = { name: nameOf(row.video) };
    if (action !== "retry") {
      const words = { title: say(`confirm.${action}.title`), text: say(`confirm.${action}.text`, named) };
      if (!(await confirmed({ ...words, yes: say(`confirm.${action}.yes`) }))) return;
    }
    const path = `api/v1/videos/${encodeURIComponent(row.video.id)}`;
    this.note.hidden = true;
    try {
      if (action === "delete") {
        const next = row.node.nextElementSibling ?? row.node.previousElementSibling;
        await calls.act("DELETE", path);
        this.drop(row);
        (next?.querySelector("a") ?? one("#filter-name")).focus();
        announce(say("row.said.deleted", named));
      } else {
        this.take(row, await calls.act("POST", `${path}/${action}`));
        if (action === "retry") announce(say("row.said.retried", named));
      }
    } catch (error) {
      if (!(error instanceof calls.Problem)) throw error;
      this.tell("problem", error.sentence);
    }
    this.following.hurry();
  }

  /**
   * Say something above the list.
   * @param {"stale" | "problem"} kind
   * @param {string} sentence
   */
  tell(kind, sentence) {
    this.note.dataset.kind = kind;
    this.note.classList.toggle("bad", kind === "problem");
    write(this.note, sentence);
    this.note.hidden = false;
  }

  showAll() {
    for (const row of this.rows.values()) row.show();
    showEnd(this, {});
  }
}

/**
 * Whether a video stands above another.
 * @param {any} one
 * @param {any} other
 */
function isNewer(one, other) {
  const later = Date.parse(one.created_at) - Date.parse(other.created_at);
  return later > 0 || (later === 0 && one.id > other.id);
}
