/** The center: the open channel's header, messages and composer. */

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { channelPosts, channelTitle, partner, store } from "../store.js";
import { avatar } from "./post.js";
import { channelMenu } from "./channel_menu.js";
import { composer } from "./composer.js";
import { postList } from "./post_list.js";

const SIGNS = { O: "hash", P: "lock", G: "people" };

/**
 * Build the center; `update()` draws what changed. `onMenu` opens the sidebar on narrow screens, `onProblem(text)` is
 * called when a change of the channel fails, `onLeft()` when the channel was left.
 */
export function centre({ onReply, onMenu, onProblem, onLeft }) {
  const list = postList("channel", onReply, "Messages");
  const write = composer("channel", () => "");
  const sign = h("span", { class: "header-sign" });
  const title = h("h1", { class: "channel-name", "data-testid": "channel-title" });
  const note = h("span", { class: "header-note" });
  const offline = h("div", { class: "offline", role: "status", hidden: true }, "No connection to the server. Trying again…");
  const menu = h(
    "button",
    { class: "icon-button only-narrow", type: "button", "aria-label": "Channels", "aria-controls": "sidebar", on: { click: onMenu } },
    icon("menu", 22),
  );
  const actions = channelMenu({ onDone: (problem) => problem && onProblem(problem), onLeft });
  const root = h("main", { class: "centre" }, h("header", { class: "channel-header" }, menu, sign, title, note, actions), offline, list.root, write.root);

  function signOf(channel) {
    if (channel.type === "D") return avatar(partner(channel), 26);
    return icon(channel.delete_at ? "archive" : (SIGNS[channel.type] ?? "hash"), 20);
  }

  function noteOf(channel) {
    if (channel.delete_at) return "Archived";
    if (channel.type === "D") return partner(channel)?.is_bot ? "App" : `@${partner(channel)?.username ?? ""}`;
    const count = store.memberCount;
    return [count ? `${count} members` : "", channel.header].filter(Boolean).join(" · ");
  }

  function introOf(channel) {
    const name = channelTitle(channel);
    if (channel.type === "G") return { title: name, text: `Your conversation with ${name}. Nobody else can read it.` };
    if (channel.type !== "D") {
      const purpose = channel.purpose || "Write a message below, or type / to see what apps can do.";
      return { title: name, text: `The beginning of ${name}. ${purpose}` };
    }
    if (partner(channel)?.is_bot) return { title: name, text: `Messages that ${name} sends to you alone.` };
    return { title: name, text: `Your conversation with ${name}. Nobody else can read it.` };
  }

  function update() {
    const { channel } = store;
    if (!channel) return;
    const name = channelTitle(channel);
    sign.replaceChildren(signOf(channel));
    title.textContent = name;
    note.textContent = noteOf(channel);
    document.title = `${name} · ${store.team.display_name}`;
    offline.hidden = store.online;
    actions.hidden = channel.type === "D" || channel.type === "G";
    const intro = store.whole.has(channel.id) ? introOf(channel) : null;
    list.update(channel.id, channelPosts(channel.id), store.loaded.has(channel.id) ? intro : { loading: true });
    const refusal = channel.delete_at ? "This channel is archived. Nothing new can be written in it." : "";
    write.update(channel.id, `Write to ${name}`, refusal);
  }

  return { root, update, focus: write.focus, reveal: list.reveal };
}
