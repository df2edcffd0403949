/** The entry "Threads" above the channels: the number of unread followed threads, and their list. */

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { openFrame } from "../modal/frame.js";
import { channelTitle, store } from "../store.js";

const LONGEST = 80; // characters of a thread's first message

/** Build the entry; `update()` draws what changed, `onThread(post)` opens the thread of that message. */
export function threadsEntry(onThread) {
  const root = h("button", { class: "channel", type: "button", "data-testid": "threads", on: { click: () => openList(onThread) } });

  function update() {
    const { unread, mentions } = store.threads;
    root.classList.toggle("unread", unread > 0);
    root.setAttribute("aria-label", ["Threads", unread && `${unread} unread`, counted(mentions)].filter(Boolean).join(", "));
    const mark = mentions ? h("span", { class: "count" }, String(mentions)) : unread ? h("span", { class: "dot" }) : "";
    root.replaceChildren(icon("chat", 16), h("span", { class: "channel-title" }, "Threads"), mark);
  }

  return { root, update };
}

/** "2 mentions", or "" for none. */
export function counted(mentions) {
  if (!mentions) return "";
  return mentions === 1 ? "1 mention" : `${mentions} mentions`;
}

function openList(onThread) {
  const frame = openFrame(() => {});
  frame.title.textContent = "Followed threads";
  const list = h("div", { class: "people", "data-testid": "followed-threads" });
  frame.body.append(list);
  frame.form.addEventListener("submit", (event) => event.preventDefault());
  for (const thread of store.threads.list) {
    const channel = store.channels.get(thread.post.channel_id);
    const unread = thread.unread_replies ? `${thread.unread_replies} unread` : "";
    const notes = [channel && channelTitle(channel), unread, counted(thread.unread_mentions)].filter(Boolean).join(" · ");
    const open = () => {
      frame.close();
      onThread(thread.post);
    };
    list.append(h("button", { class: "person", type: "button", on: { click: open } }, h("span", {}, beginning(thread.post)), h("span", { class: "person-name" }, notes)));
  }
  if (!store.threads.list.length) list.append(h("p", { class: "select-note" }, "You follow no threads."));
}

function beginning(post) {
  const [card] = post.props?.attachments ?? [];
  return (post.message || card?.title || card?.pretext || card?.text || card?.fallback || "Message").slice(0, LONGEST);
}
