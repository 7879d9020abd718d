// Elements, made without markup in strings: text is text, whoever wrote it.

/**
 * @typedef {string | number | Node | null | undefined | false} Child
 */

/**
 * Make an element.
 * @param {string} name - its tag; `svg:path` and the like are SVG's.
 * @param {Record<string, any>} [facts] - attributes; `on` holds listeners, `data` is `dataset`, `class` is a class.
 *   A value of null, undefined or false is left out, true is an attribute without a value.
 * @param {...(Child | Child[])} children - nothing is made of null, undefined and false.
 * @returns {any}
 */
export function element(name, facts = {}, ...children) {
  const isSvg = name.startsWith("svg:");
  const made = isSvg
    ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(facts)) {
    if (key === "on") {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (key === "data") {
      Object.assign(made.dataset, value);
    } else if (key === "value" || key === "checked") {
      made[key] = value;
    } else if (value !== null && value !== undefined && value !== false) {
      made.setAttribute(key, value === true ? "" : String(value));
    }
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/**
 * Find what must be there.
 * @param {string} selector
 * @param {ParentNode} [within]
 * @returns {any}
 */
export function one(selector, within = document) {
  const found = within.querySelector(selector);
  if (!found) throw new Error(`The page has no ${selector}`);
  return found;
}

/**
 * Show another text, if it is another: a live region then speaks only when there is something new.
 * @param {Node} node
 * @param {string} text
 */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
