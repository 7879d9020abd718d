// What stands below the list: more, nothing yet, nothing found, or what went wrong.
import { element, one } from "./elements.js";
import { say } from "./words.js";

/**
 * Show what is below the list now.
 * @param {import("./list.js").List} list
 * @param {{isLoading?: boolean, problem?: import("./calls.js").Problem}} how
 */
export function showEnd(list, { isLoading = false, problem }) {
  const end = one("#list-end");
  const hadFocus = end.contains(document.activeElement);
  end.replaceChildren(...parts(list, isLoading, problem));
  if (hadFocus) end.querySelector("button")?.focus();
}

/**
 * @param {import("./list.js").List} list
 * @param {boolean} isLoading
 * @param {import("./calls.js").Problem | undefined} problem
 * @returns {Node[]}
 */
function parts(list, isLoading, problem) {
  const { pages, filter, rows } = list;
  const again = (/** @type {string} */ word) =>
    element("button", { type: "button", on: { click: () => void list.more() } }, say(word));
  if (isLoading) return [element("span", {}, `${say("list.looking")}…`)];
  if (problem) return [empty(say("list.failed.title"), problem.sentence, again("list.retry"))];
  const looked = filter.isByName && pages.looked ? [element("span", {}, say("list.looked", { count: pages.looked }))] : [];
  if (!pages.hasEnded) return [...looked, again(filter.isByName ? "list.further" : "list.more")];
  if (rows.size) return looked;
  if (filter.isEmpty) return [empty(say("list.empty.title"), say("list.empty.text"))];
  const clear = element("button", { type: "button", on: { click: () => filter.clear() } }, say("list.clear"));
  return [empty(say("list.none.title"), say("list.none.text"), clear)];
}

/**
 * @param {string} title
 * @param {string} text
 * @param {Node} [button]
 */
function empty(title, text, button) {
  const frame = element(
    "svg:svg",
    { viewBox: "0 0 32 32", "aria-hidden": "true" },
    element("svg:path", { d: "M4 10V4h6M22 4h6v6M28 22v6h-6M10 28H4v-6" }),
  );
  return element("div", { class: "empty" }, frame, element("h3", {}, title), element("p", {}, text), button);
}
