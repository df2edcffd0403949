/** Form fields by type, drawn and encoded as in the real client. */

import { h } from "../dom.js";
import { markdown } from "../markdown.js";
import { channels, people } from "./choices.js";
import { select } from "./select.js";

const LONGEST = 150;
const LONGEST_AREA = 3000;
const SUBTYPES = { number: "number", email: "email", tel: "tel", url: "url", password: "password" };
const DRAWN = new Set(["text", "static_select", "dynamic_select", "bool", "user", "channel", "markdown"]);

/** What an untouched field sends: its default, `false` for a boolean, else null. */
export function initialValue(field) {
  if (field.type === "bool") return field.value === true;
  if (field.type === "markdown") return null;
  return field.value ?? null;
}

/** Whether a required field is filled. A required boolean must be true. */
export function isFilled(field, value) {
  if (field.type === "bool") return value === true;
  if (Array.isArray(value)) return value.length > 0;
  return value !== null && value !== undefined && value !== "";
}

/**
 * Draw one field.
 *
 * `lookup(field, query)` is a promise of options; `onChange(value)` gets the value as it is sent.
 * Returns `{element, control, showError(text, {raw}), load}`, or null for a type that is not drawn; `load`
 * (may be absent) asks for the options before anything is touched.
 */
export function drawField(field, { value, lookup, onChange }) {
  if (!DRAWN.has(field.type)) return null;
  if (field.type === "markdown") {
    return { element: h("div", { class: "field field-markdown" }, markdown(field.description)), showError() {} };
  }
  const id = `field-${field.name}`;
  const label = field.modal_label || field.label || field.name;
  const errorId = `${id}-error`;
  const helpId = `${id}-help`;
  const error = h("div", { class: "field-error", id: errorId, role: "alert", "data-testid": `field-error-${field.name}` });
  const parts = { id, label, describedBy: `${helpId} ${errorId}`, value, lookup, onChange };
  parts.onFailure = (text) => showError(text, { raw: true });
  const drawn = control(field, parts);
  const caption = h(
    "label",
    { class: "field-label", for: id },
    label,
    field.is_required ? null : h("span", { class: "optional" }, " (optional)"),
  );
  const help = h("div", { class: "field-help", id: helpId }, field.description ? markdown(field.description) : null);

  function showError(text, { raw = false } = {}) {
    error.replaceChildren(...(text ? [raw ? text : markdown(text)] : []));
    drawn.control.setAttribute("aria-invalid", String(Boolean(text)));
    element.classList.toggle("has-error", Boolean(text));
  }

  const element = h("div", { class: `field field-${field.type}`, "data-field": field.name, "data-testid": id }, caption, drawn.element, help, error);
  return { element, control: drawn.control, load: drawn.load, showError };
}

function control(field, parts) {
  switch (field.type) {
    case "text":
      return text(field, parts);
    case "bool":
      return tick(field, parts);
    case "static_select":
      return selectControl(field, parts, (query) => matching(field.options ?? [], query));
    case "dynamic_select":
      return selectControl(field, parts, (query) => parts.lookup(field, query));
    case "user":
      return selectControl(field, parts, (query) => people(query));
    default:
      return selectControl(field, parts, channels);
  }
}

function text(field, { id, describedBy, value, onChange }) {
  const area = field.subtype === "textarea";
  const limit = field.max_length || (area ? LONGEST_AREA : LONGEST);
  const input = h(area ? "textarea" : "input", {
    class: "text-input", id, name: field.name, type: area ? null : (SUBTYPES[field.subtype] ?? "text"), rows: area ? 5 : null,
    placeholder: field.hint, maxlength: limit, disabled: Boolean(field.readonly), "aria-describedby": describedBy,
    step: field.subtype === "number" ? "any" : null,
    autocomplete: field.subtype === "password" ? "new-password" : "off",
  });
  input.value = value === null || value === undefined ? "" : String(value);
  input.addEventListener("input", () => onChange(field.subtype === "number" ? whole(input.value) : input.value));
  return { element: input, control: input };
}

/** Numbers are sent as JSON integers: 12.5 as 12, invalid input as null. */
function whole(typed) {
  const number = Number.parseInt(typed, 10);
  return Number.isNaN(number) ? null : number;
}

function tick(field, { id, describedBy, value, onChange }) {
  const input = h("input", {
    id, type: "checkbox", name: field.name, checked: value === true, disabled: Boolean(field.readonly),
    "aria-describedby": describedBy,
    on: { change: () => onChange(input.checked) },
  });
  return { element: h("label", { class: "tick" }, input, field.hint ? h("span", {}, field.hint) : null), control: input };
}

function selectControl(field, parts, search) {
  const built = select({
    ...parts, name: field.name, hint: field.hint, multi: Boolean(field.multiselect), readonly: Boolean(field.readonly), search,
  });
  return { element: built.element, control: built.input, load: field.readonly ? undefined : built.load };
}

function matching(options, query) {
  const typed = query.toLowerCase();
  const drawn = options.map((option) => ({ label: option.label || option.value, value: option.value }));
  return drawn.filter((option) => option.label.toLowerCase().includes(typed));
}
