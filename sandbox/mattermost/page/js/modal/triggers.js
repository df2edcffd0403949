/**
 * Which dialog may open: the one whose trigger is the latest that this client learned, in either order of its two
 * halves, the answer to a press and the event. A newer press drops an older dialog.
 */

let latest = "";
let waiting = null;
let open = () => {};
let hear = () => {};

/** Set the functions that open a dialog and that are notified of each (main.js does). */
export function setOpener(opener, hearer) {
  open = opener;
  hear = hearer;
}

/** An action returned a trigger ID. */
export function learned(triggerId) {
  latest = triggerId;
  meet();
}

/** The server opens a dialog. */
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
