/** Dates in the browser's language and time zone. All arguments are in milliseconds. */

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const LONG = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export const clock = (time) => CLOCK.format(time);
export const full = (time) => LONG.format(time);

const midnight = (time) => new Date(time).setHours(0, 0, 0, 0);

export function sameDay(one, other) {
  return midnight(one) === midnight(other);
}

export function day(time) {
  const days = Math.round((midnight(Date.now()) - midnight(time)) / 86_400_000);
  if (days === 0) return "Today";
  return days === 1 ? "Yesterday" : DAY.format(time);
}

/** "just now", "5 min ago", or the clock. */
export function ago(time) {
  const minutes = Math.floor((Date.now() - time) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  return sameDay(time, Date.now()) ? `at ${clock(time)}` : day(time);
}
