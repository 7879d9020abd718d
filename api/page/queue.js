// The uploads: two at a time, in the order in which they were added.
import { Upload } from "./upload.js";

/** Uploads at a time; each takes one of the six connections that a browser opens to a host. */
const AT_ONCE = 2;

/** The queue. */
export class Queue {
  /**
   * @param {{onChange: (upload: Upload) => void, onEnd: (upload: Upload) => void}} told
   */
  constructor(told) {
    this.told = told;
    /** @type {Upload[]} */
    this.uploads = [];
    /** @type {Set<Upload>} */
    this.running = new Set();
    this.done = 0;
    addEventListener("beforeunload", (event) => this.isBusy && event.preventDefault());
  }

  get isBusy() {
    return this.uploads.some((upload) => !upload.hasEnded);
  }

  /** All that were added since the queue was last empty, those that are done too. */
  get total() {
    return this.done + this.uploads.length;
  }

  /**
   * @param {File[]} files
   * @param {[string, string][]} options
   */
  add(files, options) {
    if (!this.isBusy && !this.uploads.length) this.done = 0;
    for (const file of files) {
      const upload = new Upload(file, options, () => this.told.onChange(upload));
      this.uploads.push(upload);
    }
    this.fill();
  }

  /** @param {Upload} upload */
  retry(upload) {
    upload.again();
    this.fill();
  }

  /**
   * Take an upload out, stopped if it has not ended.
   * @param {Upload} upload
   */
  remove(upload) {
    upload.cancel();
    this.uploads = this.uploads.filter((each) => each !== upload);
    this.told.onChange(upload);
  }

  /** Take all out that have not ended. */
  cancelAll() {
    for (const upload of this.uploads.filter((each) => !each.hasEnded)) this.remove(upload);
  }

  fill() {
    for (const upload of this.uploads) {
      if (this.running.size >= AT_ONCE) return;
      if (upload.state === "waiting" && !this.running.has(upload)) void this.run(upload);
    }
  }

  /** @param {Upload} upload */
  async run(upload) {
    this.running.add(upload);
    await upload.run();
    this.running.delete(upload);
    if (upload.state === "done") {
      this.done += 1;
      this.uploads = this.uploads.filter((each) => each !== upload);
    }
    this.told.onEnd(upload);
    this.fill();
  }
}
