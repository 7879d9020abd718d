// What each key does, and a list of that.
import { element } from "../elements.js";
import { say } from "../words.js";

/** Seconds that the arrows go, and J and L. */
const NEAR = 5;
const FAR = 10;

const KEPT_AS = "kadr.keys";

/**
 * @typedef {import("./controls.js").Actions & {
 *   go: (seconds: number) => void, move: (seconds: number) => void, zoom: (direction: 1 | -1) => void}} KeyActions
 */

/** @type {[keys: string[], word: string, shown: string, act: (actions: KeyActions) => void][]} */
const KEYS = [
  [[" ", "k"], "video.key.toggle", "Space, K", (actions) => actions.toggle()],
  [["ArrowLeft"], "video.key.left", "←", (actions) => actions.move(-NEAR)],
  [["ArrowRight"], "video.key.right", "→", (actions) => actions.move(NEAR)],
  [["j"], "video.key.j", "J", (actions) => actions.move(-FAR)],
  [["l"], "video.key.l", "L", (actions) => actions.move(FAR)],
  [[","], "video.key.back", ",", (actions) => actions.step(-1)],
  [["."], "video.key.ahead", ".", (actions) => actions.step(1)],
  [["p"], "video.key.earlier", "P", (actions) => actions.hop(-1)],
  [["n"], "video.key.later", "N", (actions) => actions.hop(1)],
  [["<"], "video.key.slower", "<", (actions) => actions.speed(-1)],
  [[">"], "video.key.faster", ">", (actions) => actions.speed(1)],
  [["+", "="], "video.key.closer", "+", (actions) => actions.zoom(1)],
  [["-"], "video.key.wider", "−", (actions) => actions.zoom(-1)],
  [["b"], "video.key.boxes", "B", (actions) => actions.boxes()],
  [["m"], "video.key.mute", "M", (actions) => actions.mute()],
  [["f"], "video.key.whole", "F", (actions) => actions.whole()],
  [["?"], "video.key.keys", "?", (actions) => actions.keys()],
];

/** Where a key means something else. */
const TYPING = "input:not(.seek, [type=checkbox]), select, textarea, [contenteditable], dialog";

/** Where the space bar means something else. */
const PRESSED = "button, a, summary, input";

/**
 * Do what keys say until the signal ends.
 * @param {KeyActions} actions
 * @param {AbortSignal} signal
 */
export function listenForKeys(actions, signal) {
  document.addEventListener(
    "keydown",
    (event) => {
      const target = event.target instanceof Element ? event.target : document.body;
      if (event.ctrlKey || event.metaKey || event.altKey || target.closest(TYPING)) return;
      if (document.querySelector("dialog[open]") || (event.key === " " && target.closest(PRESSED))) return;
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const found = KEYS.find(([keys]) => keys.includes(key));
      if (!found || (key !== "?" && key.length === 1 && key !== " " && !areOn())) return;
      event.preventDefault();
      found[3](actions);
    },
    { signal },
  );
}

/** Make the list of keys. @returns {HTMLDialogElement} */
export function createKeyList() {
  const box = element("input", { type: "checkbox", checked: areOn(), on: { change: () => turn(box.checked) } });
  const rows = KEYS.flatMap(([, word, shown]) => [
    element("dt", {}, element("kbd", {}, shown)),
    element("dd", {}, say(word)),
  ]);
  const dialog = element(
    "dialog",
    { class: "keys", "aria-labelledby": "keys-title" },
    element("h2", { id: "keys-title" }, say("video.keys")),
    element("dl", {}, rows),
    element("label", { class: "check" }, box, say("video.keys.on")),
    element(
      "form",
      { method: "dialog", class: "dialog-buttons" },
      element("button", { class: "strong" }, say("video.close")),
    ),
  );
  return dialog;
}

/** Whether letters do something: whoever speaks to the computer may not want that (WCAG 2.1.4). */
function areOn() {
  try {
    return localStorage.getItem(KEPT_AS) !== "off";
  } catch {
    return true;
  }
}

/** @param {boolean} isOn */
function turn(isOn) {
  try {
    localStorage.setItem(KEPT_AS, isOn ? "on" : "off");
  } catch {
    // Storage may be forbidden; then they stay on.
  }
}
