// The uploads on the page: those on their way, those that failed, and how many wait.
import { element, write } from "./elements.js";
import { duration, size } from "./units.js";
import { say } from "./words.js";

/** Uploads that wait and are shown; a folder may hold thousands. */
const WAITING_SHOWN = 3;

/** Uploads that have failed and are shown. */
const FAILED_SHOWN = 20;

/** @typedef {import("./upload.js").Upload} Upload */

/** The list of uploads. */
export class UploadRows {
  /**
   * @param {HTMLElement} container - empty.
   * @param {import("./queue.js").Queue} queue
   */
  constructor(container, queue) {
    this.container = container;
    this.queue = queue;
    /** @type {Map<Upload, UploadRow>} */
    this.rows = new Map();
    this.summary = element("p", { class: "numbers small" });
    this.cancelAll = element("button", { type: "button", class: "plain", on: { click: () => queue.cancelAll() } });
    this.list = element("ul", { class: "queue-list", role: "list" });
    this.more = element("p", { class: "queue-more" });
    container.classList.add("queue");
    container.append(element("div", { class: "queue-head" }, this.summary, this.cancelAll), this.list, this.more);
    this.isDue = false;
  }

  /** Show how it is, at the next picture: bytes go faster than anybody sees. */
  show() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.draw();
    });
  }

  draw() {
    const { uploads, done, total } = this.queue;
    const failed = uploads.filter(({ state }) => state === "failed");
    const waiting = uploads.filter(({ state }) => state === "waiting");
    const moving = uploads.filter(({ state, hasEnded }) => !hasEnded && state !== "waiting");
    const shown = [...failed.slice(0, FAILED_SHOWN), ...moving, ...waiting.slice(0, WAITING_SHOWN)];
    this.container.hidden = !uploads.length;
    const failures = failed.length ? `, ${say("upload.failures", { count: failed.length })}` : "";
    write(this.summary, say("upload.summary", { done, total }) + failures);
    write(this.cancelAll, say("upload.cancelAll"));
    this.cancelAll.hidden = moving.length + waiting.length < 2;
    const rest = waiting.length - WAITING_SHOWN;
    this.more.hidden = rest <= 0;
    if (rest > 0) write(this.more, say("upload.more", { count: rest }));
    this.place(shown);
  }

  /** @param {Upload[]} shown */
  place(shown) {
    for (const [upload, row] of this.rows) {
      if (shown.includes(upload)) continue;
      row.node.remove();
      this.rows.delete(upload);
    }
    shown.forEach((upload, at) => {
      const row = this.rows.get(upload) ?? new UploadRow(upload, this.queue);
      this.rows.set(upload, row);
      row.draw();
      if (this.list.children[at] !== row.node) this.list.insertBefore(row.node, this.list.children[at] ?? null);
    });
  }
}

/** One upload. */
class UploadRow {
  /**
   * @param {Upload} upload
   * @param {import("./queue.js").Queue} queue
   */
  constructor(upload, queue) {
    this.upload = upload;
    this.bar = element("progress", { max: 1 });
    this.how = element("span", { class: "numbers" });
    this.retry = element("button", { type: "button", class: "plain", on: { click: () => queue.retry(upload) } });
    this.remove = element("button", { type: "button", class: "plain", on: { click: () => queue.remove(upload) } });
    this.node = element(
      "li",
      { class: "upload" },
      element("span", { class: "upload-name", title: upload.file.name }, upload.file.name),
      element("div", { class: "upload-how" }, this.bar, this.how),
      element("div", { class: "upload-buttons" }, this.retry, this.remove),
    );
  }

  draw() {
    const { state, sent, file } = this.upload;
    const named = { name: file.name };
    const hasFailed = state === "failed";
    this.bar.hidden = hasFailed;
    this.bar.setAttribute("aria-label", say("upload.progress.of", named));
    if (state === "storing") this.bar.removeAttribute("value");
    else this.bar.value = file.size ? sent / file.size : 0;
    write(this.how, this.words());
    this.how.classList.toggle("bad", hasFailed);
    this.retry.hidden = !hasFailed;
    write(this.retry, say("upload.retry"));
    this.retry.setAttribute("aria-label", say("upload.retry.of", named));
    write(this.remove, say(hasFailed ? "upload.dismiss" : "upload.cancel"));
    this.remove.setAttribute("aria-label", say(hasFailed ? "upload.dismiss.of" : "upload.cancel.of", named));
  }

  words() {
    const { state, sent, file, rate, pause, problem } = this.upload;
    if (state === "waiting") return `${say("upload.waiting")} · ${size(file.size)}`;
    if (state === "storing") return `${say("upload.finishing")}…`;
    if (state === "failed") return problem?.sentence ?? "";
    if (state === "pausing") return say("upload.again", { count: pause });
    const words = say("upload.sending", { done: size(sent), total: size(file.size) });
    const speed = rate && say("upload.speed", { rate: size(rate), left: duration((file.size - sent) / rate) });
    return speed ? `${words} · ${speed}` : words;
  }
}
