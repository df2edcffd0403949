// Slash commands of apps: all parsing is the client's (protocol reference §7; texts as recorded).

import { get } from "./api.js";
import { bindingsAt, contextOf, send } from "./apps.js";
import { store } from "./store.js";

const labelOf = (field) => field.label || field.name.replaceAll("_", "-");
const roots = () => bindingsAt("/command");
const typable = (form) => (form?.fields ?? []).filter((field) => field.type !== "markdown" && !field.readonly);

/** Whether a line is an app's command: its root word, followed by a space. */
export const ready = (text) => roots().some((one) => `${text.trim().toLowerCase()} `.startsWith(`/${one.label} `));

function tokens(text) {
  const found = [];
  for (let i = 0; i < text.length; ) {
    if (/\s/.test(text[i])) { i += 1; continue; }
    const start = i;
    let value = "", quote = "";
    const flagQuote = text.slice(i).match(/^--?[^\s="`]+=/);
    if (flagQuote) { value = flagQuote[0]; i += value.length; }
    if (text[i] === '"' || text[i] === "`") {
      quote = text[i];
      i += 1;
      while (i < text.length && text[i] !== quote) { if (text[i] === "\\" && quote === '"') i += 1; value += text[i] ?? ""; i += 1; }
      if (i >= text.length) return { found, error: quote === '"' ? "Matching double quote expected before end of input." : "Matching tick quote expected before end of input." };
      i += 1;
      if (!value || value.endsWith("=")) return { found, error: "empty values are not allowed" };
    } else if (text[i] === "[") {
      const end = text.indexOf("]", i);
      if (end < 0) return { found, error: "Unmatched bracket." };
      const inner = tokens(text.slice(i + 1, end).replaceAll(",", " "));
      found.push({ start, value, several: inner.found.map((one) => one.value) });
      i = end + 1;
      continue;
    } else while (i < text.length && !/\s/.test(text[i])) { value += text[i]; i += 1; }
    found.push({ start, value, quoted: Boolean(quote), raw: text.slice(start, i) });
  }
  return { found };
}

/** Follow the words down to a leaf. */
function resolve(text) {
  const words = tokens(text.slice(1));
  let level = roots(), leaf = null, path = "", n = 0;
  for (const token of words.found) {
    const next = level.find((one) => one.label.toLowerCase() === token.value.toLowerCase());
    if (!next || token.quoted) break;
    if (leaf) path += `/${leaf.location}`;
    leaf = next; level = next.bindings ?? []; n += 1;
    if (!level.length) break;
  }
  return { words, leaf, level, path, rest: words.found.slice(n), error: words.error };
}

/** Read a whole line: the leaf, the values; or the error that the client draws. */
export function parse(text) {
  const { leaf, level, path, rest, error } = resolve(text);
  if (error) return { error: `Parsing error: ${error}` };
  if (!leaf || level.length) return { error: "Parsing error: You must select a subcommand." };
  if (!leaf.form) return rest.length ? { error: "Parsing error: Unable to identify argument." } : { leaf, path, values: {} };
  const fields = typable(leaf.form);
  const values = {};
  for (const field of leaf.form.fields ?? []) if (field.value !== undefined && field.value !== null && field.value !== false) values[field.name] = field.value;
  let position = 1;
  for (let i = 0; i < rest.length; i += 1) {
    const token = rest[i];
    const flag = !token.quoted && token.value.match(/^(?:--?|—)([^=]+)(?:=(.*))?$/s);
    let field, raw;
    if (flag) {
      field = fields.find((one) => labelOf(one).toLowerCase() === flag[1].toLowerCase());
      if (!field) return { error: `Parsing error: Command does not accept flag \`${flag[1]}\`.` };
      const next = rest[i + 1];
      if (flag[2] !== undefined && flag[2] !== "") raw = flag[2];
      else if (token.several) raw = token.several;
      else if (field.type === "bool" && !["true", "false"].includes(next?.value)) raw = "true";
      else if (next) { raw = next.several ?? next.value; i += 1; }
      else return { error: "Parsing error: Missing value for flag." };
    } else {
      field = fields.find((one) => one.position === position) ?? fields.find((one) => one.position === -1);
      if (!field) return { error: "Parsing error: Unable to identify argument." };
      position += 1;
      raw = field.position === -1 ? text.slice(1).slice(token.start) : token.several ?? token.value;
    }
    const read = valueOf(field, raw);
    if (read.error) return { error: read.error };
    values[field.name] = read.value;
    if (field.position === -1 && !flag) break;
  }
  const missing = fields.filter((field) => field.is_required && values[field.name] === undefined);
  if (missing.length) return { error: `Required fields missing: ${missing.map((one) => `\`${labelOf(one)}\``).join(", ")}.` };
  return { leaf, path, values };
}

function valueOf(field, raw) {
  switch (field.type) {
    case "bool": return { value: raw === "true" };
    case "static_select": {
      const option = (field.options ?? []).find((one) => one.value === raw);
      return option ? { value: option } : { error: `Unknown option for field \`${field.name}\`: \`${raw}\`.` };
    }
    case "dynamic_select": return { value: { label: raw, value: raw } };
    case "user": {
      const name = String(raw).replace(/^@/, "");
      const user = [...store.users.values()].find((one) => one.username === name);
      return user ? { value: { label: name, value: user.id } } : { error: `Unknown user for field \`${field.name}\`: \`${name}\`.` };
    }
    case "channel": {
      const name = String(raw).replace(/^~/, "");
      const channel = [...store.channels.values()].find((one) => one.name === name);
      return channel ? { value: { label: channel.display_name, value: channel.id } } : { error: `Unknown channel for field \`${field.name}\`: \`${name}\`.` };
    }
    default: return { value: raw };
  }
}

