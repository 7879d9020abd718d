// Questions that have to be answered before anything is done.
import { element } from "./elements.js";
import { say } from "./words.js";

/**
 * Ask whether to do something that cannot be undone. Escape is a no, and the no has the focus.
 * @param {{title: string, text: string, yes: string}} question
 * @returns {Promise<boolean>}
 */
export function confirmed({ title, text, yes }) {
  return new Promise((resolve) => {
    const close = (/** @type {string} */ answer) => () => dialog.close(answer);
    const no = element("button", { type: "button", autofocus: true, on: { click: close("no") } }, say("confirm.no"));
    const dialog = element(
      "dialog",
      { "aria-labelledby": "question", "aria-describedby": "question-text" },
      element("h2", { id: "question" }, title),
      element("p", { id: "question-text", class: "quiet" }, text),
      element(
        "div",
        { class: "dialog-buttons" },
        no,
        element("button", { type: "button", class: "danger", on: { click: close("yes") } }, yes),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
