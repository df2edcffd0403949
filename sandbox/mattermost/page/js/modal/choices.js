/** What selects of people and of channels offer, in modals, dialogs and on cards. */

import { api } from "../api.js";
import { store } from "../store.js";

/** People by name; *bots* too where the real client offers them, as on cards. */
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
