// Waiting that ends when the page is left, and what is worth to wait for.

/** Answers after which it is worth to ask again: none at all, and those of a server or proxy that waits for others. */
const PASSING = new Set([0, 502, 503, 504]);

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 * @returns {Promise<void>} rejected as an aborted fetch is.
 */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new DOMException("left", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

/**
 * Whether an error only says that the page was left.
 * @param {unknown} error
 */
export function isLeft(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

/**
 * Whether it is worth to ask again.
 * @param {unknown} error
 */
export function isPassing(error) {
  return PASSING.has(/** @type {any} */ (error).status);
}
