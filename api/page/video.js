// The page of one video: how far it is, why it failed, or everything that was found in it.
import { element, write } from "./elements.js";
import { currentLanguage, say } from "./words.js";
import { createEnded } from "./video/ended.js";
import { whenOf } from "./video/facts.js";
import { isLeft, isPassing, pause } from "./video/pausing.js";
import { createWaiting } from "./video/waiting.js";
import { Workbench } from "./video/workbench.js";

/** Milliseconds after which a video in work is looked at again: the API looks once a second itself. */
const LOOK_AGAIN = 1000;

/** The same for a page that nobody sees. */
const LOOK_AGAIN_UNSEEN = 10_000;

/** @typedef {{t: number | null, calls: typeof import("./calls.js"), navigate: (hash: string) => void}} With */

/**
 * Show a video.
 * @param {HTMLElement} container - empty.
 * @param {string} videoId
 * @param {With} with_ - `t` is where the player begins, in seconds.
 * @returns {() => void} closes it: stops what runs, and forgets its listeners.
 */
export function show(container, videoId, { t, calls }) {
  const leaving = new AbortController();
  const { signal } = leaving;
  const head = createHead();
  const body = element("div", { class: "video-body" });
  container.replaceChildren(element("div", { class: "video" }, head.node, body));
  const page = { calls, videoId, signal, t, head, body, workbench: /** @type {Workbench | null} */ (null) };
  start(page);
  return () => {
    leaving.abort();
    page.workbench?.close();
    container.replaceChildren();
  };
}

/** @param {any} page */
function start(page) {
  follow(page).catch((error) => {
    if (isLeft(error)) return;
    page.body.replaceChildren(element("p", { class: "bad", role: "alert" }, error.sentence ?? String(error)));
  });
}

/** What stands above everything: which video it is. */
function createHead() {
  const title = element("h1", { tabindex: "-1" });
  const facts = element("p", { class: "quiet small numbers" });
  const told = element("p", { class: "bad told", role: "status" });
  const back = element("a", { href: "#/", class: "plain back" }, say("page.back"));
  /** @param {any} video */
  const show = (video) => {
    write(title, video.filename ?? video.object.split("/").pop());
    const when = whenOf(video.created_at, currentLanguage());
    const tags = video.tags.map((/** @type {string} */ tag) => `#${tag}`);
    write(facts, [say("video.submitted", { when }), ...tags].join(" · "));
    document.title = `${title.textContent} – Kadr`;
  };
  /** @param {string} text */
  const tell = (text) => write(told, text);
  return { node: element("header", { class: "video-head" }, back, title, facts, told), show, tell };
}

/**
 * Show what a video is, until it is ready or has ended otherwise.
 * @param {any} page
 */
async function follow(page) {
  const { calls, videoId, signal, head, body } = page;
  const path = `api/v1/videos/${videoId}`;
  /** @type {(what: string) => Promise<void>} */
  const act = async (what) => {
    await calls.act("POST", `${path}/${what}`, { signal });
    if (what === "retry") start(page);
  };
  const waiting = createWaiting({ cancel: () => act("cancel") });
  for (;;) {
    const video = await untilAnswered(() => calls.get(path, { signal }), signal, head.tell);
    head.show(video);
    body.dataset.status = video.status;
    if (video.status === "ready") {
      openWorkbench(page);
      return;
    }
    if (video.status === "failed" || video.status === "cancelled") {
      body.replaceChildren(createEnded(video, { calls, retry: () => act("retry") }));
      return;
    }
    if (!waiting.node.isConnected) body.replaceChildren(waiting.node);
    waiting.show(video);
    await pause(document.hidden ? LOOK_AGAIN_UNSEEN : LOOK_AGAIN, signal);
  }
}

/**
 * Ask again and again while nobody answers, and say so.
 * @param {() => Promise<any>} ask
 * @param {AbortSignal} signal
 * @param {(text: string) => void} tell
 */
async function untilAnswered(ask, signal, tell) {
  for (;;) {
    try {
      const answer = await ask();
      tell("");
      return answer;
    } catch (error) {
      if (!isPassing(error)) throw error;
      const problem = /** @type {any} */ (error);
      tell(problem.sentence);
      await pause(1000 * (problem.retryAfter ?? 2), signal);
    }
  }
}

/** @param {any} page */
function openWorkbench(page) {
  page.workbench = new Workbench(page);
  page.body.replaceChildren(page.workbench.node);
  page.workbench.open();
}
