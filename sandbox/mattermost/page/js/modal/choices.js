/** The options of user and channel selects, in modals, dialogs and attachments. */

import { api } from "../api.js";
import { store } from "../store.js";

/** Users by name, with *bots* where the real client offers them, as in attachments. */
export async function people(query, { bots = false } = {}) {
  const found = await api.findUsers(query);
  return [...(found.users ?? []), ...(found.out_of_channel ?? [])]
    .filter((user) => bots || !user.is_bot)
    .map((user) => {
      const name = [user.first_name, user.last_name].filter(Boolean).join(" ");
      const nick = user.nickname ? ` (${user.nickname})` : "";
      const text = name || nick ? `@${user.username} - ${name}${nick}` : `@${user.username}`;
      return { label: user.username, value: user.id, text, picture: api.image(user.id) };
    });
}

/** Channels of the team by name. */
export async function channels(query) {
  const found = await api.findChannels(store.team.id, query);
  return found.map((channel) => ({
    label: channel.display_name, value: channel.id, text: `${channel.display_name} (~${channel.name})`,
  }));
}
