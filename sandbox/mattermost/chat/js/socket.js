// The WebSocket: new posts, edits, channels, and the framework's word that menus changed.

import { changed, loadChannels, putPost, store } from "./store.js";

const REFRESH = "custom_com.mattermost.apps_refresh_bindings";

export function listen(refreshBindings) {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v4/websocket`);
  socket.onmessage = async ({ data }) => {
    const message = JSON.parse(data);
    switch (message.event) {
      case "posted":
      case "post_edited":
      case "post_deleted": {
        const post = JSON.parse(message.data.post);
        if (!store.channels.has(post.channel_id)) await loadChannels();
        if (message.event === "posted" && post.channel_id !== store.current && post.user_id !== store.me.id) {
          store.unread.add(post.channel_id);
          changed("channels");
        }
        await putPost(post);
        break;
      }
      case "direct_added":
      case "user_added":
        await loadChannels();
        break;
      case REFRESH:
        await refreshBindings();
        break;
    }
  };
  socket.onclose = () => setTimeout(() => listen(refreshBindings), 2000);
}
