// What is to be said of a result before one looks at it.
import { element } from "../elements.js";
import { say } from "../words.js";
import { clock } from "./time.js";

/**
 * Return the facts of a video in a line.
 * @param {any} head - of its result.
 */
export function factsOf({ video, model, options }) {
  const parts = [`${video.width} × ${video.height}`, clock(video.duration, video.duration < 60 ? 1 : 0)];
  if (video.fps) parts.push(say("video.facts.fps", { fps: video.fps }));
  parts.push(say("video.facts.sampled", { count: video.sampled }));
  if (options?.vid_stride > 1) parts.push(say("video.facts.stride", { count: options.vid_stride }));
  parts.push(say("video.facts.model", { name: model.name }));
  return parts.join(" · ");
}

/**
 * Return what must not be overlooked.
 * @param {any} head
 * @param {import("./found.js").Found} found
 * @returns {HTMLElement[]}
 */
export function notesOf({ video, model, other_models: others = [] }, found) {
  const notes = [];
  if (video.truncated) {
    notes.push(say("video.note.truncated", { time: clock(video.truncated_at ?? video.duration, 2) }));
  }
  if (found.failed) notes.push(say("video.note.failed", { count: found.failed }));
  if (!found.objects) notes.push(say("video.note.nothing", { count: found.frames }));
  if (others.length) {
    notes.push(say("video.note.models", { names: [model, ...others].map(({ name, backend }) => `${name} (${backend})`).join(", ") }));
  }
  if (model.demo) notes.push(say("video.note.demo"));
  return notes.map((text) => element("p", { class: "note" }, text));
}

/**
 * Return when something happened, as the reader writes it.
 * @param {string} moment - RFC 3339.
 * @param {string} language
 */
export function whenOf(moment, language) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(moment));
}
