// Moments and lengths, written as players write them.

/**
 * Return a moment as `1:02:03.45`.
 * @param {number} seconds
 * @param {number} [decimals]
 */
export function clock(seconds, decimals = 0) {
  const factor = 10 ** decimals;
  const rounded = Math.round(Math.max(0, seconds) * factor) / factor;
  const hours = Math.floor(rounded / 3600);
  const minutes = Math.floor((rounded % 3600) / 60);
  const rest = (rounded % 60).toFixed(decimals).padStart(decimals ? decimals + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Distances that a ruler may have between two marks, in seconds. */
const DISTANCES = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200];

/**
 * Return the marks of a ruler.
 * @param {{from: number, to: number}} view - seconds.
 * @param {number} most - how many there is room for.
 * @returns {{seconds: number, text: string}[]}
 */
export function marks(view, most) {
  const wanted = (view.to - view.from) / Math.max(1, most);
  const distance = DISTANCES.find((each) => each >= wanted) ?? 86_400;
  const found = [];
  for (let step = Math.ceil(view.from / distance - 1e-9); step * distance <= view.to + 1e-9; step++) {
    found.push({ seconds: step * distance, text: clock(step * distance, distance < 1 ? 1 : 0) });
  }
  return found;
}
