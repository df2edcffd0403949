/** Loads data from the server into the store. */

import { MOST_POSTS, api } from "./api.js";
import { addPosts, addUsers, changed, markViewed, store } from "./store.js";

/** Load the sidebar's channels, their users, and the unread counts. */
export async function loadChannels() {
  const team = store.team.id;
  const [channels, users, memberships] = await Promise.all([api.channels(team), api.users(team), api.memberships(team)]);
  addUsers(users);
  const own = new Map(memberships.map((one) => [one.channel_id, one]));
  const mine = new Set(channels.map((one) => one.id));
  for (const id of store.channels.keys()) if (!mine.has(id) && id !== store.channel?.id) store.channels.delete(id);
  for (const channel of channels) {
    store.channels.set(channel.id, channel);
    const member = own.get(channel.id);
    if (!member || channel.id === store.channel?.id) continue;
    store.unread.set(channel.id, channel.total_msg_count_root - member.msg_count_root);
    store.mentions.set(channel.id, member.mention_count_root);
  }
  const strangers = channels.filter((one) => one.type === "D").flatMap((one) => one.name.split("__"));
  await loadUsers(strangers);
  if (store.channel) store.channel = store.channels.get(store.channel.id) ?? store.channel;
  changed();
}

/** Mark the channel as read, here and on the server. */
export function seen(channel, before) {
  markViewed(channel.id);
  api.viewed(channel.id, before?.id).catch(() => {});
}

/** Load users by ID that aren't known yet. */
export async function loadUsers(ids) {
  const unknown = [...new Set(ids)].filter((id) => id && !store.users.has(id));
  if (unknown.length) addUsers(await api.usersByIds(unknown));
}

/** Load the newest posts of a channel and its number of members. */
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

/** The channel of a post, from the sidebar or from the server. */
export async function openChannelOf(post) {
  return store.channels.get(post.channel_id) ?? api.channel(post.channel_id);
}
