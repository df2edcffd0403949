/** Files for a new post: chosen, uploaded immediately, and shown until the post is sent. */

import { api } from "../api.js";
import { h, spinner } from "../dom.js";
import { icon } from "../icons.js";
import { store } from "../store.js";
import { size } from "./files.js";

/**
 * Build the button and the row of a composer. `onChange()` is called when the row changes, `onError(text)` when an
 * upload fails. `ids()` are the uploaded files, `busy()` whether one is still on its way.
 */
export function attaching({ testId, onChange, onError }) {
  let chosen = [];
  const row = h("ul", { class: "chosen-files", "aria-label": "Files to send", hidden: true });
  const input = h("input", { type: "file", multiple: true, hidden: true, "data-testid": `${testId}-files`, on: { change: take } });
  const button = h(
    "button",
    { class: "tool", type: "button", "aria-label": "Attach files", "data-tip": "Attach files", on: { click: () => input.click() } },
    icon("clip", 17),
  );

  async function take() {
    const files = [...input.files];
    input.value = "";
    await Promise.all(files.map(add));
  }

  async function add(file) {
    const entry = { name: file.name, size: file.size, id: "" };
    chosen.push(entry);
    draw();
    try {
      entry.id = (await api.upload(store.channel.id, file)).file_infos[0].id;
    } catch (failure) {
      chosen = chosen.filter((one) => one !== entry);
      onError(failure.message);
    }
    draw();
  }

  function draw() {
    row.hidden = !chosen.length;
    row.replaceChildren(...chosen.map((entry) =>
      h(
        "li",
        {},
        entry.id ? icon("file", 18) : spinner(`Uploading ${entry.name}`),
        h("span", { class: "file-name" }, entry.name, h("span", { class: "file-size" }, size(entry.size))),
        h("button", { class: "icon-button", type: "button", "aria-label": `Remove ${entry.name}`, on: { click: () => drop(entry) } }, icon("close", 14)),
      )));
    onChange();
  }

  function drop(entry) {
    chosen = chosen.filter((one) => one !== entry);
    draw();
  }

  function clear() {
    if (!chosen.length) return;
    chosen = [];
    draw();
  }

  return { button, input, row, clear, ids: () => chosen.map((one) => one.id).filter(Boolean), busy: () => chosen.some((one) => !one.id) };
}
