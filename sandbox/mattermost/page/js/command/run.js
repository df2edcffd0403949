/** Converts a typed command to a call: checks, values, request. The errors are those of the real client. */

import { ApiError, api } from "../api.js";
import { contextOf, react, request, send } from "../apps/calls.js";
import { store, userByName } from "../store.js";
import { hasDefault, missing, parse } from "./parse.js";

/** Whether the first word of *line* is a root of the apps' commands. Roots are compared with lower case. */
export function isAppCommand(line, roots) {
  const word = line.trim().split(/\s/)[0].toLowerCase();
  return roots.some((binding) => `/${binding.label}` === word);
}

function option(field, text) {
  const found = field.options.find((one) => one.value === text);
  if (!found) throw new ApiError(`Unknown option for field \`${field.name}\`: \`${text}\`.`);
  return found;
}

async function user(field, text) {
  const name = text.replace(/^@/, "");
  try {
    const known = userByName(name) ?? (await api.userByName(name.toLowerCase()));
    return { label: known.username, value: known.id };
  } catch {
    throw new ApiError(`Unknown user for field \`${field.name}\`: \`${name}\`.`);
  }
}

async function channel(field, text) {
  const name = text.replace(/^~/, "");
  try {
    const known = await api.channelByName(store.team.id, name.toLowerCase());
    return { label: known.display_name, value: known.id };
  } catch {
    throw new ApiError(`Unknown channel for field \`${field.name}\`: \`${name}\`.`);
  }
}

async function one(field, text) {
  switch (field.type) {
    case "static_select":
      return option(field, text);
    case "dynamic_select":
      return { label: text, value: text };
    case "user":
      return user(field, text);
    case "channel":
      return channel(field, text);
    case "bool":
      return String(text).toLowerCase() === "true";
    default:
      return text;
  }
}

/** Values by field name as the app gets them. Throws ApiError for unknown users and channels. */
export async function expand(parsed, { defaults }) {
  const values = {};
  for (const field of parsed.form.fields ?? []) {
    const given = parsed.values[field.name];
    if (Array.isArray(given)) {
      // The real client loses every item of a dynamic list typed in a command.
      const items = field.type === "dynamic_select" ? [] : given;
      values[field.name] = await Promise.all(items.map((text) => one(field, text)));
    } else if (given !== undefined) {
      values[field.name] = await one(field, given);
    } else if (defaults && hasDefault(field) && field.type !== "markdown") {
      values[field.name] = field.value;
    }
  }
  return values;
}

function raw(line) {
  const trimmed = line.trim();
  const end = trimmed.search(/\s/);
  return end < 0 ? trimmed.toLowerCase() : trimmed.slice(0, end).toLowerCase() + trimmed.slice(end);
}

/** Look up options of a dynamic select for the line being typed. */
export async function lookup(parsed, query, rootId) {
  let values = {};
  try {
    values = await expand(parsed, { defaults: false });
  } catch {
    values = {};
  }
  const keys = { values, raw_command: parsed.line, query, selected_field: parsed.field.name };
  const context = contextOf(parsed.binding, { root_id: rootId });
  const answer = await send(request(parsed.field.lookup, context, false, keys));
  if (answer.type === "ok") return { items: answer.data?.items ?? [] };
  return { items: [], error: answer.text || `App response type not supported. Response type: ${answer.type}.` };
}

/** Run *line*. Returns the error to show below the composer, or "" if the draft can be cleared. */
export async function run(line, roots, rootId, openForm) {
  const parsed = parse(line.trim(), roots, false);
  if (!parsed.binding) return `${line.trim()}: No matching command found in this workspace.`;
  if (parsed.error) return `Parsing error: ${parsed.error}`;
  const context = contextOf(parsed.binding, { root_id: rootId });
  if (!parsed.form.submit) {
    if (parsed.form.source) await send(request(parsed.form.source, context, false));
    return "No submit call in binding or form.";
  }
  const lacking = missing(parsed);
  if (lacking.length) return `Required fields missing: \`${lacking.join("`, `")}\`.`;
  let values;
  try {
    values = await expand(parsed, { defaults: true });
  } catch (error) {
    return error.message;
  }
  const asked = request(parsed.form.submit, context, true, { values, raw_command: raw(line) });
  return react(await send(asked), context, openForm);
}

/** "Open in modal": the command's form with the values typed so far. Returns an error or "". */
export async function openInModal(line, roots, rootId, openForm) {
  const parsed = parse(line, roots, true);
  if (!parsed.form) return "";
  if (["value-end", "quote-end", "rest"].includes(parsed.state) && parsed.incomplete) {
    parsed.values[parsed.field.name] = parsed.incomplete;
  }
  let values = {};
  try {
    values = await expand(parsed, { defaults: false });
  } catch (error) {
    return error.message;
  }
  const fields = (parsed.form.fields ?? []).map((field) => {
    const given = values[field.name];
    if (given === undefined) return field;
    return { ...field, value: field.multiselect && !Array.isArray(given) ? [given] : given };
  });
  const title = parsed.form.title || parsed.binding.label;
  openForm({ ...parsed.form, title, fields }, contextOf(parsed.binding, { root_id: rootId }));
  return "";
}
