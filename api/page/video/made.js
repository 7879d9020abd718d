// What the API makes when it is first asked for: asked again and again until it is there.
import { pause } from "./pausing.js";

/** @typedef {{status: string, frames_done?: number, frames_total?: number | null}} Making */

/**
 * Ask for something until it is there.
 * @param {typeof import("../calls.js")} calls
 * @param {string} path
 * @param {{signal: AbortSignal, query?: Record<string, any>, onProgress?: (making: Making) => void}} how
 * @throws {import("../calls.js").Problem} it cannot be made.
 */
export async function untilMade(calls, path, { signal, query, onProgress }) {
  for (;;) {
    // One byte tells whether it is there: the whole is for the player, or for a file.
    const answer = await patient(() => calls.ask(path, { query, signal, headers: { Range: "bytes=0-0" } }), signal);
    if (answer.status !== 202) {
      await answer.body?.cancel();
      return;
    }
    onProgress?.(await answer.json());
    await pause(1000 * (Number(answer.headers.get("Retry-After")) || 2), signal);
  }
}

/**
 * @param {() => Promise<Response>} ask
 * @param {AbortSignal} signal
 */
async function patient(ask, signal) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const { status, retryAfter } = /** @type {any} */ (error);
      if (status !== 503) throw error;
      await pause(1000 * (retryAfter ?? 5), signal);
    }
  }
}

/**
 * Return how far it is, from 0 to 1; null where nobody knows.
 * @param {Making} making
 */
export function shareOf({ frames_done: done, frames_total: total }) {
  return done && total ? Math.min(1, done / total) : null;
}
