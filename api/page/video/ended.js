// A video that has no result: why, what helps, and a way to try it again.
import { element, write } from "../elements.js";
import { isPhrase, say } from "../words.js";

/**
 * Say why a video failed or that it was cancelled.
 * @param {any} video
 * @param {{calls: typeof import("../calls.js"), retry: () => Promise<void>}} with_
 */
export function createEnded(video, { calls, retry }) {
  const problem = element("p", { class: "bad", role: "alert" });
  const again = async () => {
    button.disabled = true;
    try {
      await retry();
    } catch (error) {
      write(problem, /** @type {any} */ (error).sentence ?? String(error));
      button.disabled = false;
    }
  };
  const button = element("button", { type: "button", class: "strong", on: { click: again } }, say("video.retry"));
  return element(
    "section",
    { class: `panel state-panel ${video.status}` },
    element("h2", {}, say(`video.ended.${video.status}`)),
    ...reasonOf(video, calls),
    button,
    problem,
  );
}

/**
 * @param {any} video
 * @param {typeof import("../calls.js")} calls
 */
function reasonOf(video, calls) {
  if (video.status === "cancelled") return [element("p", {}, say("video.todo.cancelled"))];
  const { code, message } = video.error ?? { code: "unexpected", message: "" };
  const key = `video.todo.${code}`;
  return [
    element("p", { class: "reason" }, calls.sentenceOf(code, message)),
    isPhrase(key) && element("p", {}, say(key)),
    element(
      "details",
      { class: "exactly" },
      element("summary", {}, say("video.exactly")),
      element("p", {}, element("code", {}, code), " ", element("span", { lang: "en" }, message)),
    ),
  ].filter(Boolean);
}
