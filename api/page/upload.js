// One file on its way: sent, sent again with the same key when that may help, cancelled.
import * as calls from "./calls.js";

/** @typedef {"waiting" | "sending" | "storing" | "pausing" | "done" | "failed" | "cancelled"} UploadState */

/** Tries before the reader is asked. */
const MOST_TRIES = 6;

/** Seconds of the longest pause between two tries. */
const LONGEST_PAUSE = 30;

/** Answers after which the same request may succeed: nobody there, too slow, in use, too much to do, a service away. */
const PASSING = new Set(["unreachable", "timeout", "idempotency_in_progress", "busy", "unavailable", "unexpected"]);

/** A file and what becomes of it. It never makes two videos, however often it is sent. */
export class Upload {
  /**
   * @param {File} file
   * @param {[string, string][]} options - fields of the form, as `docs/submitting.md` has them.
   * @param {() => void} onChange
   */
  constructor(file, options, onChange) {
    this.file = file;
    this.options = options;
    this.onChange = onChange;
    /** @type {UploadState} */
    this.state = "waiting";
    this.sent = 0;
    /** Bytes per second of late; 0 as long as nobody knows. */
    this.rate = 0;
    this.pause = 0;
    /** @type {calls.Problem | null} */
    this.problem = null;
    /** @type {any} */
    this.video = null;
    this.key = newKey();
    /** @type {XMLHttpRequest | null} */
    this.request = null;
  }

  get hasEnded() {
    return this.state === "done" || this.state === "failed" || this.state === "cancelled";
  }

  /** Send the file, several times if need be; returns when nothing more happens by itself. */
  async run() {
    for (let tries = 1; !this.hasEnded; tries += 1) {
      const problem = await this.send();
      if (this.hasEnded || !problem) return;
      if (problem.status === 401) {
        await calls.keyNeeded();
      } else if (!PASSING.has(problem.code) || tries === MOST_TRIES || !(await isReadable(this.file))) {
        this.problem = (await isReadable(this.file)) ? problem : new calls.Problem(0, { code: "file_changed" });
        this.become("failed");
      } else {
        await this.rest(problem.retryAfter ?? Math.min(2 ** tries, LONGEST_PAUSE));
      }
    }
  }

  /** Stop; nothing of the file is kept by the API. */
  cancel() {
    if (this.hasEnded) return;
    this.become("cancelled");
    this.request?.abort();
    this.wake();
  }

  /** Be ready to be sent again, with the same key. */
  again() {
    this.problem = null;
    this.sent = 0;
    if (this.isSpent) this.key = newKey();
    this.become("waiting");
  }

  /** @returns {Promise<calls.Problem | null>} what went wrong, if anything. */
  send() {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      this.request = request;
      this.become("sending");
      const pace = new Pace();
      request.upload.addEventListener("progress", ({ loaded, total }) => {
        this.sent = Math.round((loaded / (total || 1)) * this.file.size);
        this.rate = pace.at(this.sent);
        this.onChange();
      });
      request.upload.addEventListener("load", () => this.state === "sending" && this.become("storing"));
      request.addEventListener("loadend", () => resolve(this.answered(request)));
      request.open("POST", calls.address("api/v1/videos"));
      request.setRequestHeader("Idempotency-Key", this.key);
      request.send(this.form());
    });
  }

  form() {
    const form = new FormData();
    for (const [name, value] of this.options) form.append(name, value);
    form.append("file", this.file, this.file.name);
    return form;
  }

  /** @param {XMLHttpRequest} request */
  answered(request) {
    this.request = null;
    if (this.state === "cancelled") return null;
    const body = parsed(request.responseText);
    if (request.status >= 200 && request.status < 300 && body) {
      this.video = body;
      this.become("done");
      return null;
    }
    const problem = new calls.Problem(request.status, body ?? {}, Number(request.getResponseHeader("Retry-After")) || null);
    this.isSpent = problem.code === "idempotency_key_reused" || problem.code === "video_deleted";
    return problem;
  }

  /** @param {number} seconds */
  async rest(seconds) {
    this.become("pausing");
    for (this.pause = Math.ceil(seconds); this.pause > 0 && !this.hasEnded; this.pause -= 1) {
      this.onChange();
      await new Promise((resolve) => {
        this.wake = () => resolve(undefined);
        setTimeout(resolve, 1000);
      });
    }
  }

  wake() {}

  /** @param {UploadState} state */
  become(state) {
    this.state = state;
    this.onChange();
  }
}

/** How fast bytes go, of late. */
class Pace {
  constructor() {
    this.at0 = performance.now();
    this.bytes0 = 0;
    this.rate = 0;
  }

  /** @param {number} bytes - sent so far. */
  at(bytes) {
    const now = performance.now();
    const seconds = (now - this.at0) / 1000;
    if (seconds >= 0.5) {
      const rate = (bytes - this.bytes0) / seconds;
      this.rate = this.rate ? this.rate * 0.7 + rate * 0.3 : rate;
      this.at0 = now;
      this.bytes0 = bytes;
    }
    return this.rate;
  }
}

/** A key for the header Idempotency-Key. `randomUUID` is there on secure pages only. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * Whether a file can still be read: the browser says of one that was changed only that there was no answer.
 * @param {File} file
 */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
