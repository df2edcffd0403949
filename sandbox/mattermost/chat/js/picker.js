// A combo box: choose by typing, one or several. Asks at opening and at every key, as the real client does.

import { fill, h, icon } from "./dom.js";

export function picker({ id, value, set, find, multi, hint, readonly, local = false }) {
  let chosen = multi ? [...(value ?? [])] : value && typeof value === "object" ? value : null;
  let items = [], selected = -1, serial = 0, shown = false;

  const chips = h("span", { class: "chips" });
  const input = h("input", {
    id, type: "text", role: "combobox", "aria-expanded": "false", "aria-autocomplete": "list", "aria-controls": `${id}-list`, autocomplete: "off", disabled: readonly,
    oninput: () => ask(input.value), onkeydown: key, onclick: () => ask(input.value),
    onblur: () => setTimeout(hide, 150),
  });
  const list = h("ul", { id: `${id}-list`, role: "listbox", class: "options", hidden: true });
  const clear = h("button", { type: "button", class: "quiet clear", "aria-label": "Clear", onclick: () => take(null) }, icon("close"));
  const problem = h("div", { class: "lookup-error" });
  const box = h("div", { class: "picker" }, h("div", { class: "picker-line" }, chips, input, readonly ? null : clear), list, problem);
  draw();
  if (!local && !readonly) ask("", true); // the real client asks when the modal opens

  function draw() {
    fill(chips, multi ? chosen.map((one) => h("span", { class: "chip" }, one.label, h("button", { type: "button", class: "quiet", "aria-label": `Remove ${one.label}`, onclick: () => { chosen = chosen.filter((other) => other !== one); set(chosen); draw(); } }, "×"))) : []);
    if (!multi) input.value = chosen?.label ?? "";
    input.placeholder = multi && chosen.length ? "" : hint || "Choose…";
    clear.hidden = multi ? !chosen.length : !chosen;
  }

  async function ask(query, silent = false) {
    const mine = (serial += 1);
    if (!silent) show([h("li", { class: "note" }, "Loading…")]);
    const exact = !multi && chosen && query === chosen.label ? "" : query;
    const found = await find(exact);
    if (mine !== serial) return;
    problem.textContent = found.error ?? "";
    items = found.items;
    selected = items.length ? 0 : -1;
    if (!silent || shown) offer();
  }

  function offer() {
    show(items.length ? items.map((item, n) => h("li", { role: "option", id: `${id}-${n}`, "aria-selected": String(n === selected), "data-testid": "option", onmousedown: (event) => { event.preventDefault(); take(item); } }, item.drawn ?? item.label)) : [h("li", { class: "note" }, "No options")]);
    input.setAttribute("aria-activedescendant", selected < 0 ? "" : `${id}-${selected}`);
    list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }

  function show(content) { shown = true; list.hidden = false; input.setAttribute("aria-expanded", "true"); fill(list, content); }
  function hide() {
    shown = false; serial += 1; list.hidden = true; input.setAttribute("aria-expanded", "false");
    if (!multi) input.value = chosen?.label ?? ""; else input.value = "";
  }

  function take(item) {
    const option = item && { label: item.label, value: item.value };
    if (multi) chosen = option ? [...chosen.filter((one) => one.value !== option.value), option] : [];
    else chosen = option;
    hide(); draw(); set(chosen);
  }

  function key(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!shown) return ask(input.value);
      if (items.length) selected = (selected + (event.key === "ArrowDown" ? 1 : -1) + items.length) % items.length;
      offer();
    } else if (event.key === "Enter" && shown) {
      event.preventDefault();
      if (items[selected]) take(items[selected]);
    } else if (event.key === "Escape" && shown) { event.stopPropagation(); hide(); }
    else if (event.key === "Backspace" && !input.value && multi && chosen.length) { chosen = chosen.slice(0, -1); set(chosen); draw(); }
  }
  return box;
}
