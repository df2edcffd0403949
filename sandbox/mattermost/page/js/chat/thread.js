/** The right-hand sidebar: a post, its replies, and its own composer. */

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { channelTitle, store, threadPosts } from "../store.js";
import { composer } from "./composer.js";
import { postList } from "./post_list.js";

/** Build the sidebar; `update()` draws what changed, the close button and Escape call `onClose()`. */
export function threadPanel(onClose) {
  const list = postList("thread", () => {}, "Messages of the thread");
  const write = composer("thread", () => store.thread);
  const where = h("span", { class: "thread-where" });
  const cross = h(
    "button",
    { class: "icon-button", type: "button", "aria-label": "Close thread", "data-testid": "thread-close", on: { click: onClose } },
    icon("close", 20),
  );
  const root = h(
    "section",
    { class: "thread-panel", "aria-label": "Thread", "data-testid": "thread-panel", hidden: true },
    h("header", { class: "panel-header" }, h("div", {}, h("h2", {}, "Thread"), where), cross),
    list.root,
    write.root,
  );
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented) onClose();
  });

  function update() {
    const rootPost = store.thread ? store.posts.get(store.thread) : null;
    root.hidden = !store.thread;
    document.body.classList.toggle("has-thread", Boolean(store.thread));
    if (!store.thread || !store.channel) return;
    where.textContent = channelTitle(store.channel);
    list.update(store.thread, rootPost ? threadPosts(store.thread) : []);
    const refusal = store.channel.delete_at ? "This channel is archived. Nothing new can be written in it." : "";
    write.update(`thread ${store.thread}`, "Reply to this thread…", refusal);
  }

  return { root, update, focus: write.focus, reveal: list.reveal };
}
