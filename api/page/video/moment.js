// What the picture shows, in words: for whoever does not see the boxes, and for whoever wants to know exactly.
import { element, write } from "../elements.js";
import { number, say } from "../words.js";
import { clock } from "./time.js";

/**
 * Make the line below the picture.
 * @param {import("./player.js").Player} player
 * @param {import("./stage.js").Stage} stage
 */
export function createMoment(player, stage) {
  const where = element("span", { class: "where numbers" });
  const what = element("span", { class: "what" });
  // It is read aloud where the video stands still, not while it plays.
  const node = element("p", { class: "moment", "aria-live": "off", "aria-atomic": "true" }, where, what);
  const show = () => {
    node.setAttribute("aria-live", player.video.paused && !player.video.seeking ? "polite" : "off");
    const { shown, scene } = stage;
    write(where, placeOf(player, stage));
    write(what, shown ? sayCounts(shown.counts, scene.found.classes, stage.hasBoxes) : "");
  };
  stage.addEventListener("drawn", show);
  return node;
}

/**
 * @param {import("./player.js").Player} player
 * @param {import("./stage.js").Stage} stage
 */
function placeOf(player, { shown, scene }) {
  const time = clock(player.time, 3);
  if (!shown) return say("video.moment.nothing", { time });
  const { found } = scene;
  const frame = number(found.number[shown.place]);
  if (shown.isExact || !player.video.paused) return say("video.moment.frame", { time, frame });
  const ago = player.time - found.time[shown.place];
  return say("video.moment.held", { time, frame, ago: number(ago, { maximumFractionDigits: 3 }) });
}

/**
 * @param {Map<number, number>} counts
 * @param {string[]} classes
 * @param {boolean} hasBoxes
 */
function sayCounts(counts, classes, hasBoxes) {
  if (!hasBoxes) return say("video.moment.hidden");
  if (!counts.size) return say("video.moment.none");
  const sorted = [...counts].sort(([one, few], [other, many]) => many - few || one - other);
  return sorted.map(([kind, count]) => `${classes[kind]} × ${number(count)}`).join(", ");
}
