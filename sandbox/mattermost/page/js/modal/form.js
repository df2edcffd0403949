/** Modals of apps: opening, lookups, refresh, submit, steps, errors, encoded as in the real client. */

import { react, request, send } from "../apps/calls.js";
import { focusable, h, spinner } from "../dom.js";
import { markdown } from "../markdown.js";
import { drawField, initialValue, isFilled } from "./fields.js";
import { openFrame } from "./frame.js";

const REQUIRED = "This field is required.";
const FIX = "Please fix all field errors";

/** Open *form*. Every later request has the *context* of what opened it. */
export function openForm(form, context) {
  new Form(form, context).open();
}

class Form {
  constructor(form, context) {
    this.form = form;
    this.context = context;
    this.values = {};
    this.fields = new Map();
    this.fieldErrors = new Map();
    this.busy = false;
    this.closed = false;
  }

  open() {
    this.frame = openFrame(() => {
      this.closed = true;
    });
    this.frame.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit(event.submitter?.dataset.choice);
    });
    this.show(this.form);
    this.focusFirst();
  }

  /** Replace the form: with the next step, or after a refresh. */
  show(form) {
    this.form = form;
    this.values = Object.fromEntries((form.fields ?? []).map((field) => [field.name, initialValue(field)]));
    this.fields.clear();
    const { frame } = this;
    frame.title.replaceChildren(...(form.icon ? [h("img", { class: "modal-icon", src: form.icon, alt: "" })] : []), form.title ?? "");
    const nodes = form.header ? [h("div", { class: "modal-intro" }, markdown(form.header))] : [];
    for (const field of form.fields ?? []) {
      if (field.name === form.submit_buttons) continue;
      const drawn = drawField(field, {
        value: this.values[field.name],
        lookup: (one, query) => this.lookup(one, query),
        onChange: (value) => this.changed(field, value),
      });
      if (!drawn) continue;
      this.fields.set(field.name, drawn);
      nodes.push(drawn.element);
    }
    frame.body.replaceChildren(...nodes);
    frame.body.scrollTop = 0;
    this.drawFooter();
    for (const drawn of this.fields.values()) drawn.load?.();
  }

  drawFooter() {
    this.error = h("div", { class: "modal-error", role: "alert", "data-testid": "form-error" });
    const cancel = h(
      "button",
      { class: "button quiet", type: "button", "data-testid": "modal-cancel", on: { click: () => this.frame.close() } },
      "Cancel",
    );
    const decider = (this.form.fields ?? []).find((field) => field.name === this.form.submit_buttons);
    const choices = decider?.options?.length ? decider.options : [null];
    this.buttons = choices.map((option) =>
      h(
        "button",
        {
          class: "button primary", type: "submit", "data-testid": option ? `modal-button-${option.value}` : "modal-submit",
          "data-choice": option ? option.value : null,
        },
        option ? option.label || option.value : "Submit",
      ));
    this.frame.footer.replaceChildren(this.error, h("div", { class: "modal-buttons" }, cancel, this.buttons));
  }

  focusFirst() {
    const first = focusable(this.frame.body).find((one) => one.matches("input, textarea"));
    (first ?? this.buttons[0]).focus({ preventScroll: true });
  }

  changed(field, value) {
    this.values[field.name] = value;
    if (field.refresh) this.refresh(field);
  }

  async lookup(field, query) {
    const keys = { values: { ...this.values }, selected_field: field.name, query };
    const answer = await send(request(field.lookup, this.context, false, keys));
    if (answer.type === "ok") return (answer.data?.items ?? []).filter((item) => String(item.value ?? "").trim());
    throw new Error(answer.text || `App response type not supported. Response type: ${answer.type}.`);
  }

  async refresh(field) {
    if (!this.form.source) {
      this.showError("This field wants a new form, but the form has no source to ask.");
      return;
    }
    const keys = { values: { ...this.values }, selected_field: field.name };
    const { body } = this.frame;
    const shown = [...body.childNodes];
    const { scrollTop } = body;
    body.style.minHeight = `${body.offsetHeight}px`;
    this.frame.root.focus(); // what had the focus goes; Escape must still be heard
    body.replaceChildren(h("div", { class: "modal-wait" }, spinner("Loading…")));
    const answer = await send(request(this.form.source, this.context, false, keys));
    body.style.minHeight = "";
    if (this.closed) return;
    if (answer.type === "form" && answer.form?.submit) {
      const message = [...this.error.childNodes];
      this.show(answer.form);
      this.error.replaceChildren(...message); // errors drawn by an earlier refresh stay (recorded)
      for (const [name, text] of this.fieldErrors) this.fields.get(name)?.showError(text);
    } else {
      body.replaceChildren(...shown);
      if (answer.type === "error") this.showErrors(answer, { closes: false });
      else if (answer.type === "form") this.showError("Response type is `form`, but no form was included in response.");
      else this.showError(`App response type not supported. Response type: ${answer.type}.`);
    }
    body.scrollTop = scrollTop;
    this.fields.get(field.name)?.control?.focus({ preventScroll: true });
  }

  check() {
    let fine = true;
    for (const field of this.form.fields ?? []) {
      const drawn = this.fields.get(field.name);
      if (!drawn || field.type === "markdown") continue;
      const lacking = field.is_required && !isFilled(field, this.values[field.name]);
      this.setFieldError(field.name, lacking ? REQUIRED : "");
      if (lacking && fine) drawn.control.focus();
      fine = fine && !lacking;
    }
    this.showError(fine ? "" : FIX);
    return fine;
  }

  async submit(choice) {
    if (this.busy || !this.check()) return;
    const values = { ...this.values };
    if (choice !== undefined) values[this.form.submit_buttons] = choice;
    const pressed = this.buttons.find((button) => button.dataset.choice === choice) ?? this.buttons[0];
    const label = pressed.textContent;
    this.busy = true;
    for (const button of this.buttons) button.disabled = true;
    pressed.replaceChildren(spinner(), "Submitting…");
    pressed.classList.add("busy");
    const answer = await send(request(this.form.submit, this.context, true, { values }));
    this.busy = false;
    for (const button of this.buttons) button.disabled = false;
    pressed.replaceChildren(label);
    pressed.classList.remove("busy");
    this.answered(answer);
  }

  answered(answer) {
    if (answer.type === "error") {
      if (!this.closed) this.showErrors(answer, { closes: true });
      return;
    }
    if (answer.type === "form" && answer.form?.submit) {
      if (this.closed) return;
      this.fieldErrors.clear();
      this.show(answer.form);
      this.focusFirst();
      return;
    }
    const problem = react(answer, this.context, openForm);
    if (!problem) this.frame.close();
    else if (!this.closed) this.showError(problem);
  }

  /** Errors by field and for the whole form. An empty error closes the modal as a success would. */
  showErrors(answer, { closes }) {
    const errors = answer.data?.errors;
    if (!answer.text && !errors) {
      if (closes) this.frame.close();
      else this.showError("Unknown error occurred.");
      return;
    }
    this.showError(answer.text ?? "");
    if (!errors) return;
    const known = Object.entries(errors).filter(([name]) => this.fields.has(name));
    known.forEach(([name, text]) => this.setFieldError(name, text));
    if (known.length) {
      this.fields.get(known[0][0]).control?.focus();
    } else if (!answer.text) {
      const [name, text] = Object.entries(errors)[0] ?? ["``", ""];
      this.showError(`Received an error for an unknown field. Field name: ${name}. Error: ${text}`.trimEnd());
    }
  }

  setFieldError(name, text) {
    if (text) this.fieldErrors.set(name, text);
    else this.fieldErrors.delete(name);
    this.fields.get(name)?.showError(text);
  }

  showError(text) {
    this.error.replaceChildren(...(text ? [markdown(text)] : []));
  }
}
