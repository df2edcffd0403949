// Messages: the list of a channel, a thread, attachments, and the menu of a message.

import { bindingsAt, press } from "./apps.js";
import { composer } from "./composer.js";
import { fill, h, icon } from "./dom.js";
import { markdown } from "./markdown.js";
import { avatar } from "./sidebar.js";
import { changed, displayName, replies, rootsOf, store } from "./store.js";

let shownChannel = "";

export function drawChannel(place) {
  if (!store.current) return;
  const atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 80;
  const list = rootsOf(store.current);
  let day = "";
  fill(place, h("div", { class: "push" }), list.length ? list.flatMap((post) => {
    const own = new Date(post.create_at).toLocaleDateString("en", { weekday: "long", day: "numeric", month: "long" });
    const line = own === day ? null : h("div", { class: "day", role: "separator" }, h("span", {}, own));
    day = own;
    return [line, drawPost(post)];
  }) : h("p", { class: "empty" }, "Nothing here yet. Write the first message."));
  if (atEnd || shownChannel !== store.current) place.scrollTop = place.scrollHeight;
  shownChannel = store.current;
  if (store.highlight && !store.thread) place.querySelector(`[data-post="${store.highlight}"]`)?.scrollIntoView({ block: "center" });
}

export function drawThread(place, focus = false) {
  const root = store.posts.get(store.thread);
  place.hidden = !root;
  if (!root) return fill(place);
  const draft = place.querySelector("textarea")?.value ?? "";
  const sameThread = place.dataset.root === root.id;
  place.dataset.root = root.id;
  const list = h("div", { class: "thread-posts" }, drawPost(root, true), h("div", { class: "day" }, h("span", {}, count(replies(root.id).length))), replies(root.id).map((one) => drawPost(one, true)));
  const below = sameThread && place.lastChild?.classList?.contains("composer") ? place.lastChild : composer({ label: "Reply to this thread", rootId: root.id });
  const focused = document.activeElement;
  fill(place, h("header", {}, h("h2", {}, "Thread"), h("button", { class: "quiet", "aria-label": "Close thread", onclick: () => { store.thread = ""; changed("thread"); } }, icon("close"))), list, below);
  if (below.contains(focused)) focused.focus();
  else if (focus) place.querySelector("textarea")?.focus();
  if (draft && sameThread) place.querySelector("textarea").value = draft;
  list.scrollTop = list.scrollHeight;
}

const count = (n) => (n === 1 ? "1 reply" : `${n} replies`);
const time = (moment) => new Date(moment).toLocaleTimeString("en", { hour: "numeric", minute: "2-digit" });

function drawPost(post, inThread = false) {
  const local = post.type === "local";
  const user = store.users.get(post.user_id);
  const bot = user?.is_bot || post.props?.from_bot === "true";
  const name = local && !user ? "servicenow" : bot ? user?.username ?? "bot" : displayName(user);
  const system = post.type?.startsWith("system_");
  const marks = [bot || local ? h("span", { class: "tag" }, "BOT") : null, h("time", { datetime: new Date(post.create_at).toISOString() }, time(post.create_at)), post.edit_at ? h("span", { class: "soft" }, "Edited") : null];
  const threadLine = !inThread && !local && replies(post.id).length
    ? h("button", { class: "thread-link", onclick: () => openThread(post.id) }, icon("reply"), count(replies(post.id).length)) : null;
  return h("article", {
    class: `post${local ? " local" : ""}${system ? " system" : ""}${store.highlight === post.id ? " highlight" : ""}`, "data-post": post.id,
    "data-testid": local ? "ephemeral" : `post-${post.id}`, "aria-label": `${name}: ${post.message.slice(0, 60)}`,
  },
  avatar(post.user_id, 34),
  h("div", { class: "content" },
    h("div", { class: "head" }, h("strong", {}, name), marks, local ? h("span", { class: "soft" }, "(Only visible to you)") : null),
    h("div", { class: "md" }, markdown(post.message)),
    (post.props?.attachments ?? []).map(attachment), threadLine),
  local || system ? null : tools(post));
}

export function openThread(rootId) {
  store.thread = rootId;
  changed("thread");
}

function tools(post) {
  const bar = h("div", { class: "tools" },
    h("button", { class: "quiet", title: "Reply", "aria-label": "Reply", onclick: () => openThread(post.root_id || post.id) }, icon("reply")),
    h("button", { class: "quiet", title: "Message actions", "aria-label": "Message actions", "aria-haspopup": "menu", "data-testid": `post-menu-${post.id}`, onclick: (event) => openMenu(event.currentTarget, post) }, icon("apps")));
  return bar;
}

function openMenu(button, post) {
  closeMenu();
  const entries = bindingsAt("/post_menu");
  const menu = h("ul", { class: "menu", role: "menu", id: "message-menu" },
    entries.length ? entries.map((one) => h("li", { role: "none" }, h("button", {
      role: "menuitem", onclick: () => { closeMenu(); press(one, "/post_menu", { post_id: post.id, channel_id: post.channel_id, root_id: post.root_id }); },
    }, one.icon ? h("img", { src: one.icon, alt: "", width: 18, height: 18 }) : null, one.label))) : h("li", { class: "note" }, "No apps here"));
  menu.addEventListener("keydown", (event) => {
    const items = [...menu.querySelectorAll("button")];
    const at = items.indexOf(document.activeElement);
    if (event.key === "Escape") { closeMenu(); button.focus(); }
    if (event.key === "ArrowDown") { items[(at + 1) % items.length].focus(); event.preventDefault(); }
    if (event.key === "ArrowUp") { items[(at - 1 + items.length) % items.length].focus(); event.preventDefault(); }
  });
  document.body.append(menu);
  const box = button.getBoundingClientRect();
  menu.style.top = `${Math.min(box.bottom + 4, innerHeight - menu.offsetHeight - 8)}px`;
  menu.style.left = `${Math.max(8, box.right - menu.offsetWidth)}px`;
  menu.querySelector("button")?.focus();
  setTimeout(() => document.addEventListener("click", closeMenu, { once: true }));
}

function closeMenu() {
  document.getElementById("message-menu")?.remove();
}

const NAMED = { good: "#3db887", warning: "#f5ab00", danger: "#d24b4e" };

function attachment(one) {
  const title = one.title ? h("h3", {}, one.title_link ? h("a", { href: /^https?:/.test(one.title_link) ? one.title_link : "#", target: "_blank", rel: "noopener noreferrer" }, one.title) : one.title) : null;
  const card = h("div", { class: "attachment" },
    one.author_name ? h("div", { class: "author" }, one.author_name) : null, title,
    one.text ? h("div", { class: "md" }, markdown(one.text)) : null,
    one.fields?.length ? h("dl", {}, one.fields.map((field) => h("div", { class: field.short ? "short" : "long" }, h("dt", {}, field.title), h("dd", { class: "md" }, markdown(String(field.value)))))) : null,
    one.footer ? h("div", { class: "soft small" }, one.footer) : null,
    one.actions?.length ? h("div", { class: "card-actions" }, one.actions.map((action) => h("button", { disabled: true, title: "Buttons on cards are not part of this sandbox yet" }, action.name))) : null);
  card.style.borderLeftColor = NAMED[one.color] ?? (/^#[0-9a-f]{6}$/i.test(one.color ?? "") ? one.color : "#c4ccd4");
  return h("div", {}, one.pretext ? h("div", { class: "md" }, markdown(one.pretext)) : null, card);
}
