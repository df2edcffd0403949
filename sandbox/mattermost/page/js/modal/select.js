/** A type-ahead select for one or several options: a combobox with a list, accessible by keyboard. */

import { freshId, h, spinner } from "../dom.js";
import { icon } from "../icons.js";

const GAP = 12; // pixels kept free at the window's edges
const HIGHEST = 300; // pixels; a list that has not its height below the box opens above it

/**
 * Build a select.
 *
 * `search(query)` gives options, or a promise of them; rejected promises reach `onFailure(text)`. An option is
 * `{label, value, text?, picture?}`, where `text` is drawn instead of the label. `onChange(value)` gets an
 * option, a list (with `multi`), or null. Outdated responses are discarded.
 * Returns `{element, input, load()}`; `load` searches with an empty query, as the real client does on opening.
 */
export function select({ name, id, label, hint, multi, readonly, value, search, onChange, onFailure, describedBy }) {
  let chosen = multi ? (Array.isArray(value) ? [...value] : []) : isOption(value) ? value : null;
  let first = null; // the answer to the empty query
  let options = null; // null: not known yet
  let active = 0;
  let asked = 0;
  let typing = false; // the input holds a query, not the chosen option
  const listId = freshId("options");
  const list = h("div", { class: "select-list", role: "listbox", id: listId, "aria-label": label, hidden: true });
  const input = h("input", {
    class: "select-input", id, type: "text", role: "combobox", "aria-expanded": "false", "aria-controls": listId,
    "aria-autocomplete": "list", "aria-haspopup": "listbox", "aria-describedby": describedBy, autocomplete: "off",
    spellcheck: "false", disabled: readonly, name,
  });
  const shown = h("span", { class: "select-value" });
  const clear = h(
    "button",
    { class: "select-clear", type: "button", tabindex: -1, "aria-label": `Clear ${label}`, on: { click: empty } },
    icon("close", 16),
  );
  const box = h(
    "div",
    { class: "select-box", on: { mousedown: pressed } },
    h("div", { class: "select-content" }, shown, input),
    clear,
    h("span", { class: "select-arrow" }, icon("chevron", 18)),
  );
  const element = h("div", { class: readonly ? "select readonly" : "select" }, box, list);

  function drawValue() {
    const tags = multi
      ? chosen.map((option, index) =>
          h("span", { class: "tag" }, option.label, readonly ? null : h(
            "button",
            { type: "button", tabindex: -1, "aria-label": `Remove ${option.label}`, on: { click: () => drop(index) } },
            icon("close", 12),
          )))
      : [];
    shown.replaceChildren(...tags);
    if (!typing) input.value = multi ? "" : (chosen?.text ?? chosen?.label ?? "");
    const bare = multi ? !chosen.length : !chosen;
    input.placeholder = bare ? (hint ?? "") : "";
    clear.hidden = readonly || bare;
  }

  function drawList() {
    if (options === null) {
      list.replaceChildren(h("div", { class: "select-note" }, spinner(), "Loading…"));
    } else if (!visible().length) {
      list.replaceChildren(h("div", { class: "select-note" }, "No options"));
    } else {
      active = Math.max(0, Math.min(active, visible().length - 1));
      list.replaceChildren(...visible().map(drawOption));
      list.children[active].scrollIntoView({ block: "nearest" });
    }
    const open = !list.hidden && Boolean(options?.length && visible().length);
    if (open) input.setAttribute("aria-activedescendant", `${listId}-${active}`);
    else input.removeAttribute("aria-activedescendant");
    if (!list.hidden) place();
  }

  function visible() {
    return multi ? (options ?? []).filter((one) => !chosen.some((own) => own.value === one.value)) : (options ?? []);
  }

  function drawOption(option, index) {
    const own = !multi && chosen?.value === option.value;
    return h(
      "div",
      {
        class: `option${index === active ? " active" : ""}${own ? " chosen" : ""}`, role: "option", id: `${listId}-${index}`,
        "aria-selected": String(own), "data-testid": "option", "data-value": option.value,
        on: {
          mousedown: (event) => event.preventDefault(),
          mousemove: () => index !== active && highlight(index),
          click: () => choose(option),
        },
      },
      option.picture ? h("img", { class: "option-picture", src: option.picture, alt: "" }) : null,
      option.text ?? option.label,
    );
  }

  function highlight(index) {
    list.children[active]?.classList.remove("active");
    active = index;
    list.children[active]?.classList.add("active");
    input.setAttribute("aria-activedescendant", `${listId}-${active}`);
  }

  function open() {
    if (readonly || !list.hidden) return;
    list.hidden = false;
    active = Math.max(0, visible().findIndex((one) => one.value === chosen?.value));
    input.setAttribute("aria-expanded", "true");
    element.classList.add("open");
    drawList();
    document.addEventListener("scroll", place, true);
    window.addEventListener("resize", place);
  }

  /** The list floats above the modal, below or above the box, so that no scroll area clips it. */
  function place() {
    const { left, top, bottom, width } = box.getBoundingClientRect();
    const under = window.innerHeight - bottom - GAP;
    const above = under < Math.min(HIGHEST, list.scrollHeight + 2) && top > under;
    list.style.left = `${left}px`;
    list.style.width = `${width}px`;
    list.style.top = above ? "" : `${bottom + 4}px`;
    list.style.bottom = above ? `${window.innerHeight - top + 4}px` : "";
    list.style.maxHeight = `${Math.min(HIGHEST, above ? top - GAP : under)}px`;
  }

  function shut() {
    if (list.hidden) return;
    list.hidden = true;
    document.removeEventListener("scroll", place, true);
    window.removeEventListener("resize", place);
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    element.classList.remove("open");
    if (typing) {
      asked += 1;
      options = first;
    }
    typing = false;
    drawValue();
  }

  async function ask(query) {
    asked += 1;
    const mine = asked;
    const answer = search(query);
    if (Array.isArray(answer)) {
      options = answer;
    } else {
      options = null;
      drawList();
      try {
        const found = await answer;
        if (mine !== asked) return;
        options = found;
        onFailure?.("");
      } catch (error) {
        if (mine !== asked) return;
        options = [];
        onFailure?.(error.message);
      }
    }
    if (!query) first = options;
    active = 0;
    drawList();
  }

  function typed() {
    typing = true;
    open();
    if (input.value) {
      ask(input.value);
      return;
    }
    asked += 1;
    options = first;
    drawList();
    if (!multi && chosen) empty();
  }

  function tell() {
    drawValue();
    onChange(multi ? [...chosen] : chosen && plain(chosen));
  }

  function choose(option) {
    if (multi) chosen.push(plain(option));
    else chosen = option;
    options = first ?? options;
    typing = false;
    shut();
    tell();
    if (!multi) input.select();
  }

  function drop(index) {
    chosen.splice(index, 1);
    tell();
    input.focus();
  }

  function empty() {
    chosen = multi ? [] : null;
    typing = false;
    tell();
    input.focus();
  }

  function pressed(event) {
    if (readonly || event.target.closest("button")) return;
    if (event.target !== input || document.activeElement !== input) event.preventDefault();
    input.focus();
    if (!typing) input.select();
    if (list.hidden) open();
    else if (event.target !== input) shut();
  }

  input.addEventListener("input", typed);
  input.addEventListener("blur", shut);
  input.addEventListener("keydown", (event) => {
    const count = visible().length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) return open();
      if (count) highlight((active + (event.key === "ArrowDown" ? 1 : count - 1)) % count);
      list.children[active]?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (list.hidden) open();
      else if (options && count) choose(visible()[active]);
    } else if (event.key === "Tab" && !list.hidden && options && count) {
      choose(visible()[active]);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      shut();
    } else if (event.key === "Backspace" && !input.value) {
      if (multi && chosen.length) drop(chosen.length - 1);
    }
    return undefined;
  });
  drawValue();
  return { element, input, load: () => ask("") };
}

/** The part of an option that is sent. */
function plain({ label, value }) {
  return { label, value };
}

function isOption(value) {
  return Boolean(value) && typeof value === "object" && !Array.isArray(value) && "value" in value;
}
