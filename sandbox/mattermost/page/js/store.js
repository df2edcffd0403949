/** The page's state. Views read it and listen for "change"; only this module changes it. */

export const store = {
  me: null,
  team: null,
  users: new Map(), // by id
  channels: new Map(), // by id, those of the sidebar and those visited
  posts: new Map(), // by id, private messages (`local: true`) too
  channel: null, // the open one
  thread: "", // root id of the open thread
  highlight: "", // post id a permalink leads to
  unread: new Map(), // channel id -> number of messages
  mentions: new Map(), // channel id -> number of those that mention this person
  threads: { unread: 0, mentions: 0, list: [] }, // followed; see threads.js
  bindings: { channel: {}, thread: {} }, // cleaned, by place; see apps/bindings.js
  online: true,
  version: [9, 11, 0], // of the server, as its greeting says
  loaded: new Set(), // ids of channels whose messages have been read
  whole: new Set(), // ids of those of which all messages are here
  memberCount: 0, // of the open channel
};

const target = new EventTarget();
let queued = false;

/** Call *listener* once after each batch of changes. */
export function onChange(listener) {
  target.addEventListener("change", listener);
}

/** Whether the server, and so the client that it brings, is that version or a newer one. */
export function atLeast(major, minor) {
  return store.version[0] > major || (store.version[0] === major && store.version[1] >= minor);
}

/** Notify listeners of a change. They run once, before the next frame. */
export function changed() {
  if (queued) return;
  queued = true;
  queueMicrotask(() => {
    queued = false;
    target.dispatchEvent(new Event("change"));
  });
}

export function addUsers(users) {
  for (const user of users) store.users.set(user.id, user);
  changed();
}

export function userByName(name) {
  const wanted = name.toLowerCase();
  return [...store.users.values()].find((user) => user.username === wanted) ?? null;
}

export function channelByName(name) {
  return [...store.channels.values()].find((channel) => channel.name === name && channel.team_id) ?? null;
}

/** A user's display name: the full name, or the username. */
export function displayName(user) {
  if (!user) return "Someone";
  return [user.first_name, user.last_name].filter(Boolean).join(" ") || user.username;
}

/** The other user of a direct channel (oneself in a channel with oneself). */
export function partner(channel) {
  const ids = channel.name.split("__");
  return store.users.get(ids.find((id) => id !== store.me.id) ?? ids[0]) ?? null;
}

export function channelTitle(channel) {
  if (channel.type !== "D") return channel.display_name;
  const user = partner(channel);
  return user?.is_bot ? user.username : displayName(user);
}

/** The URL of a channel in this page. */
export function channelPath(channel) {
  const user = channel.type === "D" ? partner(channel) : null;
  return user ? `/${store.team.name}/messages/@${user.username}` : `/${store.team.name}/channels/${channel.name}`;
}

/** Add the posts of a post list (`order`, `posts`), or single ones. Ephemeral posts are kept. */
export function addPosts(posts) {
  for (const post of posts) {
    if (post.delete_at) store.posts.delete(post.id);
    else store.posts.set(post.id, post);
  }
  changed();
}

export function removePost(id) {
  store.posts.delete(id);
  changed();
}

function byTime(one, other) {
  return one.create_at - other.create_at || (one.id < other.id ? -1 : 1);
}

/** The posts to show in a channel: its roots, and all ephemeral posts. */
export function channelPosts(channelId) {
  return [...store.posts.values()]
    .filter((post) => post.channel_id === channelId && (!post.root_id || post.local))
    .sort(byTime);
}

export function threadPosts(rootId) {
  return [...store.posts.values()].filter((post) => post.id === rootId || post.root_id === rootId).sort(byTime);
}

/** The replies to a root: their number, the time of the last one, and up to four authors (newest last). */
export function replies(root) {
  const known = threadPosts(root.id).filter((post) => post.id !== root.id && !post.local);
  const people = [...new Set(known.map((post) => post.user_id))].slice(-4);
  const last = Math.max(root.last_reply_at ?? 0, ...known.map((post) => post.create_at));
  return { count: Math.max(known.length, root.reply_count ?? 0), last, people };
}

/** Mark the channel as read. */
export function markViewed(channelId) {
  store.unread.delete(channelId);
  store.mentions.delete(channelId);
  changed();
}
