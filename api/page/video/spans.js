// When each class is to be seen, as a table: what the lanes show, for whoever reads.
import { element } from "../elements.js";
import { number, say } from "../words.js";
import { PARTS } from "./found.js";
import { segmentsOf } from "./segments.js";
import { clock } from "./time.js";

/** Rows that are shown: more are in the files. */
const MOST = 500;

/**
 * Make the table; it is filled when it is opened.
 * @param {import("./player.js").Player} player
 * @param {import("./drawing.js").Scene} scene
 * @param {import("./choice.js").Choice} choice
 */
export function createSpans(player, scene, choice) {
  const body = element("div", { class: "spans" });
  const node = element("details", { class: "panel" }, element("summary", {}, say("video.spans")), body);
  const fill = () => {
    if (node.open) body.replaceChildren(...table(player, scene));
  };
  node.addEventListener("toggle", fill);
  let timer = 0;
  choice.addEventListener("change", () => {
    clearTimeout(timer);
    timer = setTimeout(fill, 150);
  });
  return { node, fill };
}

/**
 * @param {import("./player.js").Player} player
 * @param {import("./drawing.js").Scene} scene
 */
function table(player, scene) {
  const all = segmentsOf(scene.found, scene.mask, scene.least);
  if (!all.length) return [element("p", { class: "quiet" }, say("video.spans.none"))];
  const heads = ["class", "from", "to", "frames", "conf"];
  const head = heads.map((each) => element("th", { scope: "col" }, say(`video.spans.${each}`)));
  const rows = all.slice(0, MOST).map((segment) => row(player, scene, segment));
  const made = element("table", {}, element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows));
  const left = all.length - MOST;
  const facts = { class: "scroll", tabindex: "0", role: "region", "aria-label": say("video.spans") };
  return [
    element("div", facts, made),
    left > 0 && element("p", { class: "quiet" }, say("video.spans.more", { count: left })),
  ].filter(Boolean);
}

/**
 * @param {import("./player.js").Player} player
 * @param {import("./drawing.js").Scene} scene
 * @param {import("./segments.js").Segment} segment
 */
function row(player, { found, looks }, segment) {
  const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
  swatch.style.background = looks[segment.kind].fill;
  const name = found.classes[segment.kind];
  const start = clock(segment.start, 2);
  const go = () => player.seekFrame(segment.start);
  const facts = { type: "button", class: "plain numbers", "aria-label": say("video.goto", { name, time: start }) };
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, swatch, element("bdi", {}, name)),
    element("td", {}, element("button", { ...facts, on: { click: go } }, start)),
    element("td", { class: "numbers" }, clock(segment.end, 2)),
    element("td", { class: "numbers" }, number(segment.frames)),
    element("td", { class: "numbers" }, number(segment.conf / PARTS, { style: "percent" })),
  );
}
