// Who asks: a key is exchanged for a session, which the browser keeps where no script can read it.
import * as calls from "./calls.js";
import { element, one } from "./elements.js";
import { onLanguage, say } from "./words.js";

const PATH = "api/v1/session";

/** @typedef {"submit" | "read" | "delete" | "admin"} Scope */

/** What the key may; null where none is needed, and everything is allowed. @type {Scope[] | null} */
let scopes = null;

/** @type {{name: string, scopes: Scope[]} | null} */
let key = null;

/** The question that is open, for all that wait for its answer. @type {Promise<void> | null} */
let asking = null;

/** @type {Set<() => void>} */
const listeners = new Set();

/**
 * Whether something is allowed; the API has the last word.
 * @param {Scope} scope
 */
export function may(scope) {
  return scopes === null || scopes.includes(scope) || scopes.includes("admin");
}

/**
 * Call when somebody else has signed in.
 * @param {() => void} listener
 */
export function onSignIn(listener) {
  listeners.add(listener);
}

/** Find out who asks, and ask for a key if one is needed. */
export async function start() {
  calls.onKeyNeeded(askOnce);
  one("#sign-out").addEventListener("click", leave);
  onLanguage(showAccount);
  try {
    know((await calls.get(PATH)).key);
  } catch (error) {
    if (!(error instanceof calls.Problem)) throw error; // the list says that nobody answers
  }
}

/** @param {{name: string, scopes: Scope[]} | null} found */
function know(found) {
  key = found;
  scopes = found && found.scopes;
  showAccount();
  for (const listener of listeners) listener();
}

function showAccount() {
  one("#account").hidden = key === null;
  one("#account-name").textContent = key ? say("key.signed", { name: key.name }) : "";
}

async function leave() {
  await calls.act("DELETE", PATH);
  location.reload();
}

function askOnce() {
  asking ??= ask().finally(() => {
    asking = null;
  });
  return asking;
}

/** @returns {Promise<void>} */
function ask() {
  return new Promise((resolve) => {
    const input = element("input", {
      id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true,
      "aria-describedby": "key-hint key-wrong",
    });
    const wrong = element("p", { id: "key-wrong", class: "bad small", role: "alert" });
    const enter = element("button", { type: "submit", class: "strong" }, say("key.enter"));
    const exchange = async (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      enter.disabled = true;
      try {
        const found = await exchanged(input.value.trim());
        dialog.remove();
        know(found);
        resolve();
      } catch (error) {
        wrong.textContent = error instanceof calls.Problem ? error.sentence : String(error);
        input.setAttribute("aria-invalid", "true");
        input.select();
      } finally {
        enter.disabled = false;
      }
    };
    const dialog = element(
      "dialog",
      // A browser lets nobody be held by a dialog for ever: it closes at the second Escape, whatever one says.
      { "aria-labelledby": "key-title", on: { close: () => dialog.isConnected && dialog.showModal() } },
      element("h2", { id: "key-title" }, say("key.title")),
      element("p", { class: "quiet" }, say("key.text")),
      element(
        "form",
        { class: "field sign-in", method: "dialog", on: { submit: exchange } },
        element("label", { for: "key" }, say("key.label")),
        input,
        element("p", { id: "key-hint", class: "hint" }, say("key.hint")),
        wrong,
        element("div", { class: "dialog-buttons" }, enter),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

/**
 * @param {string} text - a key.
 * @returns {Promise<{name: string, scopes: Scope[]}>}
 */
async function exchanged(text) {
  const headers = { Authorization: `Bearer ${text}` };
  const answer = await calls.ask(PATH, { method: "POST", headers, isSignIn: true });
  return (await answer.json()).key;
}
