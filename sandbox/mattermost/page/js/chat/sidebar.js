/** The left column: team, channels, direct messages, the person signed in. */

import { api } from "../api.js";
import { h, reconcile, slug } from "../dom.js";
import { icon } from "../icons.js";
import { openFrame } from "../modal/frame.js";
import { go } from "../navigate.js";
import { channelPath, channelTitle, displayName, partner, store } from "../store.js";
import { avatar } from "./post.js";
import { counted, threadsEntry } from "./threads_entry.js";

const SIGNS = { O: "hash", P: "lock", G: "people" };

/** Build the sidebar; `update()` draws what changed. `onClose` shuts it where it lies over the page. */
export function sidebar({ onSignOut, onClose, onThread }) {
  const threads = threadsEntry(onThread);
  const channels = h("ul", { class: "channel-list" });
  const people = h("ul", { class: "channel-list" });
  const archive = h("ul", { class: "channel-list" });
  const archived = h("details", { class: "archived" }, h("summary", {}, "Archived channels"), archive);
  const newMessage = h(
    "button",
    {
      class: "icon-button light", type: "button", "aria-label": "Write a direct message", "data-tip": "Write a direct message",
      "data-tip-side": "left", on: { click: choosePerson },
    },
    icon("plus", 18),
  );
  const who = h("div", { class: "signed-in" });
  const nav = h(
    "nav",
    { class: "channels", "aria-label": "Channels", on: { click: (event) => event.target.closest("a") && onClose() } },
    threads.root,
    h("div", { class: "section-title" }, h("h2", {}, "Channels")),
    channels,
    h("div", { class: "section-title" }, h("h2", {}, "Direct messages"), newMessage),
    people,
    archived,
  );
  const name = h("span", { class: "team-name" });
  const team = h("div", { class: "team" }, h("span", { class: "team-sign", "aria-hidden": "true" }), name);
  const root = h("aside", { class: "sidebar", id: "sidebar" }, team, nav, who);
  const exit = h(
    "button",
    {
      class: "icon-button light", type: "button", "aria-label": "Sign out", "data-tip": "Sign out", "data-tip-side": "left",
      "data-testid": "sign-out", on: { click: onSignOut },
    },
    icon("exit", 18),
  );

  function item(channel) {
    const open = channel.id === store.channel?.id;
    const unread = open ? 0 : (store.unread.get(channel.id) ?? 0);
    const mentions = open ? 0 : (store.mentions.get(channel.id) ?? 0);
    const direct = channel.type === "D";
    const title = channelTitle(channel);
    const user = direct ? partner(channel) : null;
    const sign = direct ? avatar(user, 20) : icon(channel.delete_at ? "archive" : (SIGNS[channel.type] ?? "hash"), 16);
    const mark = mentions ? h("span", { class: "count" }, String(mentions)) : h("span", { class: "dot" });
    return h(
      "li",
      {},
      h(
        "a",
        {
          class: ["channel", open && "open", unread && "unread"].filter(Boolean).join(" "), href: channelPath(channel),
          "aria-current": open ? "page" : null, "data-testid": `channel-${direct ? slug(title) : channel.name}`,
          "aria-label": [title, unread && `${unread} unread`, !direct && counted(mentions)].filter(Boolean).join(", "),
        },
        sign,
        h("span", { class: "channel-title" }, title),
        unread ? mark : null,
      ),
    );
  }

  function update() {
    name.textContent = store.team.display_name;
    threads.update();
    root.querySelector(".team-sign").textContent = store.team.display_name.slice(0, 1).toUpperCase();
    const all = [...store.channels.values()];
    const shown = all.filter((one) => !one.delete_at || one.id === store.channel?.id);
    const personal = (one) => one.type === "D" || one.type === "G";
    const byTitle = (one, other) => channelTitle(one).localeCompare(channelTitle(other));
    const byUse = (one, other) => (other.last_post_at ?? 0) - (one.last_post_at ?? 0);
    draw(channels, shown.filter((one) => !personal(one)).sort(byTitle));
    draw(people, shown.filter((one) => personal(one) && (one.type === "G" || partner(one))).sort(byUse));
    const gone = all.filter((one) => one.delete_at && one.id !== store.channel?.id).sort(byTitle);
    draw(archive, gone);
    archived.hidden = !gone.length;
    who.replaceChildren(
      avatar(store.me, 32),
      h("div", { class: "signed-in-name" }, h("strong", {}, displayName(store.me)), h("span", {}, `@${store.me.username}`)),
      exit,
    );
  }

  const cache = new WeakMap();
  function draw(list, found) {
    const old = cache.get(list) ?? new Map();
    const next = new Map();
    for (const channel of found) {
      const sign = JSON.stringify([channel.id === store.channel?.id, store.unread.get(channel.id), store.mentions.get(channel.id), channelTitle(channel), channelPath(channel), Boolean(channel.delete_at)]);
      const kept = old.get(channel.id);
      next.set(channel.id, kept?.sign === sign ? kept : { sign, node: item(channel) });
    }
    cache.set(list, next);
    reconcile(list, [...next.values()].map((one) => one.node));
  }

  return { root, update };
}

/** A small dialog that finds people and opens the conversation with one of them. */
async function choosePerson() {
  const frame = openFrame(() => {});
  frame.title.textContent = "Write a direct message";
  const list = h("div", { class: "people" });
  const input = h("input", { class: "text-input", type: "search", placeholder: "Search people", "aria-label": "Search people", on: { input: find } });
  frame.body.append(input, list);
  frame.form.addEventListener("submit", (event) => {
    event.preventDefault();
    list.querySelector("button")?.click();
  });
  let asked = 0;

  async function find() {
    asked += 1;
    const mine = asked;
    const found = await api.findUsers(input.value.toLowerCase(), store.team.id).catch(() => ({ users: [] }));
    if (mine !== asked) return;
    const users = [...(found.users ?? []), ...(found.out_of_channel ?? [])].filter((user) => user.id !== store.me.id);
    list.replaceChildren(...users.map((user) =>
      h(
        "button",
        { class: "person", type: "button", on: { click: () => open(user) } },
        avatar(user, 32),
        h("span", {}, displayName(user)),
        h("span", { class: "person-name" }, `@${user.username}`),
      )));
    if (!users.length) list.replaceChildren(h("p", { class: "select-note" }, "Nobody of that name."));
  }

  function open(user) {
    frame.close();
    go(`/${store.team.name}/messages/@${user.username}`);
  }

  input.focus();
  await find();
}
