/**
 * Interactive dialogs: opened by an event, submitted to the server, which asks the integration.
 *
 * 9.11 closes on whatever it does not understand (recorded); since 11.1 an answer may be the next form, elements may
 * refresh the form, and failures are told.
 */

import { api } from "../api.js";
import { focusable, h, spinner } from "../dom.js";
import { markdown } from "../markdown.js";
import { atLeast, store } from "../store.js";
import { drawElement, problemOf, untouched, words } from "./elements.js";
import { openFrame } from "./frame.js";

/** Open what the server told: `{url, dialog}`. */
export function openDialog({ url, dialog }) {
  new Dialog(url, dialog).open();
}

class Dialog {
  constructor(url, form) {
    this.url = url;
    this.form = form;
    this.callback = form.callback_id; // the first form's is sent to the end
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
    const elements = form.elements ?? [];
    this.values = Object.fromEntries(elements.map((one) => [one.name, untouched(one)]));
    this.drawn.clear();
    const { frame } = this;
    frame.title.replaceChildren(...(form.icon_url ? [h("img", { class: "modal-icon", src: form.icon_url, alt: "" })] : []), form.title);
    const nodes = form.introduction_text ? [h("div", { class: "modal-intro" }, markdown(form.introduction_text))] : [];
    for (const element of elements) {
      const drawn = drawElement(element, {
        value: this.values[element.name],
        lookup: (one, query) => this.lookup(one, query),
        onChange: (value) => this.changed(element, value),
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

  /** Cancel, the cross and Escape tell the integration where it wants to know. */
  left() {
    if (this.settled) return;
    this.settled = true;
    if (this.form.notify_on_cancel) api.submitDialog(this.request({}, { cancelled: true })).catch(() => {});
  }

  request(submission, more = {}) {
    return { url: this.url, callback_id: this.callback, state: this.form.state, submission, user_id: "", ...this.where, cancelled: false, ...more };
  }

  filled() {
    return { ...this.carried, ...this.values };
  }

  changed(element, value) {
    this.values[element.name] = value;
    if (element.refresh && this.form.source_url && atLeast(11, 1)) this.refresh(element);
  }

  async lookup(element, query) {
    const submission = { ...this.filled(), query, selected_field: element.name };
    const found = await api.lookUpInDialog(this.request(submission, { url: element.data_source_url }));
    return (found.items ?? []).map((one) => ({ label: one.text, value: one.value }));
  }

  async refresh(element) {
    const submission = { ...this.filled(), selected_field: element.name };
    this.drawn.get(element.name)?.showError("");
    try {
      const answer = await api.submitDialog(this.request(submission, { url: this.form.source_url, type: "refresh" }));
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

  /** Errors at their elements and for the whole; false when there was nothing to show. */
  showErrors({ error, errors }) {
    const known = Object.entries(errors ?? {}).filter(([name]) => this.drawn.has(name));
    known.forEach(([name, text]) => this.drawn.get(name).showError(text));
    if (known.length) this.drawn.get(known[0][0]).control.focus();
    if (error) this.showError(error);
    return Boolean(error) || known.length > 0;
  }

  showError(text) {
    this.error.replaceChildren(...(text ? [words(text)] : []));
  }
}
