/** A list of posts that keeps its scroll position, or follows new posts when it is at the end. */

import { h, reconcile, spinner } from "../dom.js";
import { replies, store } from "../store.js";
import { day, sameDay } from "../time.js";
import { drawPost } from "./post.js";

const TOGETHER = 5 * 60 * 1000; // messages of one author within this time share a head
const AT_END = 60; // pixels

/**
 * Build a list for `place` ("channel" or "thread").
 *
 * `update(key, posts, intro)` draws what changed; another *key* is another conversation and starts at its end.
 */
export function postList(place, onReply, label) {
  const root = h("div", { class: "posts", role: "log", "aria-label": label, tabindex: 0 });
  let drawn = new Map(); // key -> {sign, node}
  let current = "";
  let known = 0;

  function keep(cache, key, sign, draw) {
    const old = drawn.get(key);
    const entry = old?.sign === sign ? old : { sign, node: draw() };
    cache.set(key, entry);
    return entry.node;
  }

  function nodesOf(posts, cache) {
    const nodes = [];
    let before = null;
    for (const post of posts) {
      if (!before || !sameDay(before.create_at, post.create_at)) {
        const text = day(post.create_at);
        nodes.push(keep(cache, `day ${text}`, text, () => h("div", { class: "day", role: "separator" }, h("span", {}, text))));
        before = null;
      }
      const compact = follows(before, post);
      const user = store.users.get(post.user_id);
      const menu = (store.bindings[place]["/post_menu"] ?? []).length > 0;
      const sign = JSON.stringify([post, compact, user?.username, user?.update_at, menu, post.id === store.highlight, store.users.size,
        place === "channel" ? replies(post) : null]);
      nodes.push(keep(cache, post.id, sign, () => drawPost(post, { place, compact, onReply })));
      if (place === "thread" && post === posts[0]) nodes.push(divider(cache, posts.filter((one) => !one.local).length - 1));
      before = post;
    }
    return nodes;
  }

  function divider(cache, count) {
    const text = count === 1 ? "1 reply" : `${count} replies`;
    return keep(cache, "divider", text, () => h("div", { class: "day" }, h("span", {}, count ? text : "No replies yet")));
  }

  function update(key, posts, intro) {
    const fresh = key !== current;
    const atEnd = fresh || root.scrollHeight - root.scrollTop - root.clientHeight < AT_END;
    if (fresh) drawn = new Map();
    const cache = new Map();
    const nodes = nodesOf(posts, cache);
    if (intro) nodes.unshift(keep(cache, "intro", JSON.stringify(intro), () => drawIntro(intro)));
    drawn = cache;
    reconcile(root, nodes);
    if (atEnd && (fresh || posts.length !== known || root.scrollTop > 0)) root.scrollTop = root.scrollHeight;
    current = key;
    known = posts.length;
  }

  function reveal(id) {
    root.querySelector(`[data-post="${CSS.escape(id)}"]`)?.scrollIntoView({ block: "center" });
  }

  // Arrows walk over the messages; only the one with the focus has its tools in the order of Tab.
  root.addEventListener("keydown", (event) => {
    const posts = [...root.querySelectorAll(".post")];
    const at = posts.indexOf(document.activeElement);
    if (at < 0 && document.activeElement !== root) return;
    const moves = { ArrowUp: at < 0 ? posts.length - 1 : at - 1, ArrowDown: at + 1, Home: 0, End: posts.length - 1 };
    const next = posts[moves[event.key]];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
  for (const [kind, tabIndex] of [["focusin", 0], ["focusout", -1]]) {
    root.addEventListener(kind, (event) => {
      for (const tool of event.target.closest(".post")?.querySelectorAll(".tool") ?? []) tool.tabIndex = tabIndex;
    });
  }

  // Pictures that arrive late must not push the newest message out of sight.
  root.addEventListener("load", () => {
    if (root.scrollHeight - root.scrollTop - root.clientHeight < AT_END * 3) root.scrollTop = root.scrollHeight;
  }, true);
  return { root, update, reveal };
}

function follows(before, post) {
  return Boolean(before) && before.user_id === post.user_id && Boolean(before.local) === Boolean(post.local)
    && post.create_at - before.create_at < TOGETHER && !before.props?.attachments && !(before.reply_count > 0) && !post.local;
}

function drawIntro({ title, text, loading }) {
  if (loading) return h("div", { class: "intro loading" }, spinner("Loading messages"));
  return h("div", { class: "intro" }, h("p", { class: "intro-title" }, title), h("p", {}, text));
}
