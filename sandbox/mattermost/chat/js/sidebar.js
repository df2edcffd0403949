// The left side: team, channels, direct messages, and who is signed in.

import { fill, h, icon, slug } from "./dom.js";
import { channelTitle, displayName, store } from "./store.js";

export function addressOf(channel) {
  if (channel.type !== "D") return `/${store.team.name}/channels/${channel.name}`;
  const other = channel.name.split("__").find((id) => id !== store.me.id) ?? store.me.id;
  return `/${store.team.name}/messages/@${store.users.get(other)?.username ?? other}`;
}

export function moveTo(address) {
  history.pushState({}, "", address);
  window.dispatchEvent(new PopStateEvent("popstate"));
}

export function drawSidebar(place, signOut) {
  const all = [...store.channels.values()];
  const named = all.filter((one) => one.type === "O" || one.type === "P").sort((one, other) => one.display_name.localeCompare(other.display_name));
  const direct = all.filter((one) => one.type === "D" || one.type === "G").sort((one, other) => channelTitle(one).localeCompare(channelTitle(other)));
  fill(place,
    h("header", { class: "team" }, h("span", { class: "team-badge", "aria-hidden": "true" }, store.team.display_name[0]), store.team.display_name),
    h("div", { class: "groups" }, group("Channels", named), direct.length ? group("Direct messages", direct) : null),
    h("footer", { class: "me" }, avatar(store.me.id), h("span", {}, displayName(store.me)), h("button", { class: "quiet", onclick: signOut }, "Sign out")));
}

function group(title, channels) {
  return h("section", {}, h("h2", {}, title), h("ul", {}, channels.map((channel) => {
    const unread = store.unread.has(channel.id);
    const sign = channel.delete_at ? "archive" : channel.type === "P" ? "lock" : "globe";
    return h("li", {}, h("a", {
      href: addressOf(channel), class: unread ? "unread" : "", "aria-current": channel.id === store.current ? "page" : null,
      "data-testid": `channel-${channel.type === "D" ? slug(channelTitle(channel)) : channel.name}`,
      onclick: (event) => { event.preventDefault(); moveTo(addressOf(channel)); },
    }, channel.type === "D" ? avatar(channel.name.split("__").find((id) => id !== store.me.id) ?? store.me.id, 20) : icon(sign),
    h("span", {}, channelTitle(channel)), unread ? h("span", { class: "dot", "aria-label": "unread" }) : null));
  })));
}

export function avatar(userId, size = 32) {
  return userId ? h("img", { class: "avatar", src: `/api/v4/users/${userId}/image`, alt: "", width: size, height: size }) : h("span", { class: "avatar blank", "aria-hidden": "true" });
}
