// What a screen reader is told: what has ended, gathered, so that it never speaks without a pause.
import { one } from "./elements.js";

/** Milliseconds between two announcements. */
const PAUSE = 3000;

/** Sentences in one announcement; of more only the last are told. */
const MOST = 3;

/** @type {string[]} */
let waiting = [];
let isResting = false;

/**
 * Tell something, soon.
 * @param {string} sentence
 */
export function announce(sentence) {
  waiting.push(sentence);
  if (!isResting) tell();
}

function tell() {
  isResting = waiting.length > 0;
  if (!isResting) return;
  one("#said").textContent = waiting.slice(-MOST).join(" ");
  waiting = [];
  setTimeout(tell, PAUSE);
}
