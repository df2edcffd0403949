// Apps: fetch menus, send calls, and do with the answers what the real client does.

import { get, PLUGIN, post } from "./api.js";
import { openForm } from "./modal.js";
import { changed, putLocal, store } from "./store.js";

export async function refreshBindings() {
  const channel = store.channels.get(store.current);
  try {
    const query = new URLSearchParams({ channel_id: channel?.id ?? "", team_id: store.team.id, user_agent: "webapp" });
    store.bindings = (await get(`${PLUGIN}/api/v1/bindings?${query}`)) ?? [];
  } catch {
    store.bindings = [];
  }
  changed("bindings");
}

export const bindingsAt = (location) => store.bindings.filter((one) => one.location === location).flatMap((one) => one.bindings ?? []);

/** Where something was opened; later calls of a modal keep it. */
export function contextOf(binding, location, more = {}) {
  return {
    app_id: binding.app_id, location: `${location}/${binding.location}`, channel_id: more.channel_id ?? store.current,
    team_id: store.team.id, ...(more.post_id ? { post_id: more.post_id } : {}), root_id: more.root_id ?? "",
  };
}

/** Send a call; the answer of the plugin is always a call response. */
export async function send(call, context, more = {}, submit = true) {
  const body = { path: call.path, expand: call.expand ?? {}, state: call.state ?? null, context: { ...context, user_agent: "webapp", track_as_submit: submit }, ...more };
  try {
    return await post(`${PLUGIN}/api/v1/call`, body);
  } catch (error) {
    return { type: "error", text: error.message };
  }
}

/** Press an entry of the app bar or of a message's menu. */
export async function press(binding, location, more = {}) {
  const context = contextOf(binding, location, more);
  if (binding.bindings?.length) {
    return say(context, null, "This binding is not properly formed. Contact the App developer.");
  }
  if (binding.form && !binding.form.source) return openForm(binding.form, context);
  const answer = await send(binding.submit ?? binding.form.source, context, {}, !!binding.submit);
  return react(answer, context);
}

export function say(context, answer, text) {
  const bot = answer?.app_metadata?.bot_user_id ?? "";
  putLocal(context.channel_id, context.root_id ?? "", bot, text);
}

/** What an entry's or command's answer does; returns a text that belongs into an error line, if any. */
export async function react(answer, context, { inCommand = false } = {}) {
  switch (answer.type) {
    case "ok":
      if (answer.text) say(context, answer, answer.text);
      return "";
    case "form":
      if (answer.form?.submit) { openForm(answer.form, context); return ""; }
      return fail("Response type is `form`, but no form was included in response.");
    case "navigate":
      if (!answer.navigate_to_url) return fail("Response type is `navigate`, but no url was included in response.");
      navigate(answer.navigate_to_url);
      return "";
    case "error":
      return fail(answer.text || "Unknown error occurred.");
    default:
      return fail(`App response type not supported. Response type: ${answer.type}.`);
  }
  function fail(text) {
    if (!inCommand) say(context, answer, text);
    return text;
  }
}

/** Other hosts and plugin pages open in a new tab, everything else in the page. */
export function navigate(address) {
  const target = new URL(address, location.href);
  const own = target.origin === location.origin;
  if (own && !/^\/(plugins|files|help)\//.test(target.pathname)) {
    history.pushState({}, "", target.pathname);
    window.dispatchEvent(new PopStateEvent("popstate"));
  } else window.open(target.href, "_blank");
}
