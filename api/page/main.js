// Where one is: the list at `#/`, filtered with `#/?status=…`; a video at `#/videos/ID`, at a moment of it with `?t=SECONDS`.
import * as calls from "./calls.js";
import { one } from "./elements.js";
import { List } from "./list.js";
import * as preferences from "./preferences.js";
import * as signIn from "./sign_in.js";
import { Uploads } from "./uploads.js";
import * as video from "./video.js";
import { onLanguage, say } from "./words.js";

/** Closes the page of a video, if one is open. @type {() => void} */
let close = () => {};

/** The video that is shown. @type {string | undefined} */
let shownId;

/** Where the list was when it was left. */
let scrolled = 0;

preferences.start();
const list = new List();
new Uploads((made) => list.add(made));

/**
 * Go somewhere.
 * @param {string} hash - such as `#/videos/ID?t=3.2`.
 */
function navigate(hash) {
  location.hash = hash;
}

/** @param {string} hash */
function placeOf(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?");
  const id = /^\/videos\/([\w-]+)$/.exec(path)?.[1];
  const t = Number.parseFloat(new URLSearchParams(query).get("t") ?? "");
  return { id, query, t: Number.isFinite(t) ? t : null };
}

/** Show the place that the address names. */
function show() {
  const { id, query, t } = placeOf(location.hash);
  const wasList = shownId === undefined;
  if (wasList && id) scrolled = scrollY;
  close();
  close = () => {};
  shownId = id;
  document.title = say("page.title");
  one("#list-view").hidden = Boolean(id);
  one("#video-view").hidden = !id;
  if (id) {
    close = video.show(one("#video-view"), id, { t, calls, navigate });
    scrollTo(0, 0);
    if (wasList) one("#main").focus();
  } else {
    void list.read(query);
    scrollTo(0, scrolled);
  }
}

addEventListener("hashchange", show);
onLanguage(() => shownId && show());

one(".skip").addEventListener("click", (/** @type {Event} */ event) => {
  event.preventDefault(); // the address says where one is, and that stays
  one("#main").focus();
});

await signIn.start();
list.filter.read(placeOf(location.hash).query);
void list.start();
show();
