/** Message attachments: cards. https://developers.mattermost.com/integrate/reference/message-attachments/ */

import { api } from "../api.js";
import { freshId, h, slug } from "../dom.js";
import { markdown } from "../markdown.js";
import { link, safeAddress } from "../markdown_inline.js";
import { channels, people } from "../modal/choices.js";
import { select } from "../modal/select.js";
import { learned } from "../modal/triggers.js";
import { atLeast } from "../store.js";

const COLORS = { good: "#3db887", warning: "#f0ad4e", danger: "#d24b4e" };
const LONG = 1200; // characters of a text that is drawn whole
const MANY_LINES = 20;
const STYLES = new Set(["primary", "good", "success", "warning", "danger"]);

/** All attachments of a post, in order. */
export function drawAttachments(post) {
  return (post.props?.attachments ?? []).map((attachment) => draw(post, attachment));
}

function draw(post, attachment) {
  const given = COLORS[attachment.color] ?? attachment.color;
  const color = /^#[0-9a-f]{3,8}$/i.test(given ?? "") ? `--card: ${given}` : null;
  const content = [author(attachment), title(attachment)];
  if (attachment.text) content.push(text(attachment.text));
  content.push(fields(attachment.fields ?? []), image(attachment.image_url, "card-image"), footer(attachment));
  content.push(actions(post, attachment.actions ?? []));
  return h(
    "div",
    { class: "attachment" },
    attachment.pretext ? h("div", { class: "pretext" }, markdown(attachment.pretext)) : null,
    h(
      "div",
      { class: "card", style: color, role: "group", "aria-label": attachment.fallback || attachment.title || "Card" },
      h("div", { class: "card-content" }, content),
      image(attachment.thumb_url, "card-thumb"),
    ),
  );
}

/** Collapse long text until the user expands it. */
function text(written) {
  const whole = markdown(written);
  if (written.length <= LONG && written.split("\n").length <= MANY_LINES) return whole;
  const more = h(
    "button",
    { class: "more", type: "button", "aria-expanded": "false", on: { click: () => show(more.getAttribute("aria-expanded") === "false") } },
    "Show more",
  );
  const frame = h("div", { class: "long cut" }, whole, more);

  function show(all) {
    frame.classList.toggle("cut", !all);
    more.setAttribute("aria-expanded", String(all));
    more.textContent = all ? "Show less" : "Show more";
  }

  return frame;
}

function image(address, name) {
  const safe = address ? safeAddress(address) : null;
  return safe ? h("img", { class: name, src: safe, alt: "", loading: "lazy" }) : null;
}

function author({ author_name: name, author_link: target, author_icon: picture }) {
  if (!name && !picture) return null;
  const shown = name && target ? link(target, name) : name;
  return h("div", { class: "card-author" }, image(picture, "card-icon"), shown);
}

function title({ title: text, title_link: target }) {
  if (!text) return null;
  return h("div", { class: "card-title" }, target ? link(target, text) : text);
}

function footer({ footer: text, footer_icon: picture }) {
  return text ? h("div", { class: "card-footer" }, image(picture, "card-icon"), text) : null;
}

/** Short fields share a row in pairs, others take the full width. */
function fields(list) {
  if (!list.length) return null;
  const drawn = list.map((field) =>
    h(
      "div",
      { class: field.short ? "card-field" : "card-field wide" },
      field.title ? h("dt", {}, field.title) : null,
      h("dd", {}, markdown(field.value ?? "")),
    ));
  return h("dl", { class: "card-fields" }, drawn);
}

/**
 * Buttons and selects. In 9.11 a failed action shows nothing (recorded); since 11.5 its error is shown below.
 */
function actions(post, list) {
  if (!list.length) return null;
  const error = h("div", { class: "card-error", role: "alert", "data-testid": "card-error" });

  async function press(action, option) {
    error.textContent = "";
    try {
      learned((await api.pressAction(post.id, action, option)).trigger_id);
    } catch (failure) {
      if (atLeast(11, 5)) error.textContent = failure.message;
    }
  }

  const drawn = list.map((action) => (action.type === "select" ? choice(action, press) : button(action, press)));
  return [h("div", { class: "card-actions" }, drawn), error];
}

function button(action, press) {
  const style = STYLES.has(action.style) ? action.style : "default";
  const tint = /^#[0-9a-f]{6}$/i.test(action.style ?? "") ? `--tint: ${action.style}` : null;
  return h(
    "button",
    {
      class: `card-button ${tint ? "tinted" : style}`, style: tint, type: "button", disabled: Boolean(action.disabled),
      "data-testid": `card-button-${slug(action.name ?? "")}`, on: { click: () => press(action, "") },
    },
    action.name,
  );
}

/** Fixed options use the browser's own control, users and channels a type-ahead. Choosing submits at once. */
function choice(action, press) {
  const search = { users: (query) => people(query, { bots: true }), channels }[action.data_source];
  if (search) return lookup(action, press, search);
  const options = (action.options ?? []).map((one) =>
    h("option", { value: one.value, selected: one.value === action.default_option }, one.text));
  const first = action.default_option ? null : h("option", { value: "", disabled: true, selected: true }, action.name);
  return h(
    "select",
    {
      class: "card-select", "aria-label": action.name, disabled: Boolean(action.disabled), "data-testid": `card-select-${slug(action.name ?? "")}`,
      on: { change: (event) => press(action, event.target.value) },
    },
    first,
    options,
  );
}

function lookup(action, press, search) {
  const built = select({
    name: action.id, id: freshId("action"), label: action.name, hint: action.name, multi: false, readonly: Boolean(action.disabled), search,
    value: null, onChange: (value) => value && press(action, value.value),
  });
  built.load();
  return h("div", { class: "card-lookup", "data-testid": `card-select-${slug(action.name ?? "")}` }, built.element);
}
