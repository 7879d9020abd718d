// The signs on the player's buttons, drawn on a grid of 24.
import { element } from "../elements.js";

const PATHS = {
  play: "M8 5v14l11-7z",
  pause: "M7 5h4v14H7zM13 5h4v14h-4z",
  back: "M14 6 8 12l6 6zM5.5 6h2v12h-2z",
  ahead: "M10 6l6 6-6 6zM16.5 6h2v12h-2z",
  earlier: "M12 6v12l-7-6zM19.5 6v12l-7-6z",
  later: "M4.5 6v12l7-6zM12 6v12l7-6z",
  sound: "M4 9.5h3.5L12 5.5v13l-4.5-4H4zM14.5 8.5a5 5 0 0 1 0 7l-1.2-1.2a3.2 3.2 0 0 0 0-4.6zM17 6a8.5 8.5 0 0 1 0 12l-1.2-1.2a6.8 6.8 0 0 0 0-9.6z",
  silent: "M4 9.5h3.5L12 5.5v13l-4.5-4H4zM15 9l1.2-1.2L18 9.6l1.8-1.8L21 9l-1.8 1.8L21 12.6l-1.2 1.2L18 12l-1.8 1.8L15 12.6l1.8-1.8z",
  whole: "M5 5h6v2H7v4H5zM13 5h6v6h-2V7h-4zM5 13h2v4h4v2H5zM17 13h2v6h-6v-2h4z",
  boxes: "M4 5h16v14H4zM6 7v10h12V7zM8.5 9.5h7v5h-7z",
  labels: "M3.5 7h11l6 5-6 5h-11zM5.5 9v6h8.3l3.6-3-3.6-3z",
  keys: "M3 6.5h18v11H3zM5 8.5v7h14v-7zM6.5 10h2v1.5h-2zM10 10h2v1.5h-2zM13.5 10h2v1.5h-2zM8 12.8h8v1.5H8z",
  link: "M10.6 13.4a3.5 3.5 0 0 1 0-5l3-3a3.5 3.5 0 0 1 5 5l-1.8 1.8-1.3-1.3 1.8-1.8a1.7 1.7 0 0 0-2.4-2.4l-3 3a1.7 1.7 0 0 0 0 2.4zM13.4 10.6a3.5 3.5 0 0 1 0 5l-3 3a3.5 3.5 0 0 1-5-5l1.8-1.8 1.3 1.3-1.8 1.8a1.7 1.7 0 0 0 2.4 2.4l3-3a1.7 1.7 0 0 0 0-2.4z",
};

/** @typedef {keyof typeof PATHS} Sign */

/**
 * @param {Sign} sign
 * @returns {SVGElement}
 */
export function icon(sign) {
  const facts = { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" };
  return element("svg:svg", facts, element("svg:path", { d: PATHS[sign], "fill-rule": "evenodd" }));
}

/**
 * Show another sign on a button.
 * @param {HTMLElement} button
 * @param {Sign} sign
 */
export function setIcon(button, sign) {
  button.querySelector("path")?.setAttribute("d", PATHS[sign]);
}
