/** A pop-up menu beside its button: arrows move, Enter chooses, Escape and a click outside close. */

import { h } from "../dom.js";

let shutOpen = null;

/**
 * Open a menu at *button*. Items are `{label, icon, choose}`; `icon` is an image's address or absent.
 * Pressing the button again closes it.
 */
export function toggleMenu(button, label, items) {
  if (button.getAttribute("aria-expanded") === "true") {
    shutOpen?.();
    return;
  }
  shutOpen?.();
  const menu = h("div", { class: "menu", role: "menu", "aria-label": label }, items.map(draw));
  const buttons = [...menu.children];

  function draw(item) {
    return h(
      "button",
      { class: "menu-item", role: "menuitem", type: "button", tabindex: -1, title: item.label, on: { click: () => choose(item) } },
      item.icon ? h("img", { src: item.icon, alt: "" }) : null,
      h("span", {}, item.label),
    );
  }

  function choose(item) {
    shut();
    item.choose();
  }

  function shut(focus = true) {
    menu.remove();
    button.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside, true);
    window.removeEventListener("resize", shut);
    shutOpen = null;
    if (focus && button.isConnected) button.focus();
  }

  function outside(event) {
    if (!menu.contains(event.target) && !button.contains(event.target)) shut(false);
  }

  menu.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(document.activeElement);
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1 + buttons.length, Home: 0, End: buttons.length - 1 };
    if (event.key in moves) {
      event.preventDefault();
      buttons[moves[event.key] % buttons.length].focus();
    } else if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      event.stopPropagation();
      shut();
    }
  });
  document.getElementById("layers").append(menu);
  place(menu, button);
  button.setAttribute("aria-expanded", "true");
  document.addEventListener("pointerdown", outside, true);
  window.addEventListener("resize", shut);
  shutOpen = shut;
  buttons[0]?.focus();
}

function place(menu, button) {
  const at = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const left = Math.max(8, Math.min(at.right - width, window.innerWidth - width - 8));
  const below = at.bottom + 6 + height < window.innerHeight;
  menu.style.left = `${left}px`;
  menu.style.top = `${below ? at.bottom + 6 : Math.max(8, at.top - 6 - height)}px`;
}
