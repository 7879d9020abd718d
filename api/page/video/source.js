// Finds a file that this browser plays: the video as it was uploaded, or else the small one made of it.
import { element, write } from "../elements.js";
import { number, say } from "../words.js";
import { shareOf, untilMade } from "./made.js";
import { isLeft } from "./pausing.js";

/**
 * Give the player something to play; what is on the way is said over the picture.
 * @param {import("./player.js").Player} player
 * @param {{calls: typeof import("../calls.js"), videoId: string, signal: AbortSignal}} context
 * @returns {HTMLElement} what is said.
 */
export function createSource(player, { calls, videoId, signal }) {
  const base = `api/v1/videos/${videoId}`;
  const said = element("p", {});
  const bar = element("progress", { max: "1", hidden: true, "aria-label": say("video.preview") });
  const node = element("div", { class: "veil", role: "status", hidden: true }, said, bar);
  let isPreview = false;
  /** @param {string} text */
  const tell = (text) => {
    node.hidden = !text;
    write(said, text);
  };
  const usePreview = async () => {
    if (signal.aborted) return;
    if (isPreview) {
      tell(say("video.unplayable"));
      return;
    }
    isPreview = true;
    tell(say("video.preview.making"));
    try {
      await untilMade(calls, `${base}/preview.mp4`, { signal, onProgress: (making) => showShare(bar, said, making) });
      tell("");
      player.load(calls.address(`${base}/preview.mp4`));
    } catch (error) {
      const why = /** @type {any} */ (error).sentence ?? String(error);
      if (!isLeft(error)) tell(say("video.preview.failed", { why }));
    }
    bar.hidden = true;
  };
  player.video.addEventListener("error", usePreview, { signal });
  // A browser that knows the sound's codec but not the picture's plays sound alone.
  const check = () => player.video.videoWidth || usePreview();
  player.video.addEventListener("loadedmetadata", check, { signal });
  player.load(calls.address(`${base}/media`));
  return node;
}

/**
 * @param {HTMLProgressElement} bar
 * @param {HTMLElement} said
 * @param {import("./made.js").Making} making
 */
function showShare(bar, said, making) {
  const share = shareOf(making);
  bar.hidden = false;
  if (share === null) {
    bar.removeAttribute("value");
    return;
  }
  bar.value = share;
  write(said, say("video.preview.share", { share: number(share, { style: "percent" }) }));
}
