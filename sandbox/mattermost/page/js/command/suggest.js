/** Suggestions while a command is typed, with the order and texts of the real client. */

import { EXECUTABLE, missing, parse } from "./parse.js";

/** What choosing an entry does; entries without a kind insert `complete` in place of the incomplete part. */
export const RUN = "run";
export const MODAL = "modal";

/**
 * Suggestions for *line*, as `{title, description, icon, sign, complete, kind, idle}`.
 *
 * `icon` is an address, `sign` what is drawn without one ("" for none); `idle` entries only inform. `complete`
 * is the whole line after choosing, without the blank that follows. *ask* has `lookup(parsed, query)`,
 * `users(name)` and `channels(name)`, each a promise of what the server has.
 */
export async function suggest(line, roots, ask) {
  if (!line.includes(" ")) return rootSuggestions(line, roots);
  const parsed = parse(line, roots, true);
  if (!parsed.binding) return [];
  let list = [];
  if (parsed.error) list = [failure("Parsing error", parsed.error)];
  else if (!parsed.form) list = words(parsed);
  else list = await parameters(parsed, ask);
  const sureValue = parsed.state !== "value-end" || parsed.values[parsed.field?.name] !== undefined;
  const call = parsed.form?.submit;
  if (EXECUTABLE.has(parsed.state) && call && !missing(parsed).length && sureValue) list.unshift(execute(line));
  else if (parsed.state === "rest" && call && !missing(parsed).length) list.unshift(execute(line));
  else if (!list.length && !["user", "channel"].includes(parsed.field?.type)) list = [failure("No matching suggestions.")];
  if (parsed.form?.fields?.length && call) list.push(openModal());
  return list.map((entry) => ({ sign: "/", description: "", ...entry }));
}

function rootSuggestions(line, roots) {
  const typed = line.slice(1).toLowerCase();
  return roots
    .filter((binding) => binding.label.toLowerCase().startsWith(typed))
    .sort((one, other) => (one.label < other.label ? -1 : 1))
    .map((binding) => ({ ...ofBinding(binding), sign: "/", complete: `/${binding.label}` }));
}

function ofBinding(binding) {
  return {
    title: [binding.label, binding.hint].filter(Boolean).join(" "),
    description: binding.description ?? "",
    icon: binding.icon,
  };
}

function completed(parsed, text) {
  return parsed.line.slice(0, parsed.start) + text;
}

function words(parsed) {
  const typed = parsed.incomplete.toLowerCase();
  return parsed.binding.bindings
    .filter((binding) => binding.label.toLowerCase().startsWith(typed))
    .map((binding) => ({ ...ofBinding(binding), complete: completed(parsed, binding.label) }));
}

function parameters(parsed, ask) {
  if (parsed.state === "flag") return flags(parsed);
  if (parsed.state === "separator" || parsed.state === "start") {
    const next = parsed.form.fields?.find((field) => field.position === parsed.position + 1);
    const rest = parsed.form.fields?.find((field) => field.position === -1 && parsed.values[field.name] === undefined);
    parsed.field = next ?? rest ?? null;
    return parsed.field ? values(parsed, ask) : flags(parsed);
  }
  return values(parsed, ask);
}

function flags(parsed) {
  const dashes = parsed.line.slice(0, parsed.start).match(/[-—]+$/)?.[0] ?? "";
  const head = parsed.line.slice(0, parsed.start - dashes.length);
  const typed = parsed.incomplete.toLowerCase();
  return (parsed.form.fields ?? [])
    .filter((field) => field.type !== "markdown" && !field.readonly)
    .filter((field) => field.label.toLowerCase().startsWith(typed) && parsed.values[field.name] === undefined)
    .map((field) => ({
      title: [`--${field.label}`, field.hint].filter(Boolean).join(" "),
      description: field.description ?? "",
      icon: parsed.binding.icon,
      complete: `${head}--${field.label}`,
    }));
}

async function values(parsed, ask) {
  const { field } = parsed;
  switch (field.type) {
    case "static_select":
      return options(parsed);
    case "bool":
      return switches(parsed);
    case "dynamic_select":
      return found(parsed, ask);
    case "user":
      return people(parsed, await ask.users(parsed.incomplete.replace(/^@/, "")));
    case "channel":
      return channels(parsed, await ask.channels(parsed.incomplete.replace(/^~/, "")));
    default:
      return [typedText(parsed)];
  }
}

function inserted(parsed, text) {
  const mark = parsed.delimiter || (/[\s"`]/.test(text) ? "`" : "");
  return completed(parsed, mark + text + mark);
}

function typedText(parsed) {
  const { field, incomplete } = parsed;
  const mark = parsed.delimiter ?? "";
  const quote = mark || '"';
  return {
    title: `${field.modal_label || field.label || field.name}: ${quote}${incomplete}${quote}`,
    description: field.description ?? "",
    icon: parsed.binding.icon,
    complete: completed(parsed, mark + incomplete + mark),
    keep: !incomplete,
  };
}

function options(parsed) {
  const { field, incomplete } = parsed;
  const typed = incomplete.toLowerCase();
  const fitting = field.options.filter((option) => (option.label || option.value).toLowerCase().startsWith(typed));
  if (!fitting.length) return [failure("No matching options.")];
  return fitting.map((option) => ({
    title: [option.label || option.value, field.hint].filter(Boolean).join(" "),
    description: field.description ?? "",
    icon: option.icon_data || parsed.binding.icon,
    complete: inserted(parsed, option.value),
  }));
}

function switches(parsed) {
  const { field, incomplete } = parsed;
  return ["true", "false"]
    .filter((word) => word.startsWith(incomplete.toLowerCase()))
    .map((word) => ({
      title: [word, field.hint].filter(Boolean).join(" "),
      description: field.description ?? "",
      icon: parsed.binding.icon,
      complete: completed(parsed, word),
    }));
}

async function found(parsed, ask) {
  const answer = await ask.lookup(parsed, parsed.incomplete);
  if (answer.error) return [failure(answer.error)];
  return answer.items
    .filter((item) => String(item.value ?? "").trim())
    .map((item) => ({
      title: item.value,
      description: item.label ?? "",
      icon: item.icon_data || parsed.binding.icon,
      complete: inserted(parsed, item.value),
    }));
}

function people(parsed, users) {
  if (!users.length) return [{ title: "No user found", idle: true }];
  return users.map((user) => ({
    title: `@${user.username}`,
    description: [user.first_name, user.last_name].filter(Boolean).join(" ") + (user.nickname ? ` (${user.nickname})` : ""),
    sign: "",
    picture: user.id,
    complete: completed(parsed, `@${user.username}`),
  }));
}

function channels(parsed, list) {
  if (!list.length) return [{ title: "No channel found", idle: true }];
  return list.map((channel) => ({
    title: channel.display_name,
    description: `~${channel.name}`,
    sign: "",
    complete: completed(parsed, `~${channel.name}`),
  }));
}

function failure(title, description = "") {
  return { title, description, sign: "!", idle: true };
}

function execute(line) {
  return {
    title: "Execute Current Command",
    description: "Select this option or use Ctrl+Enter to execute the current command.",
    sign: "↵",
    kind: RUN,
    complete: line,
  };
}

function openModal() {
  return {
    title: "Open in modal",
    description: "Select this option to open the current command in a modal.",
    sign: "modal",
    kind: MODAL,
    complete: "",
  };
}
