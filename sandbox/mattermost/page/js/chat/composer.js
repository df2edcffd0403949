/**
 * The composer for messages and commands. Enter sends, Shift+Enter starts a new line. A command that fails keeps its
 * draft and shows one line of plain text below the box, as in the real client.
 */

import { api } from "../api.js";
import { entries } from "../apps/bindings.js";
import { isAppCommand, openInModal, run } from "../command/run.js";
import { MODAL, RUN } from "../command/suggest.js";
import { h, spinner } from "../dom.js";
import { icon } from "../icons.js";
import { openForm } from "../modal/form.js";
import { addPosts, store } from "../store.js";
import { attaching } from "./attach.js";
import { suggestions } from "./suggestions.js";

const HIGHEST = 240; // pixels a box grows to
const NO_COMMAND = "api.command.execute_command.not_found.app_error";
const FORMATS = [
  ["Bold", "bold", "**", "**"],
  ["Italic", "italic", "_", "_"],
  ["Strike through", "strike", "~~", "~~"],
  ["Code", "code", "`", "`"],
  ["Link", "link", "[", "](https://)"],
  ["Quote", "quote", "> ", ""],
  ["List", "list", "- ", ""],
];

/** The client's own error for a command that the server doesn't know. */
function unknownCommand(line) {
  return `Command with a trigger of '${line.trim().split(" ")[0]}' not found. Click here to send as a message.`;
}

/**
 * Build a composer for `place` ("channel" or "thread").
 *
 * `rootId()` is the thread's root or "". `update(key, placeholder, refusal)` switches to another conversation,
 * and restores its draft; *refusal* is the reason why nobody can post there.
 */
export function composer(place, rootId) {
  const drafts = new Map();
  let key = "";
  let busy = false;
  const input = h("textarea", {
    class: "composer-input", rows: 1, "data-testid": place === "thread" ? "thread-composer" : "composer", role: "combobox",
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-haspopup": "listbox", maxlength: 16383,
  });
  const error = h("div", { class: "composer-error", role: "alert", "data-testid": place === "thread" ? "thread-composer-error" : "composer-error" });
  const sendButton = h(
    "button",
    { class: "send", type: "button", "aria-label": "Send", "data-tip": "Send", on: { click: () => submit() } },
    icon("send", 18),
  );
  const formats = FORMATS.map(([label, name, before, after]) =>
    h(
      "button",
      { class: "tool", type: "button", "aria-label": label, "data-tip": label, on: { click: () => wrap(before, after) } },
      icon(name, 17),
    ));
  const files = attaching({
    testId: place === "thread" ? "thread-composer" : "composer",
    onChange: () => working(busy),
    onError: (text) => {
      error.textContent = text;
    },
  });
  const tools = h("div", { class: "composer-send" }, files.button, sendButton);
  const bar = h("div", { class: "composer-bar" }, h("div", { class: "formats", role: "toolbar", "aria-label": "Formatting" }, formats), tools);
  const refused = h("div", { class: "composer-refused", hidden: true });
  const box = h("div", { class: "composer-box" }, input, files.row, bar, files.input);
  const list = suggestions({ input, testId: place === "thread" ? "thread-suggestions" : "suggestions", rootId, roots, choose });
  const root = h("div", { class: "composer" }, list.element, box, refused, error);

  function roots() {
    return entries("/command", place);
  }

  function set(text) {
    input.value = text;
    grown();
    input.setSelectionRange(text.length, text.length);
  }

  function grown() {
    input.style.height = "auto";
    input.style.height = `${Math.min(input.scrollHeight, HIGHEST)}px`;
    drafts.set(key, input.value);
    sendButton.disabled = busy || nothing();
  }

  /** Whether there is nothing to send, or a file is still uploading. */
  function nothing() {
    return files.busy() || (!input.value.trim() && !files.ids().length);
  }

  function choose(entry) {
    if (entry.kind === RUN) {
      submit();
    } else if (entry.kind === MODAL) {
      modal();
    } else {
      set(entry.keep ? input.value : `${entry.complete} `);
      list.typed();
    }
  }

  async function modal() {
    list.hide();
    const problem = await openInModal(input.value, roots(), rootId(), openForm);
    error.textContent = problem;
    if (!problem) set("");
  }

  async function submit() {
    const text = input.value;
    const mine = key;
    if (busy || nothing()) return;
    list.hide();
    error.textContent = "";
    working(true);
    let problem = "";
    try {
      problem = await deliver(text);
    } catch (failure) {
      problem = failure.id === NO_COMMAND ? unknownCommand(text) : failure.message;
    }
    working(false);
    if (!problem) drafts.set(mine, "");
    if (mine !== key) return;
    if (problem) {
      error.textContent = problem;
    } else {
      files.clear();
      if (input.value === text) set("");
    }
  }

  async function deliver(text) {
    const line = text.trim();
    if (line.startsWith("/") && !line.startsWith("//")) {
      if (isAppCommand(line, roots())) return run(line, roots(), rootId(), openForm);
      await api.executeCommand(line, { channel_id: store.channel.id, team_id: store.team.id, root_id: rootId() });
      return "";
    }
    const message = { channel_id: store.channel.id, message: text.trimEnd(), root_id: rootId(), file_ids: files.ids() };
    const pending = `${store.me.id}:${Date.now()}`;
    addPosts([await api.send({ ...message, user_id: store.me.id, pending_post_id: pending })]);
    return "";
  }

  function working(now) {
    busy = now;
    sendButton.replaceChildren(now ? spinner("Sending") : icon("send", 18));
    sendButton.disabled = now || nothing();
  }

  function wrap(before, after) {
    const { selectionStart: start, selectionEnd: end, value } = input;
    const inside = value.slice(start, end);
    input.focus();
    input.setRangeText(before + inside + after, start, end, "end");
    if (after) input.setSelectionRange(start + before.length, start + before.length + inside.length);
    grown();
  }

  input.addEventListener("input", () => {
    error.textContent = "";
    grown();
    list.typed();
  });
  input.addEventListener("keydown", (event) => {
    if (event.isComposing || list.pressed(event)) return;
    if (event.key !== "Enter" || event.shiftKey || event.altKey) return;
    event.preventDefault();
    submit();
  });

  function update(next, placeholder, refusal) {
    input.placeholder = placeholder;
    input.setAttribute("aria-label", placeholder);
    box.hidden = Boolean(refusal);
    refused.hidden = !refusal;
    refused.textContent = refusal;
    if (next === key) return;
    key = next;
    list.hide();
    files.clear();
    error.textContent = "";
    set(drafts.get(key) ?? "");
  }

  return { root, update, focus: () => input.focus() };
}
