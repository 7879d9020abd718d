// Durations, sizes and times in words.
import { currentLocale, number, say } from "./words.js";

const SIZES = ["B", "kB", "MB", "GB", "TB"];

/**
 * A size in decimal units, as file managers have it.
 * @param {number} bytes
 */
export function size(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < SIZES.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.5 ? 0 : 1;
  return `${number(value, { maximumFractionDigits: digits })} ${say(`size.${SIZES[unit]}`)}`;
}

/**
 * How long something takes or took.
 * @param {number} seconds
 */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return say("time.seconds", { count: whole });
  if (whole < 3600 && whole % 60 === 0) return say("time.whole", { minutes: whole / 60 });
  if (whole < 3600) return say("time.minutes", { minutes: Math.floor(whole / 60), seconds: whole % 60 });
  return say("time.hours", { hours: Math.floor(whole / 3600), minutes: Math.floor((whole % 3600) / 60) });
}

/**
 * What is left, coarse, so that it does not flicker: to 5 seconds, then minutes.
 * @param {number} seconds
 */
export function left(seconds) {
  if (seconds < 2.5) return say("left.soon");
  if (seconds < 57.5) return say("left.seconds", { count: Math.round(seconds / 5) * 5 });
  const minutes = Math.max(1, Math.round(seconds / 60));
  if (minutes < 60) return say("left.minutes", { count: minutes });
  return say("left.hours", { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
}

/**
 * A moment, as short as it can be understood: the time of today, else the day.
 * @param {string} moment - RFC 3339.
 */
export function shortTime(moment) {
  const when = new Date(moment);
  const now = new Date();
  if (when.toDateString() === now.toDateString()) return clock(when);
  const year = when.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return new Intl.DateTimeFormat(currentLocale(), { day: "numeric", month: "short", year }).format(when);
}

/**
 * The time of day.
 * @param {Date} when
 */
export function clock(when) {
  return new Intl.DateTimeFormat(currentLocale(), { hour: "2-digit", minute: "2-digit" }).format(when);
}

/**
 * A moment in full.
 * @param {string} moment - RFC 3339.
 */
export function longTime(moment) {
  return new Intl.DateTimeFormat(currentLocale(), { dateStyle: "long", timeStyle: "medium" }).format(new Date(moment));
}
