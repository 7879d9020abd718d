// What can be done with the player, whichever button or key asks for it.
import { say } from "../words.js";
import { SPEEDS } from "./controls.js";

/**
 * @param {object} parts
 * @param {import("./player.js").Player} parts.player
 * @param {import("./stage.js").Stage} parts.stage
 * @param {import("./timeline.js").Timeline} parts.timeline
 * @param {HTMLElement} parts.screen - what fills the screen.
 * @param {HTMLDialogElement} parts.keyList
 * @param {string} parts.videoId
 * @param {(text: string) => void} parts.tell
 * @returns {import("./keys.js").KeyActions}
 */
export function actionsOf({ player, stage, timeline, screen, keyList, videoId, tell }) {
  const { video } = player;
  return {
    toggle: () => player.toggle(),
    step: (direction) => player.step(direction),
    hop: (direction) => hop(player, stage.scene, direction),
    go: (seconds) => player.seek(seconds),
    move: (seconds) => player.seek(player.target + seconds),
    zoom: (direction) => timeline.zoom(direction),
    whole: () => fillScreen(screen),
    boxes: () => stage.showBoxes(!stage.hasBoxes),
    labels: () => stage.showLabels(!stage.scene.hasLabels),
    mute: () => (video.muted = !video.muted),
    speed: (direction) => {
      const place = SPEEDS.findIndex((each) => each >= video.playbackRate);
      video.playbackRate = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, place + direction))];
    },
    keys: () => keyList.showModal(),
    link: () => copyLink(player, videoId, tell),
  };
}

/**
 * Go to the next frame that was looked at and shows something of what is chosen.
 * @param {import("./player.js").Player} player
 * @param {import("./drawing.js").Scene} scene
 * @param {1 | -1} direction
 */
function hop(player, { found, mask, least }, direction) {
  const isSeen = (/** @type {number} */ place) => {
    for (let each = found.first[place]; each < found.first[place + 1]; each++) {
      if (found.conf[each] >= least && mask[found.kind[each]]) return true;
    }
    return false;
  };
  const here = found.at(player.target);
  const isBetween = here >= 0 && player.target - found.time[here] > 0.001;
  let place = direction < 0 && isBetween ? here : here + direction;
  while (place >= 0 && place < found.frames && !isSeen(place)) place += direction;
  if (place < 0 || place >= found.frames) return;
  player.video.pause();
  player.seekFrame(found.time[place]);
}

/**
 * Fill the screen with the picture, its boxes and its buttons, or no longer.
 * @param {HTMLElement} screen
 */
function fillScreen(screen) {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (screen.requestFullscreen) screen.requestFullscreen().catch(() => screen.classList.toggle("filled"));
  else screen.classList.toggle("filled"); // phones on which only a bare video may
}

/**
 * @param {import("./player.js").Player} player
 * @param {string} videoId
 * @param {(text: string) => void} tell
 */
async function copyLink(player, videoId, tell) {
  history.replaceState(null, "", momentOf(videoId, player.time));
  try {
    await navigator.clipboard.writeText(location.href);
    tell(say("video.link.copied"));
  } catch {
    tell(say("video.link.shown"));
  }
}

/**
 * Return the address of a moment.
 * @param {string} videoId
 * @param {number} seconds
 */
export function momentOf(videoId, seconds) {
  return `#/videos/${encodeURIComponent(videoId)}?t=${Number(Math.max(0, seconds).toFixed(3))}`;
}
