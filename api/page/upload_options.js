// What may be chosen for uploads: the form in the disclosure, and what it says.
import { element, one, write } from "./elements.js";
import { number, onLanguage, say } from "./words.js";

/**
 * The fields, as `docs/submitting.md` has them; `split` makes several values of one text.
 * @type {{name: string, type: "number" | "text", least?: number, most?: number, step?: number | "any", usual?: number,
 *   split?: boolean}[]}
 */
const FIELDS = [
  { name: "conf", type: "number", least: 0, most: 1, step: 0.01, usual: 0.25 },
  { name: "iou", type: "number", least: 0, most: 1, step: 0.01, usual: 0.45 },
  { name: "vid_stride", type: "number", least: 1, most: 10000, step: 1, usual: 5 },
  { name: "imgsz", type: "number", least: 32, most: 1280, step: 32, usual: 640 },
  { name: "classes", type: "text", split: true },
  { name: "tags", type: "text", split: true },
  { name: "start", type: "number", least: 0, step: "any" },
  { name: "end", type: "number", least: 0, step: "any" },
];

/** The form. */
export class UploadOptions {
  /** @param {HTMLDetailsElement} details - empty. */
  constructor(details) {
    this.details = details;
    this.title = element("span", { class: "options-title" });
    this.changes = element("span", { class: "small" });
    this.reset = element("button", { type: "reset", class: "plain" });
    this.hint = element("p", { class: "hint quiet small" });
    this.form = element(
      "form",
      { class: "fields", on: { submit: (/** @type {Event} */ event) => event.preventDefault() } },
      ...FIELDS.map(field),
      element("div", { class: "fields-foot" }, this.hint, this.reset),
    );
    details.append(element("summary", {}, this.title, this.changes), this.form);
    this.form.addEventListener("input", () => this.show());
    this.form.addEventListener("reset", () => setTimeout(() => this.show()));
    onLanguage(() => this.show());
    this.show();
  }

  /**
   * Return what was chosen; null, and the first wrong field has the focus, where it does not hold.
   * @returns {[string, string][] | null}
   */
  chosen() {
    const start = this.input("start");
    const end = this.input("end");
    const isReversed = start.value !== "" && end.value !== "" && end.valueAsNumber <= start.valueAsNumber;
    end.setCustomValidity(isReversed ? say("option.end.hint") : "");
    if (!this.form.checkValidity()) {
      this.details.open = true;
      this.form.reportValidity();
      return null;
    }
    return FIELDS.flatMap(({ name, split }) => {
      const text = this.input(name).value.trim();
      const values = split ? [...new Set(text.split(",").map((each) => each.trim()))] : [text];
      return values.filter(Boolean).map((value) => /** @type {[string, string]} */ ([name, value]));
    });
  }

  /** @param {string} name */
  input(name) {
    return one(`#option-${name}`, this.form);
  }

  show() {
    write(this.title, say("upload.options"));
    write(this.hint, say("upload.options.hint"));
    write(this.reset, say("upload.options.reset"));
    const changed = FIELDS.filter(({ name }) => this.input(name).value.trim() !== "").length;
    write(this.changes, changed ? `· ${say("upload.options.changed", { count: changed })}` : "");
    this.reset.hidden = !changed;
    for (const { name, usual } of FIELDS) {
      write(one(`label[for="option-${name}"]`, this.form), say(`option.${name}`));
      write(one(`#option-${name}-hint`, this.form), say(`option.${name}.hint`));
      if (usual !== undefined) this.input(name).placeholder = number(usual);
    }
  }
}

/** @param {(typeof FIELDS)[number]} fact */
function field({ name, type, least, most, step, split }) {
  const id = `option-${name}`;
  return element(
    "div",
    { class: split ? "field wide" : "field" },
    element("label", { for: id }),
    element("input", {
      id, name, type, min: least, max: most, step, autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-hint`,
      inputmode: type === "number" ? "decimal" : null,
    }),
    element("p", { id: `${id}-hint`, class: "hint" }),
  );
}
