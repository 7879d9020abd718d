// Which videos are listed: by name, status and tag, remembered in the address.
import { element, write } from "./elements.js";
import { onLanguage, say } from "./words.js";

/** What each choice of a status asks for. @type {Record<string, string[]>} */
const STATES = {
  "": [],
  active: ["queued", "processing"],
  ready: ["ready"],
  failed: ["failed"],
  cancelled: ["cancelled"],
};

/** Milliseconds without a key pressed, until the list is asked for. */
const TYPING = 300;

/** Tags that are offered, those that were seen first. */
const MOST_OFFERED = 200;

/** The words of the choices. @type {Record<string, string>} */
const LABELS = { "": "list.any", active: "list.active", ready: "status.ready", failed: "status.failed", cancelled: "status.cancelled" };

/** The form above the list. */
export class Filter {
  /**
   * @param {HTMLFormElement} form - empty.
   * @param {() => void} onChange
   */
  constructor(form, onChange) {
    this.form = form;
    this.onChange = onChange;
    this.timer = 0;
    this.name = element("input", { id: "filter-name", type: "search", autocomplete: "off", spellcheck: "false" });
    this.tag = element("input", { id: "filter-tag", type: "search", autocomplete: "off", spellcheck: "false", list: "known-tags", maxlength: 64 });
    this.status = element("select", { id: "filter-status" }, ...Object.keys(STATES).map((value) => element("option", { value })));
    this.known = element("datalist", { id: "known-tags" });
    this.labels = ["name", "status", "tag"].map((each) => element("label", { for: `filter-${each}`, data: { each } }));
    form.append(...[this.name, this.status, this.tag].map((input, at) => element("div", { class: "field" }, this.labels[at], input)), this.known);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.changed(), TYPING);
    });
    onLanguage(() => this.show());
    this.show();
  }

  show() {
    for (const label of this.labels) write(label, say(`list.${label.dataset.each}`));
    for (const option of this.status.options) option.label = option.textContent = say(LABELS[option.value]);
    this.name.placeholder = say("list.name.hint");
    this.tag.placeholder = say("list.tag.hint");
  }

  changed() {
    history.replaceState(null, "", `#/${this.asText()}`);
    this.onChange();
  }

  get isEmpty() {
    return !this.name.value.trim() && !this.tag.value.trim() && !this.status.value;
  }

  /** What the API is asked for. */
  get query() {
    return { status: STATES[this.status.value] ?? [], tag: this.tag.value.trim() };
  }

  /** Whether the name is looked for; the API does not, so the page goes through the list itself. */
  get isByName() {
    return this.name.value.trim() !== "";
  }

  /**
   * Whether a video would be in the list, were it asked for now.
   * @param {any} video
   */
  holds(video) {
    const states = this.query.status;
    const isNamed = (video.filename ?? "").toLowerCase().includes(this.name.value.trim().toLowerCase());
    const isTagged = !this.query.tag || video.tags.includes(this.query.tag);
    return isNamed && isTagged && (!states.length || states.includes(video.status));
  }

  /** @returns {string} the filter as a part of the address. */
  asText() {
    const facts = { name: this.name.value.trim(), status: this.status.value, tag: this.tag.value.trim() };
    const text = new URLSearchParams(Object.entries(facts).filter(([, value]) => value)).toString();
    return text && `?${text}`;
  }

  /**
   * @param {string} text - of an address.
   * @returns {boolean} whether it is another filter than before.
   */
  read(text) {
    const before = this.asText();
    const given = new URLSearchParams(text);
    this.name.value = given.get("name") ?? "";
    this.tag.value = given.get("tag") ?? "";
    this.status.value = Object.hasOwn(STATES, given.get("status") ?? "") ? (given.get("status") ?? "") : "";
    return this.asText() !== before;
  }

  clear() {
    this.read("");
    this.changed();
    this.name.focus();
  }

  /** @param {string} tag */
  chooseTag(tag) {
    this.tag.value = tag;
    this.changed();
    this.tag.focus();
  }

  /**
   * Offer tags that were seen.
   * @param {string[]} tags
   */
  offer(tags) {
    const known = new Set([...this.known.options].map((each) => each.value));
    const fresh = tags.filter((tag) => !known.has(tag)).slice(0, MOST_OFFERED - known.size);
    this.known.append(...fresh.map((tag) => element("option", { value: tag })));
  }
}
