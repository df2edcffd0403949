/** The frame of a modal: title, body, footer; Tab stays inside, Escape closes, focus goes back where it was. */

import { focusable, freshId, h } from "../dom.js";
import { icon } from "../icons.js";

/**
 * Open a modal. `onClose()` is called once, however it closes; a click outside does nothing.
 *
 * Returns `{root, title, body, footer, close}`; the caller fills the last three elements.
 */
export function openFrame(onClose) {
  const before = document.activeElement;
  const labelId = freshId("modal-title");
  const title = h("h2", { class: "modal-title", id: labelId });
  const body = h("div", { class: "modal-body" });
  const footer = h("div", { class: "modal-footer" });
  const cross = h(
    "button",
    { class: "icon-button", type: "button", "aria-label": "Close", "data-testid": "modal-close", on: { click: close } },
    icon("close", 22),
  );
  const form = h("form", { class: "modal-form", autocomplete: "off" }, body, footer);
  const root = h(
    "div",
    { class: "modal", role: "dialog", tabindex: -1, "aria-modal": "true", "aria-labelledby": labelId, "data-testid": "modal" },
    h("header", { class: "modal-header" }, title, cross),
    form,
  );
  const backdrop = h("div", { class: "modal-backdrop" }, root);
  let open = true;

  function close() {
    if (!open) return;
    open = false;
    backdrop.remove();
    document.body.classList.remove("has-modal");
    if (before?.isConnected) before.focus();
    else document.querySelector("[data-testid=composer]")?.focus();
    onClose();
  }

  backdrop.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented) {
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if (event.key === "Tab") {
      keepInside(event, root);
    }
  });
  document.getElementById("layers").append(backdrop);
  document.body.classList.add("has-modal");
  return { root, form, title, body, footer, close };
}

function keepInside(event, root) {
  const all = focusable(root);
  if (!all.length) return;
  const edge = event.shiftKey ? all[0] : all.at(-1);
  if (document.activeElement === edge || !root.contains(document.activeElement)) {
    event.preventDefault();
    (event.shiftKey ? all.at(-1) : all[0]).focus();
  }
}
