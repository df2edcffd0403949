// The fields of modal forms. A field reports what the real client would send for it.

import { get } from "./api.js";
import { h } from "./dom.js";
import { markdown } from "./markdown.js";
import { picker } from "./picker.js";
import { displayName, store } from "./store.js";

/** The value before anything is touched. */
export function initial(field) {
  if (field.type === "bool") return field.value === true;
  return field.value ?? null;
}

export function drawField(field, ports) {
  const label = field.modal_label || field.label || field.name.replaceAll("_", "-");
  const id = `field-${field.name}`;
  const error = h("div", { class: "field-error md", role: "alert" });
  const box = h("div", { class: `field ${field.type}`, "data-field": field.name, "data-testid": `field-${field.name}` });
  if (field.type === "markdown") {
    box.append(h("div", { class: "md" }, markdown(field.description ?? "")), error);
    return box;
  }
  if (field.type === "bool") {
    const tick = h("input", { type: "checkbox", id, checked: ports.value === true, disabled: field.readonly, onchange: () => ports.set(tick.checked) });
    box.append(h("span", { class: "label" }, label), h("label", { class: "tick", for: id }, tick, field.hint || label));
  } else {
    const optional = field.is_required ? null : h("span", { class: "optional" }, " (optional)");
    box.append(h("label", { class: "label", for: id }, label, optional), control(field, id, ports));
  }
  if (field.description) box.append(h("div", { class: "help md" }, markdown(field.description)));
  box.append(error);
  return box;
}

function control(field, id, ports) {
  switch (field.type) {
    case "text": return text(field, id, ports);
    case "static_select": {
      const options = field.options ?? [];
      return picker({ id, ...common(field, ports), local: true, find: async (query) => ({ items: options.filter((one) => one.label.toLowerCase().includes(query.toLowerCase())) }) });
    }
    case "dynamic_select": return picker({ id, ...common(field, ports), find: ports.lookup });
    case "user": return picker({ id, ...common(field, ports), find: users });
    case "channel": return picker({ id, ...common(field, ports), find: channels });
    default: return h("div", { class: "help" }, `Fields of type ${field.type} are not drawn.`);
  }
}

const common = (field, ports) => ({ value: ports.value, set: ports.set, multi: field.multiselect === true, hint: field.hint ?? "", readonly: field.readonly === true });

function text(field, id, ports) {
  const area = field.subtype === "textarea";
  const properties = {
    id, placeholder: field.hint ?? "", readonly: field.readonly === true,
    maxlength: String(field.max_length || (area ? 3000 : 150)), autocomplete: "off",
    oninput: () => ports.set(value()),
  };
  const input = area ? h("textarea", { ...properties, rows: "5" }) : h("input", { ...properties, type: { input: "text", tel: "tel" }[field.subtype] ?? field.subtype ?? "text" });
  input.value = ports.value ?? "";
  const value = () => {
    if (field.subtype !== "number") return input.value;
    const number = Number.parseInt(input.value, 10);
    return Number.isNaN(number) ? null : number;
  };
  return input;
}

async function users(query) {
  const search = new URLSearchParams({ in_team: "", in_channel: "", name: query, limit: "25" });
  const found = await get(`/api/v4/users/autocomplete?${search}`);
  const people = [...found.users, ...found.out_of_channel].filter((user) => !user.is_bot);
  return { items: people.map((user) => ({ label: user.username, value: user.id, drawn: `@${user.username} - ${displayName(user)}` })) };
}

async function channels(query) {
  const found = await get(`/api/v4/teams/${store.team.id}/channels/autocomplete?${new URLSearchParams({ name: query })}`);
  return { items: found.map((one) => ({ label: one.display_name, value: one.id, drawn: `${one.display_name} (~${one.name})` })) };
}
