// What moves is looked at again and again: each row that can be seen, one request after another.
//
// A stream of events for each row would hold a connection each, and a browser opens six to a host; two looks at a
// time leave room for uploads, and cost nothing while the page is hidden.
import * as calls from "./calls.js";

/** Milliseconds from the end of a round to the next. */
const PAUSE = 1000;

/** A video that waits is looked at in every n-th round. */
const PATIENCE = 4;

/** Looks at a time. */
const AT_ONCE = 2;

/** @typedef {import("./row.js").Row} Row */

/** Looks at the rows that can be seen and have not ended. */
export class Following {
  /**
   * @param {{onNews: (row: Row, video: any) => void, onGone: (row: Row) => void, onRound: () => Promise<void>}} told
   *   - `onRound` is called once a round, before the rows are looked at.
   */
  constructor(told) {
    this.told = told;
    /** @type {Map<Element, Row>} */
    this.rows = new Map();
    /** @type {Set<Row>} */
    this.seen = new Set();
    this.round = 0;
    this.timer = 0;
    this.isRunning = false;
    this.observer = new IntersectionObserver((entries) => this.notice(entries), { rootMargin: "25%" });
    document.addEventListener("visibilitychange", () => !document.hidden && this.hurry());
  }

  /** @param {Row} row */
  add(row) {
    this.rows.set(row.node, row);
    this.observer.observe(row.node);
  }

  /** @param {Row} row */
  remove(row) {
    this.rows.delete(row.node);
    this.seen.delete(row);
    this.observer.unobserve(row.node);
  }

  /** Begin a round now, unless one is under way. */
  hurry() {
    clearTimeout(this.timer);
    if (!this.isRunning) void this.go();
  }

  /** @param {IntersectionObserverEntry[]} entries */
  notice(entries) {
    for (const { target, isIntersecting } of entries) {
      const row = this.rows.get(target);
      if (row && isIntersecting) this.seen.add(row);
      else if (row) this.seen.delete(row);
    }
  }

  async go() {
    this.isRunning = true;
    try {
      if (!document.hidden) await this.look();
    } finally {
      this.isRunning = false;
      this.timer = setTimeout(() => void this.go(), PAUSE);
    }
  }

  async look() {
    await this.told.onRound();
    this.round += 1;
    const due = [...this.seen].filter((row) => this.isDue(row));
    const lookOn = async () => {
      for (let row = due.shift(); row; row = due.shift()) await this.lookAt(row);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lookOn));
  }

  /** @param {Row} row */
  isDue(row) {
    if (row.hasEnded) return false;
    const { stage, status, progress } = row.video;
    const waits = progress && (status === "queued" || stage === "queued");
    return !waits || this.round % PATIENCE === 0;
  }

  /** @param {Row} row */
  async lookAt(row) {
    try {
      const asked = row.video.attempt;
      const video = await calls.get(`api/v1/videos/${encodeURIComponent(row.video.id)}`);
      if (this.rows.has(row.node) && video.attempt >= Math.max(asked, row.video.attempt)) this.told.onNews(row, video);
    } catch (error) {
      if (error instanceof calls.Problem && error.status === 404) this.told.onGone(row);
      else if (!(error instanceof calls.Problem)) throw error;
    }
  }
}
