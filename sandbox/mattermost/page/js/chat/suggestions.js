/** The list over the composer while a command or a @name is typed. */

import { api } from "../api.js";
import { lookup } from "../command/run.js";
import { suggest } from "../command/suggest.js";
import { freshId, h } from "../dom.js";
import { icon } from "../icons.js";
import { store } from "../store.js";

const NAME = /(?:^|\s)@([a-z0-9._-]*)$/i;

/**
 * Build the list for *input*. `typed()` refreshes it, `pressed(event)` handles a key and returns whether it did,
 * `hide()` closes it. `choose(entry)` gets the chosen entry; `roots()` returns the apps' commands.
 */
export function suggestions({ input, testId, rootId, roots, choose }) {
  const listId = freshId("suggestions");
  const element = h("div", { class: "suggestions", role: "listbox", id: listId, "aria-label": "Suggestions", "data-testid": testId, hidden: true });
  input.setAttribute("aria-controls", listId);
  let shown = [];
  let active = -1;
  let asked = 0;

  const ask = {
    lookup: (parsed, query) => lookup(parsed, query, rootId()),
    users: async (name) => {
      const found = await api.findUsers(name, store.team.id, store.channel.id);
      return [...(found.users ?? []), ...(found.out_of_channel ?? [])];
    },
    channels: (name) => api.findChannels(store.team.id, name),
  };

  async function wanted() {
    const line = input.value;
    if (line.startsWith("/") && !line.startsWith("//") && !line.includes("\n")) {
      return { heading: "Commands", entries: await suggest(line, roots(), ask) };
    }
    const name = NAME.exec(line.slice(0, input.selectionStart))?.[1];
    if (name === undefined) return null;
    const people = await ask.users(name.toLowerCase());
    const before = line.slice(0, input.selectionStart - name.length);
    const entries = people.map((user) => ({
      title: `@${user.username}`,
      description: [user.first_name, user.last_name].filter(Boolean).join(" "),
      sign: "",
      picture: user.id,
      complete: before + user.username,
    }));
    return { heading: "People", entries };
  }

  async function typed() {
    asked += 1;
    const mine = asked;
    let found = null;
    try {
      found = await wanted();
    } catch {
      found = null;
    }
    if (mine !== asked) return;
    if (!found?.entries.length) hide();
    else show(found);
  }

  function show({ heading, entries }) {
    shown = entries;
    active = entries.findIndex((entry) => !entry.idle);
    const nodes = entries.map(draw);
    element.replaceChildren(h("div", { class: "suggestion-heading", role: "presentation" }, heading), ...nodes);
    element.dataset.line = input.value;
    element.hidden = false;
    element.scrollTop = 0;
    input.setAttribute("aria-expanded", "true");
    mark();
  }

  function draw(entry, index) {
    let picture = null;
    if (entry.icon) picture = h("img", { class: "suggestion-icon", src: entry.icon, alt: "" });
    else if (entry.picture) picture = h("img", { class: "suggestion-icon round", src: api.image(entry.picture), alt: "" });
    else if (entry.sign === "modal") picture = h("span", { class: "suggestion-icon" }, icon("modal", 18));
    else if (entry.sign) picture = h("span", { class: "suggestion-icon", "aria-hidden": "true" }, entry.sign);
    return h(
      "div",
      {
        class: entry.idle ? "suggestion idle" : "suggestion", role: "option", id: `${listId}-${index}`, "data-testid": "suggestion",
        "aria-disabled": entry.idle ? "true" : null,
        on: {
          mousedown: (event) => event.preventDefault(),
          mousemove: () => !entry.idle && index !== active && mark(index),
          click: () => !entry.idle && choose(entry),
        },
      },
      picture,
      h(
        "div",
        { class: "suggestion-text" },
        h("div", { class: "suggestion-title" }, entry.title),
        entry.description ? h("div", { class: "suggestion-note" }, entry.description) : null,
      ),
    );
  }

  function mark(index = active) {
    active = index;
    [...element.querySelectorAll(".suggestion")].forEach((node, at) => {
      node.classList.toggle("active", at === active);
      node.setAttribute("aria-selected", String(at === active));
    });
    if (active >= 0) {
      input.setAttribute("aria-activedescendant", `${listId}-${active}`);
      document.getElementById(`${listId}-${active}`)?.scrollIntoView({ block: "nearest" });
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  }

  function hide() {
    asked += 1;
    element.hidden = true;
    shown = [];
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function step(by) {
    const count = shown.length;
    for (let at = active + by, tried = 0; tried < count; at += by, tried += 1) {
      const index = (at + count) % count;
      if (!shown[index].idle) return mark(index);
    }
    return undefined;
  }

  function pressed(event) {
    if (element.hidden) return false;
    const modified = event.ctrlKey || event.metaKey || event.shiftKey;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") step(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Escape") hide();
    else if (["Enter", "Tab"].includes(event.key) && active >= 0 && !modified) choose(shown[active]);
    else return false;
    event.preventDefault();
    return true;
  }

  input.addEventListener("blur", hide);
  return { element, typed, pressed, hide };
}
