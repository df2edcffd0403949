/**
 * Elements of dialogs by type, as the real client draws and encodes them: every value is text but numbers, switches
 * and, in newer clients, lists. https://developers.mattermost.com/integrate/plugins/interactive-dialogs/
 */

import { h } from "../dom.js";
import { markdown } from "../markdown.js";
import { atLeast } from "../store.js";
import { channels, people } from "./choices.js";
import { select } from "./select.js";

const LONGEST = 150;
const LONGEST_AREA = 3000;
const SUBTYPES = { number: "number", email: "email", tel: "tel", url: "url", password: "password" };

/** What an untouched element sends: its default, else "", `false`, or an empty list. */
export function untouched(element) {
  const given = atLeast(11, 0) && ["users", "channels"].includes(element.data_source) ? "" : (element.default ?? ""); // ignored (recorded)
  if (element.type === "datetime" && !given && !element.optional && atLeast(11, 1)) return soon();
  if (element.type === "bool") return String(given).toLowerCase() === "true";
  if (element.multiselect) return given.split(",").map((one) => one.trim()).filter(Boolean);
  if (element.subtype === "number" && given !== "" && !atLeast(11, 0)) return Number(given);
  return given;
}

/** Whether 11.x sends a value. An emptied number is sent as null. */
export function isFilled(value) {
  return value !== "" && value !== undefined && !(Array.isArray(value) && !value.length);
}

/** A value beside a look-up of 11.x: a choice with its label, several of a fixed list as none, a radio's default unreadable. */
export function beside(element, value, touched) {
  const label = (one) => (element.options ?? []).find((option) => option.value === one)?.text ?? touched.get(element.name) ?? one;
  if (!isFilled(value) && !touched.has(element.name)) return undefined;
  if (element.type === "radio" && !touched.has(element.name)) return "[object Object]";
  if (element.type !== "select") return value === null ? "NaN" : element.subtype === "number" ? Number(value) : value;
  if (element.multiselect) return element.data_source ? value.map((one) => ({ label: one, value: one })) : [];
  return isFilled(value) ? { label: label(value), value } : undefined;
}

/** Now, rounded up: what 11.x sends for an untouched required time (recorded). */
function soon() {
  const hour = 3_600_000;
  return `${new Date(Math.ceil(Date.now() / hour) * hour).toISOString().slice(0, 19)}Z`;
}

/** Why a value can't be sent, or "". */
export function problemOf(element, value) {
  const empty = Array.isArray(value) ? !value.length : value === "" || value === null || value === false;
  if (empty) return element.optional ? "" : "This field is required.";
  if (element.min_length > 0 && String(value).length < element.min_length) {
    return `Minimum input length is ${element.min_length}.`;
  }
  return "";
}

/**
 * Draw one element. `lookup(element, query)` is a promise of options; `onChange(value)` gets what is sent.
 *
 * Returns `{element, control, showError(text), load}`, or null for a type that this version does not draw.
 */
export function drawElement(element, { value, lookup, onChange }) {
  const dates = element.type === "date" || element.type === "datetime";
  if (dates && !atLeast(11, 1)) return null;
  const id = `field-${element.name}`;
  const described = `${id}-help ${id}-error`;
  const error = h("div", { class: "field-error", id: `${id}-error`, role: "alert", "data-testid": `field-error-${element.name}` });
  const parts = { id, describedBy: described, value, lookup, onChange, onFailure: (text) => showError(text) };
  const drawn = control(element, parts);
  const mark = element.optional ? h("span", { class: "optional" }, " (optional)") : h("span", { class: "required" }, " *");
  const caption = h("label", { class: "field-label", for: id }, element.display_name, mark);
  const help = h("div", { class: "field-help", id: `${id}-help` }, element.help_text ? words(element.help_text) : null);

  function showError(text) {
    error.replaceChildren(...(text ? [words(text)] : []));
    drawn.control.setAttribute("aria-invalid", String(Boolean(text)));
    root.classList.toggle("has-error", Boolean(text));
  }

  const root = h("div", { class: `field field-${element.type}`, "data-field": element.name, "data-testid": id }, caption, drawn.element, help, error);
  return { element: root, control: drawn.control, load: drawn.load, showError };
}

/** Render text as the client's version does in dialogs: plain in 9.11 (recorded), Markdown since 11.0. */
export function words(text) {
  return atLeast(11, 0) ? markdown(text) : text;
}

function control(element, parts) {
  switch (element.type) {
    case "bool":
      return tick(element, parts);
    case "radio":
      return radios(element, parts);
    case "select":
      return choice(element, parts);
    case "date":
    case "datetime":
      return date(element, parts);
    default:
      return text(element, parts);
  }
}

