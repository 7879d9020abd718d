// A colour for each class, and the ink that is legible on it.

/** Okabe and Ito's palette, which people see apart whatever colours they see (jfly.uni-koeln.de/color, 2008); grey in
 * place of its black, which a dark picture swallows. */
export const PALETTE = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#c8c8c8"];

/** How the lines of a box are drawn when all colours are taken: whole, dashed, dotted. @type {number[][]} */
export const DASHES = [[], [10, 5], [3, 4]];

/** @typedef {{fill: string, ink: string, dash: number[], rgb: [number, number, number]}} Look */

/**
 * Return how each class looks: as in every video, unless two that are both here would look the same.
 * @param {string[]} names
 * @returns {Look[]} in the order of the names.
 */
export function looksOf(names) {
  const places = PALETTE.length * DASHES.length;
  /** @type {Set<number>} */
  const taken = new Set();
  /** @type {Map<string, number>} */
  const chosen = new Map();
  for (const name of [...names].sort()) {
    if (taken.size === places) taken.clear();
    let place = wish(name);
    while (taken.has(place)) place = (place + 1) % places;
    taken.add(place);
    chosen.set(name, place);
  }
  return names.map((name) => look(/** @type {number} */ (chosen.get(name))));
}

/**
 * @param {number} place
 * @returns {Look}
 */
function look(place) {
  const fill = PALETTE[place % PALETTE.length];
  const value = Number.parseInt(fill.slice(1), 16);
  /** @type {[number, number, number]} */
  const rgb = [value >> 16, (value >> 8) & 255, value & 255];
  return { fill, rgb, ink: inkOn(rgb), dash: DASHES[Math.floor(place / PALETTE.length)] };
}

/**
 * The one of black and white that has more contrast (WCAG 2.2, relative luminance).
 * @param {[number, number, number]} rgb
 */
function inkOn(rgb) {
  const [red, green, blue] = rgb.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
}

/**
 * Return a place that only the name decides (FNV-1a over UTF-16 units).
 * @param {string} name
 */
function wish(name) {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index++) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193) >>> 0;
  }
  return hash % PALETTE.length;
}
