/**
 * Interactive dialogs: opened by an event, submitted to the server, which asks the integration.
 *
 * 9.11 closes the dialog on any response it does not understand (recorded). Since 11.1 a response can be the next form,
 * elements can refresh the form, and failures are shown.
 */

import { api } from "../api.js";
import { focusable, h, spinner } from "../dom.js";
import { markdown } from "../markdown.js";
import { atLeast, store } from "../store.js";
import { beside, drawElement, isFilled, problemOf, untouched, words } from "./elements.js";
import { openFrame } from "./frame.js";

let current = null; // the dialog on the screen

/** Open the dialog of an event: `{url, dialog}`. */
export function openDialog({ url, dialog }) {
  current = new Dialog(url, dialog);
  current.open();
}

/**
 * A dialog was opened for this user, here or in another session. In 11.x the one on the screen is then submitted to the
 * newer one's URL, under its callback ID, with its own state and values (recorded).
 */
export function overheard({ url, dialog }) {
  if (!current || current.settled || !atLeast(11, 0)) return;
  current.url = url;
  current.callback = dialog.callback_id;
}

class Dialog {
  constructor(url, form) {
    this.url = url;
    this.form = form;
    this.callback = form.callback_id; // the first form's is sent to the end
    this.firstState = form.state; // and with look-ups the first form's state
    this.where = { channel_id: store.channel.id, team_id: store.team.id };
    this.carried = {}; // what earlier steps were filled with
    this.values = {};
    this.drawn = new Map();
    this.busy = false;
    this.settled = false;
  }

  open() {
    this.frame = openFrame(() => this.left());
    this.frame.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.show(this.form);
    const first = focusable(this.frame.body).find((one) => one.matches("input, textarea"));
    (first ?? this.button).focus({ preventScroll: true });
  }

  show(form) {
    this.form = form;
    this.source = form.source_url || this.source; // a refreshed form need not say it again (recorded)
    const elements = form.elements ?? [];
    this.values = Object.fromEntries(elements.map((one) => [one.name, untouched(one)]));
    this.touched = new Map(); // labels of what was chosen
    this.drawn.clear();
    const { frame } = this;
    frame.title.replaceChildren(...(form.icon_url ? [h("img", { class: "modal-icon", src: form.icon_url, alt: "" })] : []), form.title);
    const nodes = form.introduction_text ? [h("div", { class: "modal-intro" }, markdown(form.introduction_text))] : [];
    for (const element of elements) {
      const drawn = drawElement(element, {
        value: this.values[element.name],
        lookup: (one, query) => this.lookup(one, query),
        onChange: (value, label) => this.changed(element, value, label),
      });
      if (!drawn) continue;
      this.drawn.set(element.name, drawn);
      nodes.push(drawn.element);
    }
    frame.body.replaceChildren(...nodes);
    frame.body.scrollTop = 0;
    this.drawFooter();
    for (const drawn of this.drawn.values()) drawn.load?.();
  }

  drawFooter() {
    this.error = h("div", { class: "modal-error", role: "alert", "data-testid": "form-error" });
    const cancel = h("button", { class: "button quiet", type: "button", "data-testid": "modal-cancel", on: { click: () => this.frame.close() } }, "Cancel");
    this.button = h("button", { class: "button primary", type: "submit", "data-testid": "modal-submit" }, this.form.submit_label || "Submit");
    this.frame.footer.replaceChildren(this.error, h("div", { class: "modal-buttons" }, cancel, this.button));
  }

  /** Cancel, the close button and Escape notify the integration if it asked for that. */
  left() {
    if (this.settled) return;
    this.settled = true;
    if (this.form.notify_on_cancel) api.submitDialog(this.request({}, { cancelled: true })).catch(() => {});
  }

  request(submission, more = {}) {
    return { url: this.url, callback_id: this.callback, state: this.form.state, submission, user_id: "", ...this.where, cancelled: false, ...more };
  }

  /** The submission. Since 11.0 empty values are omitted, so those sent before are kept (recorded). */
  filled() {
    if (!atLeast(11, 0)) return { ...this.carried, ...this.values };
    return { ...this.carried, ...Object.fromEntries(Object.entries(this.values).filter(([, value]) => isFilled(value))) };
  }

  changed(element, value, label) {
    this.values[element.name] = value;
    this.touched.set(element.name, label);
    if (atLeast(11, 0)) this.askAgain();
    if (element.refresh && this.source && atLeast(11, 1)) this.refresh(element);
  }

