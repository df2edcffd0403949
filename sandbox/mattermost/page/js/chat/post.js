/** One post: author, time, text, attachments, thread summary, and the toolbar that appears on hover or focus. */

import { api } from "../api.js";
import { entries } from "../apps/bindings.js";
import { press } from "../apps/calls.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { markdown } from "../markdown.js";
import { openForm } from "../modal/form.js";
import { displayName, removePost, replies, store } from "../store.js";
import { ago, clock, full } from "../time.js";
import { drawAttachments } from "./attachments.js";
import { drawFiles } from "./files.js";
import { toggleMenu } from "./menu.js";

/** The author's name: the username of bots and "System", the full name of people. */
function authorOf(post) {
  const user = store.users.get(post.user_id);
  const system = !post.user_id || post.type?.startsWith("system_"); // private posts of the server, too (recorded)
  if (system) return { name: "System", user: null, bot: false };
  const bot = Boolean(user?.is_bot || post.props?.from_bot === "true" || post.local);
  const name = (bot && post.props?.override_username) || (bot ? (user?.username ?? "Bot") : displayName(user));
  return { name, user, bot };
}

/** The user's round profile picture, or an icon for the system. */
export function avatar(user, size = 36) {
  const style = `width: ${size}px; height: ${size}px`;
  if (!user) return h("span", { class: "avatar system", style, "aria-hidden": "true" }, icon("chat", size * 0.55));
  return h("img", { class: "avatar", style, src: api.image(user.id), alt: "", loading: "lazy" });
}

/**
 * Draw *post* in `place` ("channel" or "thread").
 *
 * `compact` leaves out picture and name, for a message that follows one of the same author; `onReply(post)`
 * opens the thread.
 */
export function drawPost(post, { place, compact, onReply }) {
  const { name, user, bot } = authorOf(post);
  const names = ["post", compact && "compact", post.local && "private", post.id === store.highlight && "highlight"];
  const iso = new Date(post.create_at).toISOString();
  const time = h("time", { class: "post-time", datetime: iso, title: full(post.create_at) }, clock(post.create_at));
  const head = h(
    "div",
    { class: "post-head" },
    h("span", { class: "post-author" }, name),
    bot ? h("span", { class: "badge" }, "BOT") : null,
    time,
    post.local ? h("span", { class: "only-you" }, icon("eye", 14), "(Only visible to you)") : null,
  );
  const body = h("div", { class: "post-body" }, post.message ? markdown(post.message) : null, drawAttachments(post));
  body.append(...drawFiles(post));
  if (post.edit_at > 0) body.append(h("span", { class: "edited" }, "(edited)"));
  return h(
    "article",
    {
      class: names.filter(Boolean).join(" "), tabindex: -1, "data-testid": post.local ? "ephemeral" : `post-${post.id}`, "data-post": post.id,
      "aria-label": `${name}, ${clock(post.create_at)}`, "aria-current": post.id === store.highlight ? "true" : null,
    },
    h("div", { class: "post-gutter" }, compact ? time.cloneNode(true) : avatar(user)),
    h("div", { class: "post-main" }, compact ? null : head, body, place === "channel" && !post.local ? summary(post, onReply) : null),
    post.local ? dismiss(post) : tools(post, place, onReply),
  );
}

/** "2 replies" below a root, with the avatars of their authors. */
function summary(post, onReply) {
  const { count, last, people } = replies(post);
  if (!count) return null;
  const faces = people.map((id) => store.users.get(id)).filter(Boolean).map((user) => avatar(user, 22));
  return h(
    "button",
    { class: "thread-summary", type: "button", "data-testid": `replies-${post.id}`, on: { click: () => onReply(post) } },
    h("span", { class: "faces" }, faces),
    h("span", { class: "thread-count" }, count === 1 ? "1 reply" : `${count} replies`),
    last ? h("span", { class: "thread-last" }, `Last reply ${ago(last)}`) : null,
  );
}

function tool(label, name, attributes) {
  const { on, ...rest } = attributes;
  return h("button", { class: "tool", type: "button", tabindex: -1, "aria-label": label, "data-tip": label, on, ...rest }, icon(name, 18));
}

function dismiss(post) {
  return h("div", { class: "post-tools" }, tool("Dismiss", "close", { on: { click: () => removePost(post.id) } }));
}

function tools(post, place, onReply) {
  const list = entries("/post_menu", place);
  return h(
    "div",
    { class: "post-tools", role: "toolbar", "aria-label": "Tools of the message" },
    list.length ? tool("Message actions", "apps", {
      "data-testid": `post-menu-${post.id}`, "aria-haspopup": "menu", "aria-expanded": "false",
      on: { click: (event) => openMenu(event.currentTarget, post, place) },
    }) : null,
    tool("Copy link", "link", { on: { click: (event) => copyLink(event.currentTarget, post) } }),
    place === "channel" ? tool("Reply", "reply", { "data-testid": `reply-${post.id}`, on: { click: () => onReply(post) } }) : null,
  );
}

function openMenu(button, post, place) {
  const extra = { post_id: post.id, root_id: post.root_id };
  const items = entries("/post_menu", place).map((binding) => ({
    label: binding.label, icon: binding.icon, choose: () => press(binding, extra, openForm),
  }));
  toggleMenu(button, "Message actions", items);
}

async function copyLink(button, post) {
  try {
    await navigator.clipboard.writeText(`${location.origin}/${store.team.name}/pl/${post.id}`);
    button.dataset.tip = "Copied";
  } catch {
    button.dataset.tip = "The browser refused";
  }
  setTimeout(() => {
    button.dataset.tip = "Copy link";
  }, 1500);
}
