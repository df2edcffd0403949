/** The channel menu: members, archive, unarchive, leave. */

import { api } from "../api.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { loadChannels } from "../load.js";
import { openFrame } from "../modal/frame.js";
import { addUsers, channelTitle, displayName, store } from "../store.js";
import { toggleMenu } from "./menu.js";
import { avatar } from "./post.js";

/** Build the button; `onDone(problem)` reports the result ("" for success), `onLeft()` that the channel was left. */
export function channelMenu({ onDone, onLeft }) {
  const button = h(
    "button",
    {
      class: "icon-button channel-menu", type: "button", "aria-label": "Channel actions", "aria-haspopup": "menu", "aria-expanded": "false",
      "data-testid": "channel-menu", on: { click: open },
    },
    icon("more", 20),
  );

  function open() {
    const { channel } = store;
    const archived = Boolean(channel.delete_at);
    const items = [
      { label: "Members", choose: () => openMembers(channel, onDone) },
      archived
        ? { label: "Unarchive channel", choose: () => change(() => api.unarchive(channel.id)) }
        : { label: "Archive channel", choose: () => change(() => api.archive(channel.id)) },
      { label: "Leave channel", choose: () => change(() => api.removeMember(channel.id, store.me.id), onLeft) },
    ];
    toggleMenu(button, `Actions for ${channelTitle(channel)}`, items);
  }

  async function change(act, then = () => {}) {
    try {
      await act();
      await loadChannels();
      then();
      onDone("");
    } catch (failure) {
      onDone(failure.message);
    }
  }

  return button;
}

/** The members of the channel, with buttons to add and remove them. */
async function openMembers(channel, onDone) {
  const frame = openFrame(() => onDone(""));
  frame.title.textContent = `Members of ${channelTitle(channel)}`;
  const problem = h("div", { class: "modal-error", role: "alert" });
  const list = h("div", { class: "people", "data-testid": "members" });
  const search = h("input", { class: "text-input", type: "search", placeholder: "Add somebody", "aria-label": "Add somebody", on: { input: draw } });
  frame.form.addEventListener("submit", (event) => event.preventDefault());
  frame.body.append(problem, search, list);
  let asked = 0;

  async function draw() {
    asked += 1;
    const mine = asked;
    const typed = search.value.trim().toLowerCase();
    const [members, found] = await Promise.all([api.channelMembers(channel.id), api.findUsers(typed, store.team.id)]);
    if (mine !== asked) return;
    addUsers([...(found.users ?? []), ...(found.out_of_channel ?? [])]);
    const inside = new Set(members.map((one) => one.user_id));
    const known = [...store.users.values()].filter((one) => !one.delete_at);
    const shown = typed ? known.filter((one) => `${one.username} ${displayName(one)}`.toLowerCase().includes(typed)) : known.filter((one) => inside.has(one.id));
    list.replaceChildren(...shown.map((user) => row(user, inside.has(user.id))));
  }

  function row(user, inside) {
    const label = inside ? "Remove" : "Add";
    const act = () => (inside ? api.removeMember(channel.id, user.id) : api.addMember(channel.id, user.id));
    return h(
      "div",
      { class: "person" },
      avatar(user, 32),
      h("span", {}, user.is_bot ? user.username : displayName(user)),
      h("span", { class: "person-name" }, user.is_bot ? "BOT" : `@${user.username}`),
      h("button", { class: "button quiet small", type: "button", "aria-label": `${label} ${user.username}`, on: { click: () => change(act) } }, label),
    );
  }

  async function change(act) {
    problem.textContent = "";
    try {
      await act();
      await draw();
    } catch (failure) {
      problem.textContent = failure.message;
    }
  }

  search.focus();
  await draw().catch((failure) => {
    problem.textContent = failure.message;
  });
}
