/**
 * The bindings of the open channel: fetched on load, on every channel switch and when the plugin requests it, and
 * cleaned by the rules of the real client.
 */

import { api } from "../api.js";
import { changed, store } from "../store.js";

const TOPS = ["/command", "/channel_header", "/post_menu"];

function cleanField(field, taken) {
  if (!field.name || /[ \t]/.test(field.name)) return null;
  const label = field.label || field.name;
  if (/[ \t]/.test(label) || taken.has(label)) return null;
  const cleaned = { ...field, label };
  if (field.type === "static_select") {
    const labels = new Set();
    const values = new Set();
    cleaned.options = (field.options ?? []).filter((option) => {
      const text = option.label || option.value;
      if (!text || labels.has(text) || values.has(option.value)) return false;
      labels.add(text);
      values.add(option.value);
      return true;
    });
    if (!cleaned.options.length) return null;
  }
  if (field.type === "dynamic_select" && !field.lookup) return null;
  taken.add(label);
  return cleaned;
}

/** The form without the fields that a client drops. */
export function cleanForm(form) {
  const taken = new Set();
  return { ...form, fields: (form.fields ?? []).map((field) => cleanField(field, taken)).filter(Boolean) };
}

function cleanBinding(binding, parent, top, depth) {
  const label = (binding.label || binding.location || "").trim();
  const appId = binding.app_id || parent.app_id;
  if (!label || !appId) return null;
  if (top === "/command" && /\s/.test(label)) return null;
  if (top === "/channel_header" && depth === 0 && !binding.icon) return null;
  const cleaned = { ...binding, label, app_id: appId, location: `${parent.location}/${binding.location || label}` };
  if (binding.bindings?.length) cleaned.bindings = cleanList(binding.bindings, cleaned, top, depth + 1);
  else delete cleaned.bindings;
  if (binding.form) {
    if (!binding.form.submit && !binding.form.source) return null;
    cleaned.form = cleanForm(binding.form);
  }
  return cleaned.submit || cleaned.form || cleaned.bindings?.length ? cleaned : null;
}

function cleanList(bindings, parent, top, depth) {
  const labels = new Set();
  return bindings
    .map((binding) => cleanBinding(binding, parent, top, depth))
    .filter((binding) => {
      if (!binding || (top === "/command" && labels.has(binding.label))) return false;
      labels.add(binding.label);
      return true;
    });
}

/**
 * Bindings by top location. Applied to its own result it repeats the prefix of every location: the real client
 * does exactly that for a thread (`/post_menu//post_menu/add`), so the page keeps such a second copy.
 */
export function clean(tops) {
  const cleaned = {};
  for (const top of tops ?? []) {
    if (!TOPS.includes(top.location)) continue;
    const list = cleanList(top.bindings ?? [], { location: top.location, app_id: top.app_id }, top.location, 0);
    cleaned[top.location] = [...(cleaned[top.location] ?? []), ...list];
  }
  return cleaned;
}

let asked = 0;

/** Fetch the bindings of the open channel. The old ones remain until the response, and if it fails. */
export async function fetchBindings() {
  const channel = store.channel;
  if (!channel) return;
  asked += 1;
  const mine = asked;
  let answer;
  try {
    answer = await api.bindings(channel.id, store.team.id);
  } catch {
    return;
  }
  if (mine !== asked) return;
  const once = clean(answer);
  const again = Object.entries(once).map(([location, bindings]) => ({ location, bindings }));
  store.bindings = { channel: once, thread: clean(again) };
  document.documentElement.dataset.menus = channel.id; // who drives the page waits for it
  changed();
}

/** The bindings of a place (`channel` or `thread`) below one top location. */
export function entries(top, place = "channel") {
  return store.bindings[place][top] ?? [];
}