const RUN = { text: "Execute Current Command", description: "Select this option or use Ctrl+Enter to execute the current command.", run: true };

/** Suggestions for what is typed so far. */
export async function suggest(text) {
  if (!text.includes(" ")) {
    return roots().filter((one) => one.label.startsWith(text.slice(1).toLowerCase())).map((one) => ({ text: `/${one.label}`, hint: one.hint, description: one.description, icon: one.icon, complete: `/${one.label} ` }));
  }
  if (!ready(text)) return [];
  const { leaf, level, rest, error } = resolve(text);
  const last = /\s$/.test(text) ? "" : rest[rest.length - 1]?.value ?? "";
  const before = last ? text.slice(0, text.length - last.length) : text;
  if (level.length) {
    if (!/\s$/.test(text) && !rest.length) return [{ text: leaf.label, description: leaf.description, hint: leaf.hint, icon: leaf.icon, complete: `${text} ` }];
    const found = level.filter((one) => one.label.toLowerCase().startsWith(last.toLowerCase()));
    if (!found.length) return [{ text: "No matching suggestions.", error: true }];
    return found.map((one) => ({ text: one.label, hint: one.hint, description: one.description, icon: one.icon, complete: `${before}${one.label} ` }));
  }
  if (!/\s$/.test(text) && !rest.length) return [RUN];
  if (!leaf.form) return rest.length ? [{ text: "Parsing error", description: "Unable to identify argument.", error: true }] : [RUN];
  return argumentSuggestions(text, leaf, rest, last, before, error);
}

async function argumentSuggestions(text, leaf, rest, last, before, error) {
  const fields = typable(leaf.form);
  const modal = () => { const { values } = parse(text); return { text: "Open in modal", description: "Select this option to open the current command in a modal.", modal: { leaf, values: values ?? {} } }; };
  const flagBefore = last ? rest[rest.length - 2] : rest[rest.length - 1];
  const flagged = flagBefore?.value.match(/^--([^=]+)$/) && !flagBefore.quoted && fields.find((one) => `--${labelOf(one)}` === flagBefore.value);
  if (flagged && flagged.type !== "bool") return [...await valueSuggestions(flagged, last, before, leaf, text), modal()];
  if (last.startsWith("-")) {
    const typed = last.replace(/^-+/, "").toLowerCase();
    const found = fields.filter((one) => labelOf(one).toLowerCase().startsWith(typed)).map((one) => ({ text: `--${labelOf(one)}`, hint: one.hint, description: one.modal_label || one.description, icon: leaf.icon, complete: `${before}--${labelOf(one)} ` }));
    return [...(found.length ? found : [{ text: "No matching suggestions.", error: true }]), modal()];
  }
  if (error) return [{ text: "Parsing error", description: error, error: true }, modal()];
  const parsed = parse(text);
  const position = fields.find((one) => one.position === 1 || one.position === -1);
  const hint = position && !rest.length ? [{ text: `${position.modal_label || labelOf(position)}: "${last}"`, description: position.description, error: true }] : [];
  const flags = last ? [] : fields.filter((one) => parsed.values?.[one.name] === undefined && one.position !== -1).slice(0, 8).map((one) => ({ text: `--${labelOf(one)}`, hint: one.hint, description: one.modal_label || one.description, icon: leaf.icon, complete: `${before}--${labelOf(one)} ` }));
  const problem = parsed.error ? [{ text: "Parsing error", description: parsed.error.replace("Parsing error: ", ""), error: true }] : [RUN];
  return [...problem, ...hint, ...flags, modal()];
}

async function valueSuggestions(field, last, before, leaf, text) {
  const typed = last.replace(/^["`]/, "");
  const quoted = (value) => (/\s/.test(value) ? `\`${value}\`` : value);
  const one = (label, value, description) => ({ text: label, description, icon: leaf.icon, complete: `${before}${quoted(value)} ` });
  switch (field.type) {
    case "static_select": return (field.options ?? []).filter((option) => option.label.toLowerCase().startsWith(typed.toLowerCase())).map((option) => one(option.label, option.value, field.hint));
    case "user": {
      const found = await get(`/api/v4/users/autocomplete?${new URLSearchParams({ in_team: store.team.id, in_channel: store.current, name: typed.replace(/^@/, ""), limit: "25" })}`);
      return [...found.users, ...found.out_of_channel].map((user) => { store.users.set(user.id, user); return one(`@${user.username}`, `@${user.username}`, `${user.first_name} ${user.last_name}`); });
    }
    case "channel": return [...store.channels.values()].filter((channel) => channel.team_id && channel.name.startsWith(typed.replace(/^~/, ""))).map((channel) => one(channel.display_name, `~${channel.name}`, `~${channel.name}`));
    case "dynamic_select": {
      const more = { values: {}, selected_field: field.name, raw_command: text, ...(typed ? { query: typed } : {}) };
      const answer = await send(field.lookup, contextOf(leaf, "/command"), more, false);
      if (answer.type !== "ok") return [{ text: "Error", description: answer.text, error: true }];
      const items = answer.data?.items ?? [];
      return items.length ? items.map((item) => one(item.label, item.value, "")) : [{ text: `${field.modal_label || labelOf(field)}: "${typed}"`, description: field.hint, error: true }];
    }
    default: return [{ text: `${field.modal_label || labelOf(field)}: "${typed}"`, description: field.hint, error: true }];
  }
}
