/** WebSocket events. https://developers.mattermost.com/api-documentation/ */

import { fetchBindings } from "./apps/bindings.js";
import { loadChannels, loadUsers, seen } from "./load.js";
import { toldToOpen } from "./modal/triggers.js";
import { addPosts, changed, markViewed, removePost, store } from "./store.js";
import { loadThreads } from "./threads.js";

/** Handle one event. Posts are sent as a JSON string. */
export async function arrive(event, data) {
  switch (event) {
    case "posted":
      return posted(JSON.parse(data.post), JSON.parse(data.mentions ?? "[]").includes(store.me.id));
    case "post_edited":
      return edited(JSON.parse(data.post));
    case "post_deleted":
      return removePost(JSON.parse(data.post).id);
    case "ephemeral_message":
      return ephemeral(typeof data.post === "string" ? JSON.parse(data.post) : data.post);
    case "open_dialog":
      return toldToOpen(JSON.parse(data.dialog));
    case "direct_added":
    case "group_added":
    case "user_added":
    case "user_removed":
    case "channel_created":
    case "channel_deleted":
    case "channel_restored":
    case "channel_updated":
      return loadChannels().catch(() => {}); // the next event, or coming back, reads them again
    case "thread_updated":
    case "thread_read_changed":
      return loadThreads().catch(() => {});
    case "multiple_channels_viewed":
      return Object.keys(data.channel_times).forEach(markViewed);
    case "custom_com.mattermost.apps_refresh_bindings":
      return fetchBindings();
    default:
      return undefined;
  }
}

async function posted(post, mentioned) {
  const root = store.posts.get(post.root_id);
  if (root && !store.posts.has(post.id)) {
    store.posts.set(root.id, { ...root, reply_count: (root.reply_count ?? 0) + 1, last_reply_at: post.create_at });
  }
  addPosts([post]);
  const open = post.channel_id === store.channel?.id;
  const own = post.user_id === store.me.id;
  const known = store.channels.has(post.channel_id);
  if (!known) await loadChannels();
  const channel = store.channels.get(post.channel_id);
  if (channel) store.channels.set(channel.id, { ...channel, last_post_at: post.create_at });
  if (!post.root_id) count(post, { known, mentioned, read: own || (open && !document.hidden) });
  await loadUsers([post.user_id]);
  changed();
}

/** A new post, read or unread. Replies count only in their threads. */
function count(post, { known, mentioned, read }) {
  const id = post.channel_id;
  if (read) return seen({ id });
  if (!known) return undefined; // the server has counted it
  store.unread.set(id, (store.unread.get(id) ?? 0) + 1);
  if (mentioned) store.mentions.set(id, (store.mentions.get(id) ?? 0) + 1);
  return undefined;
}

function edited(post) {
  const known = store.posts.get(post.id);
  if (known) addPosts([{ ...post, reply_count: Math.max(post.reply_count ?? 0, known.reply_count ?? 0) }]);
}

function ephemeral(post) {
  addPosts([{ ...post, create_at: post.create_at || Date.now(), props: post.props ?? {}, local: true }]);
}
