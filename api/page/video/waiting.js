// A video that is not ready yet: how far it is, how long it takes, and a way to stop it.
import { element, write } from "../elements.js";
import { say } from "../words.js";
import { clock } from "./time.js";

/**
 * Show how far a video is.
 * @param {{cancel: () => Promise<void>}} actions
 * @returns {{node: HTMLElement, show: (video: any) => void}}
 */
export function createWaiting(actions) {
  const stage = element("p", { class: "stage-word", role: "status" });
  const bar = element("progress", { max: "1", "aria-label": say("video.progress") });
  const facts = element("p", { class: "quiet numbers" });
  const problem = element("p", { class: "bad", role: "alert" });
  const cancel = async () => {
    button.disabled = true;
    try {
      await actions.cancel();
    } catch (error) {
      write(problem, /** @type {any} */ (error).sentence ?? String(error));
      button.disabled = false;
    }
  };
  const button = element("button", { type: "button", on: { click: cancel } }, say("video.cancel"));
  const node = element("section", { class: "panel state-panel" }, stage, bar, facts, button, problem);
  /** @param {any} video */
  const show = (video) => {
    const { progress } = video;
    write(stage, say(`video.stage.${video.stage ?? video.status}`));
    const share = progress.frames_total ? Math.min(1, progress.frames_done / progress.frames_total) : null;
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
    write(facts, factsOf(progress));
  };
  return { node, show };
}

/** @param {any} progress */
function factsOf(progress) {
  if (!progress.known) return say("video.progress.unknown");
  const parts = [];
  if (progress.queue_position) parts.push(say("video.progress.queue", { count: progress.queue_position }));
  if (progress.frames_total) {
    parts.push(say("video.progress.frames", { done: progress.frames_done, total: progress.frames_total }));
  }
  if (progress.fps) parts.push(say("video.progress.fps", { fps: progress.fps }));
  if (progress.eta_seconds !== null && progress.eta_seconds !== undefined) {
    parts.push(say("video.progress.eta", { time: clock(Math.ceil(progress.eta_seconds)) }));
  }
  return parts.join(" · ") || say("video.progress.soon");
}
