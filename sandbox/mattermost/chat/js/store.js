// What the page knows: people, channels, posts, menus; and who wants to hear of changes.

import { get, post } from "./api.js";

export const store = {
  me: null, team: null, users: new Map(), channels: new Map(), posts: new Map(), local: [],
  unread: new Set(), current: "", thread: "", highlight: "", bindings: [],
};

const listeners = new Map();
/** Call `act` whenever `topic` changes: posts, channels, bindings, thread, current. */
export const on = (topic, act) => listeners.set(topic, [...(listeners.get(topic) ?? []), act]);
export const changed = (topic) => (listeners.get(topic) ?? []).forEach((act) => act());

export async function load() {
  store.me = await get("/api/v4/users/me");
  store.users.set(store.me.id, store.me);
  [store.team] = await get("/api/v4/users/me/teams");
  await loadChannels();
}

export async function loadChannels() {
  const channels = await get(`/api/v4/users/me/teams/${store.team.id}/channels`);
  store.channels = new Map(channels.map((channel) => [channel.id, channel]));
  await know(channels.filter((one) => one.type === "D").flatMap((one) => one.name.split("__")));
  changed("channels");
}

/** Load users that are not known yet. */
export async function know(ids) {
  const missing = [...new Set(ids)].filter((id) => id && !store.users.has(id));
  if (!missing.length) return;
  for (const user of await post("/api/v4/users/ids", missing)) store.users.set(user.id, user);
}

export async function loadPosts(channelId) {
  const listing = await get(`/api/v4/channels/${channelId}/posts?per_page=60`);
  for (const one of Object.values(listing.posts)) store.posts.set(one.id, one);
  await know(Object.values(listing.posts).map((one) => one.user_id));
  changed("posts");
}

export async function putPost(one) {
  await know([one.user_id]);
  if (one.delete_at) store.posts.delete(one.id);
  else store.posts.set(one.id, one);
  changed("posts");
}

/** A message that only this page shows, as the real client draws an app's answers. */
export function putLocal(channelId, rootId, userId, message) {
  const now = Date.now();
  const id = `local${now}-${store.local.length}`;
  store.local.push({ id, channel_id: channelId, root_id: rootId, user_id: userId, message, create_at: now, props: {}, type: "local" });
  changed("posts");
}

const byTime = (one, other) => one.create_at - other.create_at;
const all = () => [...store.posts.values(), ...store.local];
export const rootsOf = (channelId) => all().filter((one) => one.channel_id === channelId && !one.root_id).sort(byTime);
export const replies = (rootId) => all().filter((one) => one.root_id === rootId).sort(byTime);

export const displayName = (user) => (user ? [user.first_name, user.last_name].filter(Boolean).join(" ") || user.username : "System");

export function channelTitle(channel) {
  if (channel.type !== "D") return channel.display_name;
  const other = channel.name.split("__").find((id) => id !== store.me.id) ?? store.me.id;
  return displayName(store.users.get(other));
}