function text(element, { id, describedBy, value, onChange }) {
  const area = element.type === "textarea";
  const number = element.subtype === "number";
  const input = h(area ? "textarea" : "input", {
    class: "text-input", id, name: element.name, type: area ? null : (SUBTYPES[element.subtype] ?? "text"), rows: area ? 5 : null,
    placeholder: element.placeholder, maxlength: element.max_length || (area ? LONGEST_AREA : LONGEST), "aria-describedby": describedBy,
    step: number ? "any" : null, autocomplete: element.subtype === "password" ? "new-password" : "off",
  });
  input.value = String(value ?? "");
  input.addEventListener("input", () => onChange(number ? entered(input.value) : input.value));
  return { element: input, control: input };
}

/** A typed number: 11.x truncates decimals and sends an emptied one as null (recorded). */
function entered(text) {
  if (!atLeast(11, 0)) return text === "" ? text : Number(text);
  return text === "" ? null : Math.trunc(Number(text));
}

function tick(element, { id, describedBy, value, onChange }) {
  const input = h("input", {
    id, type: "checkbox", name: element.name, checked: value === true, "aria-describedby": describedBy,
    on: { change: () => onChange(input.checked) },
  });
  return { element: h("label", { class: "tick" }, input, element.placeholder ? h("span", {}, element.placeholder) : null), control: input };
}

function radios(element, { id, describedBy, value, onChange }) {
  const inputs = (element.options ?? []).map((option, index) =>
    h("input", {
      id: index ? null : id, type: "radio", name: element.name, value: option.value, checked: option.value === value,
      on: { change: () => onChange(option.value) },
    }));
  const rows = inputs.map((input, index) => h("label", { class: "tick" }, input, h("span", {}, element.options[index].text)));
  const group = h("div", { class: "radios", role: "radiogroup", "aria-describedby": describedBy }, rows);
  return { element: group, control: inputs[0] ?? group };
}

/** Dates are sent as `YYYY-MM-DD`, date-times in UTC. */
function date(element, { id, describedBy, value, onChange }) {
  const whole = element.type === "datetime";
  const config = element.datetime_config ?? {};
  const limit = (name) => absolute(config[name] || element[name], whole);
  const input = h("input", {
    class: "text-input", id, type: whole ? "datetime-local" : "date", name: element.name, "aria-describedby": describedBy,
    min: limit("min_date"), max: limit("max_date"), step: whole ? (element.time_interval || 60) * 60 : null,
  });
  input.value = absolute(value, whole) ?? "";
  input.addEventListener("change", () => {
    onChange(whole && input.value ? `${new Date(input.value).toISOString().slice(0, 19)}Z` : input.value);
  });
  return { element: input, control: input };
}

/** Convert `today`, `tomorrow`, `yesterday`, `+3d`, `-2w`, an ISO date or date-time for the browser's control. */
function absolute(given, whole) {
  if (!given) return null;
  const words = { today: 0, tomorrow: 1, yesterday: -1 };
  const offset = /^([+-]\d+)([dw])$/i.exec(given);
  const days = words[given] ?? (offset ? Number(offset[1]) * (offset[2].toLowerCase() === "w" ? 7 : 1) : null);
  const time = days === null ? new Date(given) : new Date(Date.now() + days * 86_400_000);
  if (Number.isNaN(time.getTime())) return null;
  if (!whole && days === null) return given.slice(0, 10);
  const local = new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString();
  return local.slice(0, whole ? 16 : 10);
}

function choice(element, parts) {
  const options = (element.options ?? []).map((one) => ({ label: one.text, value: one.value }));
  const sources = { users: people, channels, dynamic: (query) => parts.lookup(element, query) };
  const fixed = (query) => options.filter((one) => one.label.toLowerCase().includes(query.toLowerCase()));
  const known = element.data_source === "dynamic" && !atLeast(11, 0) ? () => [] : (sources[element.data_source] ?? fixed);
  const chosen = (value) => options.find((one) => one.value === value) ?? (value ? { label: value, value } : null);
  const { multiselect } = element;
  const built = select({
    name: element.name, id: parts.id, label: element.display_name, multi: Boolean(multiselect), readonly: false,
    hint: element.placeholder || { users: "Choose a user", channels: "Choose a channel" }[element.data_source] || "",
    value: multiselect ? parts.value.map(chosen).filter(Boolean) : chosen(parts.value), search: known, describedBy: parts.describedBy,
    onFailure: parts.onFailure,
    onChange: (value) => parts.onChange(multiselect ? value.map((one) => one.value) : (value?.value ?? ""), value?.label),
  });
  return { element: built.element, control: built.input, load: built.load };
}
