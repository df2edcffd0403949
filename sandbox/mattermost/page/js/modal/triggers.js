/**
 * Decides which dialog opens: the one with the latest trigger ID. The response to the action and the event can arrive
 * in either order. A newer action discards an older dialog.
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
