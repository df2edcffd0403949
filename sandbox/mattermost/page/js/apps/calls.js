/** Calls, encoded as in the real client, and how their responses are handled. */

import { api } from "../api.js";
import { openAddress } from "../navigate.js";
import { changed, store } from "../store.js";
import { cleanForm } from "./bindings.js";

let locals = 0;

/** The context of a binding; *extra* has post_id and root_id for posts, root_id for commands. */
export function contextOf(binding, extra = {}) {
  return {
    app_id: binding.app_id,
    location: binding.location,
    channel_id: store.channel.id,
    team_id: store.team.id,
    ...extra,
  };
}

/** A request: the call of the app, a context, and the kind's own keys (values, selected_field, query …). */
export function request(call, context, submits, keys = {}) {
  return {
    ...call,
    expand: call.expand ?? {},
    context: { ...context, track_as_submit: submits, user_agent: "webapp" },
    ...keys,
  };
}

/** Send a request. Any failure is returned as a response of type error. */
export async function send(asked) {
  try {
    const answer = (await api.call(asked)) ?? {};
    const type = answer.type || "ok";
    return { ...answer, type, ...(answer.form ? { form: cleanForm(answer.form) } : {}) };
  } catch (error) {
    return { type: "error", text: error.message };
  }
}

/** A post that exists only in this page, by the app's bot or by "System". */
export function tellPrivately(text, { channelId, rootId = "", botId = "" }) {
  locals += 1;
  const post = {
    id: `local-${locals}`,
    local: true,
    user_id: botId,
    channel_id: channelId,
    root_id: rootId,
    message: text,
    create_at: Date.now(),
    props: {},
  };
  store.posts.set(post.id, post);
  changed();
}

/** Show a response's text as an ephemeral post where the call was made. */
export function showText(answer, text, context) {
  tellPrivately(text, {
    channelId: context.channel_id,
    rootId: context.root_id || context.post_id || "",
    botId: answer.app_metadata?.bot_user_id ?? "",
  });
}

const NO_FORM = "Response type is `form`, but no form was included in response.";
const NO_ADDRESS = "Response type is `navigate`, but no url was included in response.";

/**
 * Handle the response to a submit or to a form's source.
 *
 * `openForm(form, context)` opens a modal. Returns the error text to show, or "" on success. For
 * a response of type error without a text, it is the client's own.
 */
export function react(answer, context, openForm) {
  switch (answer.type) {
    case "ok":
      if (answer.text) showText(answer, answer.text, context);
      return "";
    case "error":
      return answer.text || "Unknown error occurred.";
    case "form":
      if (!answer.form?.submit) return NO_FORM;
      openForm(answer.form, context);
      return "";
    case "navigate":
      if (!answer.navigate_to_url) return NO_ADDRESS;
      if (!openAddress(answer.navigate_to_url)) {
        showText(answer, `Your browser kept a new tab from opening: [open it here](${answer.navigate_to_url}).`, context);
      }
      return "";
    default:
      return `App response type not supported. Response type: ${answer.type}.`;
  }
}

/**
 * A click on an entry of the app bar or the message menu.
 *
 * Its `submit` is sent, a form with `source` is fetched first, a complete form opens at once.
 */
export async function press(binding, extra, openForm) {
  const context = contextOf(binding, extra);
  if (binding.form && !binding.form.source && binding.form.submit) {
    openForm(binding.form, context);
    return;
  }
  const call = binding.submit ?? binding.form?.source;
  if (!call) {
    tellPrivately("This binding is not properly formed. Contact the App developer.", {
      channelId: context.channel_id,
      rootId: context.root_id || context.post_id || "",
    });
    return;
  }
  const answer = await send(request(call, context, Boolean(binding.submit)));
  const problem = react(answer, context, openForm);
  if (problem) showText(answer, problem, context);
}
