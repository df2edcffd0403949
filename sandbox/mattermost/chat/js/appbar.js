// The right edge: icons of `/channel_header` bindings, with their label as tooltip.

import { bindingsAt, press } from "./apps.js";
import { fill, h, slug } from "./dom.js";

export function drawAppBar(place) {
  // Without an icon the real client draws nothing.
  fill(place, bindingsAt("/channel_header").filter((one) => one.icon).map((one) => h("button", {
    class: "app", "aria-label": one.label, "data-tip": one.label, "data-testid": `app-bar-${slug(one.label)}`,
    onclick: () => press(one, "/channel_header"),
  }, h("img", { src: one.icon, alt: "", width: 24, height: 24 }))));
}
