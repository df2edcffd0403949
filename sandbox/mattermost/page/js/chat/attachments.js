/** Message attachments: cards. https://developers.mattermost.com/integrate/reference/message-attachments/ */

import { api } from "../api.js";
import { h, slug } from "../dom.js";
import { markdown } from "../markdown.js";
import { link, safeAddress } from "../markdown_inline.js";

const COLORS = { good: "#3db887", warning: "#f0ad4e", danger: "#d24b4e" };
const STYLES = new Set(["primary", "good", "success", "warning", "danger"]);

/** All attachments of a post, in order. */
export function drawAttachments(post) {
  return (post.props?.attachments ?? []).map((attachment) => draw(post, attachment));
}

function draw(post, attachment) {
  const given = COLORS[attachment.color] ?? attachment.color;
  const color = /^#[0-9a-f]{3,8}$/i.test(given ?? "") ? `--card: ${given}` : null;
  const content = [author(attachment), title(attachment)];
  if (attachment.text) content.push(markdown(attachment.text));
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

/** Short fields stand two a row, others take the whole width. */
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

/** Buttons and selects. As in the real client a press that fails shows nothing. */
function actions(post, list) {
  if (!list.length) return null;
  const press = (action, option) => api.pressAction(post.id, action, option).catch(() => {});
  const drawn = list.map((action) => (action.type === "select" ? select(action, press) : button(action, press)));
  return h("div", { class: "card-actions" }, drawn);
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

function select(action, press) {
  const options = (action.options ?? []).map((one) =>
    h("option", { value: one.value, selected: one.value === action.default_option }, one.text));
  const first = action.default_option ? null : h("option", { value: "", disabled: true, selected: true }, action.name);
  return h(
    "select",
    { class: "card-select", "aria-label": action.name, on: { change: (event) => press(action, event.target.value) } },
    first,
    options,
  );
}
