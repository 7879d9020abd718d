// What is to be seen: the least confidence, and a row for each class that stands beside its lane.
import { element, write } from "../elements.js";
import { number, say } from "../words.js";
import { STEPS } from "./found.js";

/** @typedef {import("./choice.js").Choice} Choice */
/** @typedef {import("./found.js").Found} Found */

/**
 * Make the slider of confidence.
 * @param {Choice} choice
 */
export function createConfidence(choice) {
  const said = element("output", { class: "numbers", for: "least" });
  const slider = element("input", {
    ...{ type: "range", id: "least", min: "0", max: String(STEPS), step: "1", value: String(choice.step) },
    on: { input: () => choice.setStep(Number(slider.value)) },
  });
  const show = () => {
    slider.value = String(choice.step);
    slider.setAttribute("aria-valuetext", percent(choice.step));
    write(said, percent(choice.step));
  };
  choice.addEventListener("change", show);
  show();
  return element("div", { class: "least" }, element("label", { for: "least" }, say("video.least")), slider, said);
}

/** @param {number} step */
function percent(step) {
  return number(step / STEPS, { style: "percent" });
}

/** A row for each class: whether it is to be seen, its colour, its name, and how many objects there are. */
export class ClassRows {
  /**
   * @param {Found} found
   * @param {Choice} choice
   */
  constructor(found, choice) {
    this._found = found;
    this._choice = choice;
    this.node = element("ul", { class: "classes", "aria-label": say("video.classes") });
    /** @type {Map<string, {box: HTMLInputElement, count: HTMLElement}>} */
    this._rows = new Map();
    choice.addEventListener("change", () => this.show());
  }

  /**
   * Make the rows anew.
   * @param {number[]} order - classes from the top.
   * @param {import("./colours.js").Look[]} looks
   */
  make(order, looks) {
    const focused = document.activeElement instanceof HTMLInputElement ? document.activeElement.name : "";
    this._rows.clear();
    this.node.replaceChildren(...order.map((kind) => this._row(this._found.classes[kind], looks[kind])));
    this.show();
    this._rows.get(focused)?.box.focus();
  }

  /** Show what is chosen, and how many objects that are. */
  show() {
    this._found.classes.forEach((name, kind) => {
      const row = this._rows.get(name);
      if (!row) return;
      row.box.checked = !this._choice.hidden.has(name);
      write(row.count, number(this._found.count(kind, this._choice.step)));
    });
  }

  /**
   * @param {string} name
   * @param {import("./colours.js").Look} look
   */
  _row(name, look) {
    const choose = () => this._choice.show(name, box.checked);
    const box = element("input", { type: "checkbox", name, on: { change: choose } });
    const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = look.fill;
    const count = element("span", { class: "count numbers" });
    this._rows.set(name, { box, count });
    const only = () => this._choice.hide(this._found.classes.filter((each) => each !== name));
    return element(
      "li",
      {},
      element("label", { title: name }, box, swatch, element("bdi", { class: "name" }, name), count),
      element(
        "button",
        { type: "button", class: "plain only", "aria-label": say("video.only.of", { name }), on: { click: only } },
        say("video.only"),
      ),
    );
  }
}
