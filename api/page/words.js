// What the page says, in the reader's language: English or Russian, chosen, remembered, or the browser's.
import en from "./words/en.js";
import ru from "./words/ru.js";
import videoEn from "./words/video.en.js";
import videoRu from "./words/video.ru.js";

/** @typedef {"en" | "ru"} Language */
/** @typedef {string | ((values: Record<string, any>) => string) | Record<string, string>} Phrase */

/** @type {Record<Language, Record<string, Phrase>>} */
const PHRASES = { en: { ...en, ...videoEn }, ru: { ...ru, ...videoRu } };

const KEPT_AS = "kadr.language";

/** @type {Set<() => void>} */
const listeners = new Set();

/** @type {Language} */
let language = remembered() ?? (navigator.languages ?? [navigator.language]).map(known).find(Boolean) ?? "en";

/** @returns {Language} */
export function currentLanguage() {
  return language;
}

/**
 * Speak another language from now on.
 * @param {Language} chosen
 */
export function speak(chosen) {
  language = chosen;
  try {
    localStorage.setItem(KEPT_AS, chosen);
  } catch {
    // Storage may be forbidden; the choice then holds as long as the page is open.
  }
  for (const listener of listeners) listener();
}

/** The browser's own variant of the language, such as `en-GB`, for times and numbers. */
export function currentLocale() {
  return (navigator.languages ?? [navigator.language]).find((tag) => known(tag) === language) ?? language;
}

/**
 * Call when the language has changed.
 * @param {() => void} listener
 * @returns {() => void} stops that.
 */
export function onLanguage(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * Say something. A phrase is a text with `{name}` in it, a function of the values, or forms by number
 * (`Intl.PluralRules`), chosen by `values.count`.
 * @param {string} key
 * @param {Record<string, any>} [values] - numbers are written as the language writes them.
 * @returns {string}
 */
export function say(key, values = {}) {
  const phrase = PHRASES[language][key] ?? PHRASES.en[key];
  if (phrase === undefined) return key;
  if (typeof phrase === "function") return phrase(values);
  const form = typeof phrase === "string" ? phrase : phrase[new Intl.PluralRules(language).select(values.count)];
  return (form ?? phrase["other"]).replace(/\{(\w+)\}/g, (whole, name) =>
    typeof values[name] === "number" ? number(values[name]) : (values[name] ?? whole),
  );
}

/**
 * Whether there is something to say.
 * @param {string} key
 */
export function isPhrase(key) {
  return key in PHRASES[language] || key in PHRASES.en;
}

/**
 * @param {number} value
 * @param {Intl.NumberFormatOptions} [options]
 */
export function number(value, options) {
  return new Intl.NumberFormat(currentLocale(), options).format(value);
}

/**
 * Fill in what is written in the document: `data-word` is its text, `data-word-X` its attribute X.
 * @param {ParentNode} within
 */
export function fill(within) {
  for (const node of within.querySelectorAll("[data-word]")) node.textContent = say(node.dataset.word);
  for (const name of ["aria-label", "title", "placeholder"]) {
    for (const node of within.querySelectorAll(`[data-word-${name}]`)) {
      node.setAttribute(name, say(node.getAttribute(`data-word-${name}`)));
    }
  }
}

/** @returns {Language | undefined} */
function remembered() {
  try {
    return known(localStorage.getItem(KEPT_AS) ?? "");
  } catch {
    return undefined;
  }
}

/**
 * @param {string} tag - such as `ru-RU`.
 * @returns {Language | undefined}
 */
function known(tag) {
  const primary = tag.toLowerCase().split("-")[0];
  return primary === "en" || primary === "ru" ? primary : undefined;
}
