// Modal forms: every field type, type-ahead, refresh, several steps, errors; as recorded of the real client.

import { react, say, send, navigate } from "./apps.js";
import { fill, h, icon, trapFocus } from "./dom.js";
import { drawField, initial } from "./fields.js";
import { markdown } from "./markdown.js";

let open = null;

export function openForm(form, context) {
  closeForm();
  open = new FormModal(form, context);
}

export function closeForm() {
  open?.remove();
  open = null;
}

class FormModal {
  constructor(form, context) {
    this.context = context;
    this.before = document.activeElement;
    this.root = h("div", { class: "backdrop" });
    this.root.addEventListener("keydown", (event) => { if (event.key === "Escape") closeForm(); });
    trapFocus(this.root);
    document.body.append(this.root);
    this.take(form);
    this.focusFirst();
  }

  remove() {
    this.root.remove();
    this.before?.focus?.();
  }

  /** Show a form: at opening, at the next step, after a refresh. */
  take(form, keepErrors = false) {
    this.form = form;
    this.fields = form.fields ?? [];
    this.values = Object.fromEntries(this.fields.map((field) => [field.name, initial(field)]));
    if (!keepErrors) { this.errors = {}; this.footer = ""; }
    this.busy = "";
    this.draw();
  }

  focusFirst() {
    const first = this.root.querySelector(".fields input, .fields textarea, .fields [role=combobox], .actions .primary");
    (first ?? this.root.querySelector("button"))?.focus();
  }

  draw() {
    const { form } = this;
    const buttons = this.fields.find((field) => field.name === form.submit_buttons && field.type === "static_select");
    this.body = h("div", { class: "fields" }, this.fields.filter((field) => field !== buttons).map((field) => this.field(field)));
    const title = form.title || "Form";
    const frame = h("form", { class: "modal", role: "dialog", "aria-modal": "true", "aria-label": title, "data-testid": "modal", novalidate: false },
      h("header", {},
        form.icon ? h("img", { src: form.icon, alt: "", width: 28, height: 28 }) : null,
        h("h2", {}, title),
        h("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: closeForm }, icon("close"))),
      h("div", { class: "scroll" }, form.header ? h("div", { class: "form-header md" }, markdown(form.header)) : null, this.body),
      h("footer", {},
        this.footerError = h("div", { class: "form-error md", role: "alert", "data-testid": "form-error" }),
        h("div", { class: "actions" },
          h("button", { type: "button", "data-testid": "modal-cancel", onclick: closeForm }, "Cancel"),
          this.buttons = buttons
            ? (buttons.options ?? []).map((option) => h("button", { type: "submit", class: "primary", value: option.value, "data-testid": `modal-button-${option.value}` }, option.label))
            : [h("button", { type: "submit", class: "primary", "data-testid": "modal-submit" }, "Submit")])));
    frame.addEventListener("submit", (event) => {
      event.preventDefault();
      if (buttons) this.values[buttons.name] = event.submitter?.value ?? buttons.options[0].value;
      this.submit();
    });
    fill(this.root, frame);
    this.showErrors();
  }

  field(field) {
    return drawField(field, {
      value: this.values[field.name],
      set: (value) => {
        this.values[field.name] = value;
        if (field.refresh) this.refresh(field);
      },
      lookup: (query) => this.lookUp(field, query),
      context: this.context,
    });
  }

  showErrors() {
    for (const box of this.root.querySelectorAll("[data-field]")) {
      const text = this.errors[box.dataset.field];
      fill(box.querySelector(".field-error"), text ? markdown(text) : []);
      box.classList.toggle("wrong", Boolean(text));
    }
    fill(this.footerError, this.footer ? markdown(this.footer) : []);
  }

  async lookUp(field, query) {
    const more = { values: this.values, selected_field: field.name, ...(query ? { query } : {}) };
    const answer = await send(field.lookup, this.context, more, false);
    if (answer.type === "ok") return { items: (answer.data?.items ?? []).filter((item) => typeof item.value === "string" && item.value.trim()) };
    return { items: [], error: answer.text || `App response type not supported. Response type: ${answer.type}.` };
  }

  async refresh(field) {
    if (!this.form.source) { this.footer = "Field with refresh, but the form has no source."; return this.showErrors(); }
    fill(this.body, h("div", { class: "spinner", role: "status", "aria-label": "Loading" }));
    const answer = await send(this.form.source, this.context, { values: this.values, selected_field: field.name }, false);
    if (answer.type === "form" && answer.form?.submit) {
      this.take(answer.form, true);
      this.root.querySelector(`[data-field="${field.name}"] input, [data-field="${field.name}"] [role=combobox]`)?.focus();
      return;
    }
    const values = this.values;
    this.draw();
    this.values = values;
    if (answer.type === "error") this.failed(answer);
    else { this.footer = `App response type not supported. Response type: ${answer.type}.`; this.showErrors(); }
  }

  async submit() {
    this.errors = {};
    for (const field of this.fields) {
      const value = this.values[field.name];
      const empty = value === null || value === undefined || value === "" || value === false || (Array.isArray(value) && !value.length);
      if (field.is_required && empty && field.type !== "markdown" && field.name !== this.form.submit_buttons) this.errors[field.name] = "This field is required.";
    }
    this.footer = Object.keys(this.errors).length ? "Please fix all field errors" : "";
    this.showErrors();
    if (this.footer) return;
    const labels = this.buttons.map((button) => button.textContent);
    for (const button of this.buttons) { button.disabled = true; button.textContent = "Submitting…"; }
    const sent = Object.fromEntries(this.fields.filter((field) => field.type !== "markdown" || true).map((field) => [field.name, this.values[field.name] ?? (field.type === "bool" ? false : null)]));
    const answer = await send(this.form.submit, this.context, { values: sent });
    this.buttons.forEach((button, n) => { button.disabled = false; button.textContent = labels[n]; });
    if (open !== this) return;
    switch (answer.type) {
      case "ok":
        closeForm();
        if (answer.text) say(this.context, answer, answer.text);
        break;
      case "form":
        if (!answer.form?.submit) { this.footer = "Response type is `form`, but no form was included in response."; return this.showErrors(); }
        this.take(answer.form);
        this.focusFirst();
        break;
      case "navigate":
        closeForm();
        if (answer.navigate_to_url) navigate(answer.navigate_to_url);
        break;
      case "error":
        if (!answer.text && !answer.data?.errors) return closeForm();
        this.failed(answer);
        break;
      default:
        this.footer = `App response type not supported. Response type: ${answer.type}.`;
        this.showErrors();
    }
  }

  failed(answer) {
    const errors = answer.data?.errors ?? {};
    const known = Object.fromEntries(Object.entries(errors).filter(([name]) => this.fields.some((field) => field.name === name)));
    const [unknown] = Object.keys(errors).filter((name) => !(name in known));
    this.errors = known;
    this.footer = answer.text || "";
    if (!this.footer && unknown !== undefined && !Object.keys(known).length) {
      this.footer = `Received an error for an unknown field. Field name: ${unknown}. Error: ${errors[unknown]}`;
    }
    this.showErrors();
    this.root.querySelector(".wrong input, .wrong textarea, .wrong [role=combobox]")?.focus();
  }
}

export { react };
