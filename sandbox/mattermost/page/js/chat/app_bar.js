/** The right edge: icons of the apps' `/channel_header` entries, in the given order. */

import { entries } from "../apps/bindings.js";
import { press } from "../apps/calls.js";
import { h, slug } from "../dom.js";
import { openForm } from "../modal/form.js";

/** Build the bar; `update()` draws what changed. An empty bar takes no space. */
export function appBar() {
  const root = h("aside", { class: "app-bar", id: "app-bar", "aria-label": "Apps", role: "toolbar" });
  let sign = "";

  function update() {
    const found = entries("/channel_header");
    const next = JSON.stringify(found);
    if (next === sign) return;
    sign = next;
    const focused = document.activeElement?.dataset?.testid;
    root.replaceChildren(...found.map(draw));
    root.hidden = !found.length;
    if (focused?.startsWith("app-bar-")) root.querySelector(`[data-testid="${focused}"]`)?.focus();
  }

  function draw(binding) {
    return h(
      "button",
      {
        class: "app-icon", type: "button", "aria-label": binding.label, "data-tip": binding.label, "data-tip-side": "left",
        "data-testid": `app-bar-${slug(binding.label)}`, on: { click: () => press(binding, {}, openForm) },
      },
      h("img", { src: binding.icon, alt: "" }),
    );
  }

  return { root, update };
}
