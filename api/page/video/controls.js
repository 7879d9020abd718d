// The buttons below the picture.
import { element } from "../elements.js";
import { number, say } from "../words.js";
import { icon, setIcon } from "./icons.js";
import { clock } from "./time.js";

/** Speeds that can be chosen; browsers play no sound below the first. */
export const SPEEDS = [0.1, 0.25, 0.5, 1, 1.5, 2, 4, 8];

/**
 * @typedef {object} Actions
 * @property {() => void} toggle
 * @property {(direction: 1 | -1) => void} step - to the next picture or the one before.
 * @property {(direction: 1 | -1) => void} hop - to the next picture that was looked at and shows something.
 * @property {() => void} whole - fills the screen, or no longer.
 * @property {() => void} boxes - shows or hides the boxes.
 * @property {() => void} labels
 * @property {() => void} mute
 * @property {(direction: 1 | -1) => void} speed
 * @property {() => void} keys - lists the keys.
 * @property {() => void} link - copies the address of this moment.
 */

/**
 * Make the row of buttons.
 * @param {import("./player.js").Player} player
 * @param {import("./stage.js").Stage} stage
 * @param {Actions} actions
 * @returns {{node: HTMLElement, setDuration: (seconds: number) => void}}
 */
export function createControls(player, stage, actions) {
  const { video } = player;
  const play = button("play", "video.play", actions.toggle);
  const seek = createSeek(player);
  const boxes = button("boxes", "video.boxes", actions.boxes);
  const labels = button("labels", "video.labels", actions.labels);
  const mute = button("sound", "video.mute", actions.mute);
  const speed = createSpeed(video);
  const node = element(
    "div",
    { class: "controls", role: "group", "aria-label": say("video.controls") },
    seek.node,
    element(
      "div",
      { class: "buttons" },
      button("earlier", "video.earlier", () => actions.hop(-1)),
      button("back", "video.back", () => actions.step(-1)),
      play,
      button("ahead", "video.ahead", () => actions.step(1)),
      button("later", "video.later", () => actions.hop(1)),
      seek.clock,
      element("span", { class: "spacer" }),
      speed,
      boxes,
      labels,
      mute,
      button("link", "video.link", actions.link),
      button("keys", "video.keys", actions.keys),
      button("whole", "video.whole", actions.whole),
    ),
  );
  const show = () => {
    setIcon(play, video.paused ? "play" : "pause");
    name(play, say(video.paused ? "video.play" : "video.pause"));
    setIcon(mute, video.muted ? "silent" : "sound");
    mute.setAttribute("aria-pressed", String(video.muted));
    boxes.setAttribute("aria-pressed", String(stage.hasBoxes));
    labels.setAttribute("aria-pressed", String(stage.scene.hasLabels));
  };
  for (const event of ["play", "pause", "ended", "volumechange"]) video.addEventListener(event, show);
  stage.addEventListener("toggled", show);
  show();
  return { node, setDuration: seek.setDuration };
}

/**
 * @param {import("./icons.js").Sign} sign
 * @param {string} word
 * @param {() => void} act
 */
function button(sign, word, act) {
  const made = element("button", { type: "button", class: "sign", on: { click: act } }, icon(sign));
  name(made, say(word));
  return made;
}

/**
 * @param {HTMLElement} node
 * @param {string} text
 */
function name(node, text) {
  node.setAttribute("aria-label", text);
  node.title = text;
}

/**
 * The slider of the whole video, and the clock.
 * @param {import("./player.js").Player} player
 */
function createSeek(player) {
  let duration = 0;
  const node = element("input", {
    ...{ type: "range", class: "seek", min: "0", max: "0", step: "any", value: "0" },
    "aria-label": say("video.position"),
    on: { input: () => player.seek(Number(node.value)) },
  });
  const clockNode = element("span", { class: "clock" });
  const show = () => {
    const time = player.target;
    node.value = String(time);
    node.style.setProperty("--done", `${duration ? Math.min(100, (time / duration) * 100) : 0}%`);
    const text = say("video.of", { time: clock(time, 2), whole: clock(duration) });
    node.setAttribute("aria-valuetext", text);
    clockNode.textContent = text;
  };
  player.addEventListener("picture", show);
  player.video.addEventListener("seeking", show);
  /** @param {number} seconds */
  const setDuration = (seconds) => {
    duration = seconds;
    node.max = String(seconds);
    show();
  };
  return { node, clock: clockNode, setDuration };
}

/** @param {HTMLVideoElement} video */
function createSpeed(video) {
  const options = SPEEDS.map((each) =>
    element("option", { value: String(each) }, say("video.times", { speed: number(each) })),
  );
  const choose = () => {
    video.playbackRate = Number(made.value);
  };
  const facts = { class: "speed", "aria-label": say("video.speed"), title: say("video.speed") };
  const made = element("select", { ...facts, on: { change: choose } }, options);
  made.value = "1";
  video.addEventListener("ratechange", () => (made.value = String(video.playbackRate)));
  return made;
}
