// Everything that can be saved: the result in each form, and what is made of the video.
import { element, write } from "../elements.js";
import { number, say } from "../words.js";
import { shareOf, untilMade } from "./made.js";
import { isLeft } from "./pausing.js";

/** Forms of a result, in the order in which they are offered. */
const FORMS = ["json", "jsonl", "csv", "parquet", "coco", "yolo", "mot", "vtt"];

/** Classes that one request may name. */
const MOST_NAMED = 100;

/**
 * @typedef {object} Context
 * @property {typeof import("../calls.js")} calls
 * @property {string} videoId
 * @property {AbortSignal} signal
 */

/**
 * Make the list of all that can be saved.
 * @param {Context} context
 * @param {import("./choice.js").Choice} choice
 * @param {import("./found.js").Found} found
 */
export function createDownloads(context, choice, found) {
  const base = `api/v1/videos/${context.videoId}`;
  const box = element("input", { type: "checkbox", on: { change: () => update() } });
  /** @param {string} format */
  const query = (format) => ({
    format,
    limit: format === "json" ? 0 : null,
    ...(box.checked ? chosen(choice, found) : {}),
  });
  const links = FORMS.filter((format) => format !== "mot").map((format) => ({
    format,
    link: entry(say(`video.form.${format}`), say(`video.form.${format}.for`)),
  }));
  const update = () => {
    for (const { format, link } of links) {
      link.anchor.href = context.calls.address(`${base}/detections`, query(format));
    }
  };
  choice.addEventListener("change", update);
  update();
  const mot = asked(context, say("video.form.mot"), say("video.form.mot.for"), {
    wait: `${base}/tracks`,
    query: { limit: 1 },
    target: () => context.calls.address(`${base}/detections`, query("mot")),
  });
  const rows = links.map(({ link }) => link.node);
  rows.splice(FORMS.indexOf("mot"), 0, mot);
  return element(
    "div",
    { class: "downloads" },
    element("label", { class: "check" }, box, say("video.downloads.chosen")),
    element("ul", { class: "files" }, rows),
    element("h3", {}, say("video.downloads.video")),
    element("ul", { class: "files" }, videosOf(context, base)),
  );
}

/**
 * @param {Context} context
 * @param {string} base
 */
function videosOf(context, base) {
  const media = entry(say("video.media"), say("video.media.for"));
  media.anchor.href = context.calls.address(`${base}/media`);
  return [
    media.node,
    ...["annotated", "preview"].map((kind) =>
      asked(context, say(`video.${kind}`), say(`video.${kind}.for`), {
        wait: `${base}/${kind}.mp4`,
        target: () => context.calls.address(`${base}/${kind}.mp4`),
      }),
    ),
  ];
}

/**
 * Return what is chosen as parameters of a call.
 * @param {import("./choice.js").Choice} choice
 * @param {import("./found.js").Found} found
 */
function chosen(choice, found) {
  const names = choice.hidden.size ? found.classes.filter((name) => !choice.hidden.has(name)) : [];
  return { class: names.slice(0, MOST_NAMED), min_conf: choice.step / 100 || null };
}

/**
 * A file that is there, or is written while it is sent.
 * @param {string} name
 * @param {string} use
 */
function entry(name, use) {
  const anchor = element("a", { class: "plain", download: "" }, name);
  return { anchor, node: element("li", {}, anchor, element("span", { class: "use" }, use)) };
}

/**
 * A file that has to be made first.
 * @param {Context} context
 * @param {string} name
 * @param {string} use
 * @param {{wait: string, query?: Record<string, any>, target: () => string}} how
 */
function asked({ calls, signal }, name, use, { wait, query, target }) {
  const said = element("span", { class: "use", role: "status" }, use);
  const bar = element("progress", { max: "1", hidden: true, "aria-label": name });
  const button = element("button", { type: "button", class: "plain", on: { click: () => make() } }, name);
  /** @param {import("./made.js").Making} making */
  const onProgress = (making) => {
    const share = shareOf(making);
    bar.hidden = false;
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
    const key = share === null ? "video.making" : "video.making.share";
    write(said, say(key, { share: number(share ?? 0, { style: "percent" }) }));
  };
  const make = async () => {
    button.disabled = true;
    try {
      await untilMade(calls, wait, { signal, query, onProgress });
      write(said, use);
      save(target());
    } catch (error) {
      if (!isLeft(error)) write(said, /** @type {any} */ (error).sentence ?? String(error));
    }
    bar.hidden = true;
    button.disabled = false;
  };
  return element("li", {}, button, said, bar);
}

/** @param {string} address */
function save(address) {
  const anchor = element("a", { href: address, download: "", hidden: true });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
}
