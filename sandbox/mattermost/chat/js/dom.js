// Small helpers for building pages. Text only ever becomes text nodes: nothing here takes HTML.

/** An element: `h("button", {class: "primary", onclick: act}, "Send")`. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace everything inside an element. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter(Boolean));
  return element;
}

/** "Create incident" as "create-incident", for test ids. */
export const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");

/** Inline icons, 20 px, drawn with the current colour. */
const PATHS = {
  close: "M5 5l10 10M15 5L5 15",
  reply: "M8 5L3 10l5 5M3 10h9a5 5 0 0 1 5 5v1",
  apps: "M4 4h5v5H4zM11 4h5v5h-5zM4 11h5v5H4zM11 11h5v5h-5z",
  send: "M3 10l14-6-5 13-3-5z",
  menu: "M3 5h14M3 10h14M3 15h14",
  lock: "M6 9V7a4 4 0 0 1 8 0v2M5 9h10v7H5z",
  globe: "M10 3a7 7 0 1 0 0 14a7 7 0 1 0 0-14M3 10h14M10 3c3 4 3 10 0 14M10 3c-3 4-3 10 0 14",
  archive: "M3 4h14v3H3zM4 7v9h12V7M8 10h4",
};
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** Keep Tab inside a dialog. */
export function trapFocus(container) {
  container.addEventListener("keydown", (event) => {
    if (event.key !== "Tab") return;
    const all = [...container.querySelectorAll("a[href],button,input,textarea,select,[tabindex='0']")];
    const usable = all.filter((one) => !one.disabled && one.offsetParent !== null);
    if (!usable.length) return;
    const [first, last] = [usable[0], usable[usable.length - 1]];
    if (event.shiftKey && document.activeElement === first) { last.focus(); event.preventDefault(); }
    else if (!event.shiftKey && document.activeElement === last) { first.focus(); event.preventDefault(); }
  });
}
