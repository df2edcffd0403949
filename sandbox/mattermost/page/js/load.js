/** Reading from the server into the store. */

import { MOST_POSTS, api } from "./api.js";
import { addPosts, addUsers, changed, store, viewedTimes } from "./store.js";

/** The channels of the sidebar, the people in them, and what has not been seen yet. */
export async function loadChannels() {
  const [channels, users] = await Promise.all([api.channels(store.team.id), api.users(store.team.id)]);
  addUsers(users);
  const viewed = viewedTimes();
  const mine = new Set(channels.map((one) => one.id));
  for (const id of store.channels.keys()) if (!mine.has(id) && id !== store.channel?.id) store.channels.delete(id);
  for (const channel of channels) {
    store.channels.set(channel.id, channel);
    const seen = viewed[channel.id] ?? (channel.type === "D" ? 0 : Infinity);
    const open = channel.id === store.channel?.id;
    if (!open && channel.last_post_at > seen && !store.unread.has(channel.id)) store.unread.set(channel.id, 1);
  }
  const strangers = channels.filter((one) => one.type === "D").flatMap((one) => one.name.split("__"));
  await loadUsers(strangers);
  if (store.channel) store.channel = store.channels.get(store.channel.id) ?? store.channel;
  changed();
}

/** People that are not known yet, by id. */
export async function loadUsers(ids) {
  const unknown = [...new Set(ids)].filter((id) => id && !store.users.has(id));
  if (unknown.length) addUsers(await api.usersByIds(unknown));
}

/** The newest messages of a channel and how many people are in it. */
export async function loadPosts(channel) {
  const before = new Set(store.posts.keys()); // what arrives while we ask is not gone
  const [found, members] = await Promise.all([api.posts(channel.id), api.channelMembers(channel.id).catch(() => [])]);
  if (store.channel?.id === channel.id) store.memberCount = members.length;
  const posts = Object.values(found.posts ?? {});
  store.loaded.add(channel.id);
  if (posts.length < MOST_POSTS) store.whole.add(channel.id);
  const gone = [...store.posts.values()].filter((one) => before.has(one.id) && one.channel_id === channel.id && !one.local && !found.posts[one.id]);
  const oldest = Math.min(...posts.map((one) => one.create_at));
  for (const one of gone) if (one.create_at >= oldest) store.posts.delete(one.id);
  addPosts(posts);
  await loadUsers(posts.map((one) => one.user_id));
}

export async function loadThread(rootId) {
  const found = await api.thread(rootId);
  addPosts(Object.values(found.posts));
  await loadUsers(Object.values(found.posts).map((one) => one.user_id));
}

/** The channel of a post, as the sidebar has it or as the server tells it. */
export async function openChannelOf(post) {
  return store.channels.get(post.channel_id) ?? api.channel(post.channel_id);
}
