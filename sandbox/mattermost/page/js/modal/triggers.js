/**
 * Which dialog may open: the one whose trigger is the latest that this client learned, in either order of its two
 * halves, the answer to a press and the event. A newer press drops an older dialog.
 */

let latest = "";
let waiting = null;
let open = () => {};
let hear = () => {};

/** main.js says how a dialog is opened, and who hears of every one. */
export function setOpener(opener, hearer) {
  open = opener;
  hear = hearer;
}

/** A press was answered with a trigger id. */
export function learned(triggerId) {
  latest = triggerId;
  meet();
}

/** The server wants a dialog opened. */
export function toldToOpen(told) {
  hear(told);
  waiting = told;
  meet();
}

function meet() {
  if (!waiting || waiting.trigger_id !== latest) return;
  const told = waiting;
  waiting = null;
  open(told);
}
