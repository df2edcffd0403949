/**
 * Elements without innerHTML: text is always text, so nothing a person typed becomes markup.
 */

const PROPERTIES = new Set(["value", "checked", "disabled", "selected"]);

/**
 * An element with attributes, listeners and children.
 *
 * Attributes whose value is null, undefined or false are left out; `on` holds listeners by event name.
 * Children may be nodes, strings, nested lists, or nothing.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (PROPERTIES.has(name)) {
      if (value !== undefined && value !== null) element[name] = value;
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  return append(element, children);
}

/** Append nodes and strings, flattening lists and skipping what is absent. */
export function append(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) parent.append(child);
  }
  return parent;
}

/** Make the children of *parent* exactly *nodes*, moving as little as possible so that focus survives. */
export function reconcile(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (parent.childNodes[index] !== node) parent.insertBefore(node, parent.childNodes[index] ?? null);
  });
}

/** Convert text for a `data-testid`: lower case, with hyphens between words. */
export function slug(text) {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
}

const FOCUSABLE =
  'a[href], button:not([disabled]), input:not([disabled]), textarea:not([disabled]), [tabindex]:not([tabindex="-1"])';

/** What Tab can reach inside *root*, in order. */
export function focusable(root) {
  return [...root.querySelectorAll(FOCUSABLE)].filter((one) => one.tabIndex >= 0 && one.offsetParent !== null);
}

let counter = 0;

/** An id that no other element has. */
export function freshId(prefix) {
  counter += 1;
  return `${prefix}-${counter}`;
}

/** A spinner. Screen readers announce *label*. */
export function spinner(label = "") {
  return h("span", { class: "spinner", role: label ? "status" : null, "aria-label": label || null });
}
