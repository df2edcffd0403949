/** Followed threads: loaded from the server, and marked as read while one is open. */

import { api } from "./api.js";
import { changed, store } from "./store.js";

/** Load the followed threads with their counts. An open one is marked as read. */
export async function loadThreads() {
  const found = await api.threads(store.team.id);
  store.threads = { unread: found.total_unread_threads, mentions: found.total_unread_mentions, list: found.threads };
  changed();
  if (!document.hidden) await readThread(store.thread);
}

/** Mark the thread as read. The server's event then triggers `loadThreads`. */
export async function readThread(rootId) {
  const thread = store.threads.list.find((one) => one.id === rootId);
  if (!thread || !(thread.unread_replies || thread.unread_mentions)) return;
  await api.readThread(store.team.id, rootId, Math.max(Date.now(), thread.last_reply_at));
}
