/** The threads that this person follows: read from the server, and read up to their end while one is open. */

import { api } from "./api.js";
import { changed, store } from "./store.js";

/** Followed threads with their counts; an open one has been seen. */
export async function loadThreads() {
  const found = await api.threads(store.team.id);
  store.threads = { unread: found.total_unread_threads, mentions: found.total_unread_mentions, list: found.threads };
  changed();
  if (!document.hidden) await readThread(store.thread);
}

/** The thread has been seen. The server tells what is left, which brings `loadThreads`. */
export async function readThread(rootId) {
  const thread = store.threads.list.find((one) => one.id === rootId);
  if (!thread || !(thread.unread_replies || thread.unread_mentions)) return;
  await api.readThread(store.team.id, rootId, Math.max(Date.now(), thread.last_reply_at));
}