  /** Since 11.0, changing any element looks up every dynamic select again (recorded). */
  askAgain() {
    for (const element of this.form.elements ?? []) {
      if (element.data_source === "dynamic") this.ask(element, "").catch(() => {});
    }
  }

  async lookup(element, query) {
    try {
      return await this.ask(element, query);
    } catch (failure) {
      if (atLeast(11, 0)) this.repeat(element, query, 1);
      throw failure;
    }
  }

  async ask(element, query) {
    const submission = { ...this.beside(), ...(query || !atLeast(11, 0) ? { query } : {}), selected_field: element.name };
    const request = this.request(submission, { url: element.data_source_url, ...(atLeast(11, 0) ? { state: this.firstState } : {}) });
    const found = await api.lookUpInDialog(request);
    return (found.items ?? []).map((one) => ({ label: one.text, value: one.value }));
  }

  /** 11.x retries a failed lookup without pause until the dialog closes (recorded); here the number is limited. */
  async repeat(element, query, times) {
    while (!this.settled) {
      try {
        await this.ask(element, query);
        return;
      } catch (failure) {
        times += 1;
        this.drawn.get(element.name)?.showError(`${failure.message} (asked ${times} times)`);
      }
    }
  }

  /** The values sent with a lookup, which 11.x encodes as its form holds them. */
  beside() {
    if (!atLeast(11, 0)) return this.filled();
    const elements = this.form.elements ?? [];
    return Object.fromEntries(elements.map((one) => [one.name, beside(one, this.values[one.name], this.touched)]).filter(([, value]) => value !== undefined));
  }

  async refresh(element) {
    const submission = { ...this.filled(), ...(atLeast(11, 0) ? {} : { selected_field: element.name }) };
    if (atLeast(11, 1)) this.carried = submission;
    this.drawn.get(element.name)?.showError("");
    try {
      const answer = await api.submitDialog(this.request(submission, { url: this.source, type: "refresh" }));
      if (this.settled) return;
      if (answer.type === "form") this.show(answer.form);
      else this.showErrors(answer);
    } catch (failure) {
      this.showError(failure.message);
    }
    this.drawn.get(element.name)?.control.focus({ preventScroll: true });
  }

  check() {
    let fine = true;
    for (const element of this.form.elements ?? []) {
      const drawn = this.drawn.get(element.name);
      if (!drawn) continue;
      const problem = problemOf(element, this.values[element.name]);
      drawn.showError(problem);
      if (problem && fine) drawn.control.focus();
      fine = fine && !problem;
    }
    return fine;
  }

  async submit() {
    if (this.busy || !this.check()) return;
    const label = this.button.textContent;
    this.showError("");
    this.busy = true;
    this.button.disabled = true;
    this.button.classList.add("busy");
    this.button.replaceChildren(spinner(), "Submitting…");
    const submission = this.filled();
    if (atLeast(11, 1)) this.carried = submission;
    let answer = {};
    try {
      answer = await api.submitDialog(this.request(submission));
    } catch (failure) {
      if (atLeast(11, 1)) answer = { error: failure.message }; // 9.11 closes as if all went well (recorded)
    }
    this.busy = false;
    this.button.disabled = false;
    this.button.classList.remove("busy");
    this.button.replaceChildren(label);
    if (this.settled) return;
    if (answer.type === "form" && atLeast(11, 1)) {
      this.carried = submission;
      this.show(answer.form);
      this.frame.root.focus({ preventScroll: true }); // what had the focus is gone; Escape must still be heard
    } else if (!this.showErrors(answer)) {
      this.settled = true;
      this.frame.close();
    }
  }

  /** Show errors at their elements and for the whole dialog. Returns false if there were none. */
  showErrors({ error, errors }) {
    const known = Object.entries(errors ?? {}).filter(([name]) => this.drawn.has(name));
    known.forEach(([name, text]) => this.drawn.get(name).showError(text));
    if (known.length) this.drawn.get(known[0][0]).control.focus();
    const all = error || (atLeast(11, 0) && Object.keys(errors ?? {}).length ? "Submission failed with validation errors" : "");
    if (all) this.showError(all);
    return Boolean(all) || known.length > 0;
  }

  showError(text) {
    this.error.replaceChildren(...(text ? [words(text)] : []));
  }
}
