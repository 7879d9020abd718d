// The list of videos, page by page, through the filter.
import * as calls from "./calls.js";

const PATH = "api/v1/videos";

/** Rows that are added at a time. */
export const PAGE = 50;

/** Videos of a page when names are compared here: as many as the API gives. */
const LARGEST_PAGE = 200;

/** Videos that are looked through for a name before the reader is asked whether to go on. */
const MOST_LOOKED = 2000;

/** Pages at the top that are read at most to find what has come. */
const MOST_HEAD = 5;

/** A walk through the list, from the newest on. */
export class Pages {
  /** @param {import("./filter.js").Filter} filter */
  constructor(filter) {
    this.filter = filter;
    /** @type {string | null} */
    this.cursor = null;
    this.hasEnded = false;
    /** Videos that were looked through. */
    this.looked = 0;
    this.abort = new AbortController();
  }

  /**
   * Return the next videos that the filter holds; fewer than a page where it ends, or where many were looked through.
   * @returns {Promise<any[]>}
   * @throws {calls.Problem} nothing was found; else what was found is returned, and the next call fails.
   */
  async next() {
    const limit = this.filter.isByName ? LARGEST_PAGE : PAGE;
    const found = [];
    const before = this.looked;
    while (!this.hasEnded && found.length < PAGE && this.looked - before < MOST_LOOKED) {
      try {
        const page = await this.ask(limit, this.cursor);
        this.cursor = page.next_cursor;
        this.hasEnded = page.next_cursor === null;
        this.looked += page.videos.length;
        found.push(...this.held(page.videos));
      } catch (error) {
        if (!found.length) throw error;
        break;
      }
    }
    return found;
  }

  /**
   * Return what the list begins with now, and the time down to which that is all there is.
   * @param {(id: string) => boolean} isKnown - it is read down to the first that is; many may have come at once.
   * @returns {Promise<{videos: any[], since: string | null}>} `since` is "" where there is nothing further down, and
   *   null where nobody knows.
   * @throws {calls.Problem}
   */
  async head(isKnown) {
    const videos = [];
    let page = await this.ask(PAGE, null);
    videos.push(...page.videos);
    for (let at = 1; at < MOST_HEAD && page.next_cursor !== null && !page.videos.some(({ id }) => isKnown(id)); at += 1) {
      page = await this.ask(LARGEST_PAGE, page.next_cursor);
      videos.push(...page.videos);
    }
    const since = page.next_cursor === null ? "" : (videos.at(-1)?.created_at ?? null);
    return { videos: this.held(videos), since };
  }

  /**
   * @param {number} limit
   * @param {string | null} cursor
   * @returns {Promise<{videos: any[], next_cursor: string | null}>}
   */
  ask(limit, cursor) {
    return calls.get(PATH, { query: { ...this.filter.query, limit, cursor }, signal: this.abort.signal });
  }

  /** @param {any[]} videos */
  held(videos) {
    return videos.filter((video) => this.filter.holds(video));
  }

  /** Ask no more. */
  stop() {
    this.abort.abort();
  }
}
