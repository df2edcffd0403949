// Where people write: messages, and commands with suggestions.

import { post } from "./api.js";
import { contextOf, react, send } from "./apps.js";
import { parse, ready, suggest } from "./commands.js";
import { fill, h, icon } from "./dom.js";
import { openForm } from "./modal.js";
import { putPost, store } from "./store.js";

export function composer({ label, rootId }) {
  let list = [], selected = -1, serial = 0;
  const area = h("textarea", { rows: "1", "aria-label": label, placeholder: label, "data-testid": rootId ? "thread-composer" : "composer", oninput: typed, onkeydown: key, onblur: () => setTimeout(hide, 150) });
  const error = h("div", { class: "composer-error", role: "alert", "data-testid": "composer-error" });
  const options = h("ul", { class: "suggestions", role: "listbox", hidden: true, "data-testid": "suggestions" });
  const box = h("div", { class: "composer" }, options, h("div", { class: "line" }, area, h("button", { class: "quiet", "aria-label": "Send", onclick: () => act() }, icon("send"))), error);

  async function typed() {
    error.textContent = "";
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, 220)}px`;
    const mine = (serial += 1);
    const found = area.value.startsWith("/") ? await suggest(area.value) : [];
    if (mine !== serial) return;
    list = found;
    selected = list.length ? 0 : -1;
    draw();
  }

  function draw() {
    options.hidden = !list.length;
    fill(options, list.map((one, n) => h("li", {
      role: "option", "aria-selected": String(n === selected), class: one.error ? "parse-error" : "", "data-testid": "suggestion",
      onmousedown: (event) => { event.preventDefault(); selected = n; choose(); },
    }, one.icon ? h("img", { src: one.icon, alt: "", width: 20, height: 20 }) : h("span", { class: "slash" }, one.run ? "⏎" : "/"),
    h("span", {}, h("strong", {}, one.text), one.hint ? h("span", { class: "soft" }, ` ${one.hint}`) : null, one.description ? h("small", {}, one.description) : null))));
    options.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }
  function hide() { list = []; draw(); }

  function choose() {
    const one = list[selected];
    if (!one || one.error) return;
    if (one.run) return act();
    if (one.modal) {
      hide();
      const { leaf, values } = one.modal;
      const form = { ...leaf.form, title: leaf.form.title || leaf.location, fields: leaf.form.fields.map((field) => ({ ...field, value: values[field.name] ?? field.value })) };
      area.value = "";
      return openForm(form, contextOf(leaf, "/command", { root_id: rootId }));
    }
    area.value = one.complete;
    area.focus();
    typed();
  }

  function key(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); return act(); }
    if (list.length) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        selected = (selected + (event.key === "ArrowDown" ? 1 : -1) + list.length) % list.length;
        return draw();
      }
      if (event.key === "Tab" || (event.key === "Enter" && !event.shiftKey)) { event.preventDefault(); return choose(); }
      if (event.key === "Escape") return hide();
    }
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); act(); }
  }

  async function act() {
    const text = area.value;
    if (!text.trim()) return;
    hide();
    serial += 1;
    if (text.startsWith("/")) return run(text);
    area.value = "";
    typed();
    try {
      await putPost(await post("/api/v4/posts", { channel_id: store.current, root_id: rootId, message: text, pending_post_id: `${store.me.id}:${Date.now()}` }));
    } catch (problem) {
      area.value = text;
      error.textContent = problem.message;
    }
  }

  async function run(text) {
    let outcome = "";
    if (ready(text)) {
      const parsed = parse(text);
      if (parsed.error) outcome = parsed.error;
      else {
        const context = contextOf(parsed.leaf, `/command${parsed.path}`, { root_id: rootId });
        const call = parsed.leaf.submit ?? parsed.leaf.form?.submit;
        if (!call) outcome = "No submit call in binding or form.";
        else {
          area.disabled = true;
          const [first, ...rest] = text.trim().split(" ");
          const more = { values: parsed.values, raw_command: [first.toLowerCase(), ...rest].join(" ") };
          outcome = await react(await send(call, context, more), context, { inCommand: true });
          area.disabled = false;
        }
      }
    } else {
      try {
        await post("/api/v4/commands/execute", { command: text.trim(), channel_id: store.current });
      } catch (problem) { outcome = problem.message; }
    }
    error.textContent = outcome;
    if (!outcome) { area.value = ""; typed(); }
    if (!document.querySelector(".backdrop")) area.focus();
  }
  return box;
}
