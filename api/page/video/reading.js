// Reads a result page by page: each page is cheap for the API, and what has come can be looked at already.
import { isPassing, pause } from "./pausing.js";

/** Frames of a page: the most that the API gives. */
const ROWS = 1000;

/** How often a page is asked for again after the API could not answer. */
const TRIES = 5;

/** @typedef {import("./found.js").Found} Found */

/**
 * Read what was found in a video.
 * @param {Found} found - filled as pages come.
 * @param {typeof import("../calls.js")} calls
 * @param {string} videoId
 * @param {{signal: AbortSignal, onPage: (head: any, isLast: boolean) => void}} how - the head has the facts of the
 *   video, the model and the options.
 * @throws {import("../calls.js").Problem}
 */
export async function read(found, calls, videoId, { signal, onPage }) {
  const path = `api/v1/videos/${videoId}/detections`;
  let cursor = null;
  do {
    const { prediction, ...head } = await page(calls, path, { format: "json", limit: ROWS, cursor }, signal);
    if (cursor === null) found.sampled(head.options?.vid_stride ?? strideOf(prediction), head.video.fps);
    found.add(prediction);
    cursor = head.next_cursor ?? null;
    onPage(head, cursor === null);
  } while (cursor !== null && !signal.aborted);
}

/**
 * @param {typeof import("../calls.js")} calls
 * @param {string} path
 * @param {Record<string, any>} query
 * @param {AbortSignal} signal
 */
async function page(calls, path, query, signal) {
  for (let tries = 1; ; tries++) {
    try {
      return await calls.get(path, { query, signal });
    } catch (error) {
      if (tries === TRIES || !isPassing(error)) throw error;
      await pause((/** @type {any} */ (error).retryAfter ?? tries) * 1000, signal);
    }
  }
}

/**
 * Results of version 0.1 do not say their stride: it is the least distance that two frames have.
 * @param {import("./found.js").Row[]} rows
 */
function strideOf(rows) {
  const steps = rows.slice(1).map((row, place) => row.frame - rows[place].frame);
  return steps.length ? steps.reduce((least, step) => Math.min(least, step)) : undefined;
}
