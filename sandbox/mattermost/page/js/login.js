/** The sign-in page. It lists the sandbox's accounts. */

import { api } from "./api.js";
import { h, spinner } from "./dom.js";

const PASSWORD = "sandbox-1";
const PEOPLE = [
  ["agent", "Amir Agent", "Works on tickets"],
  ["newcomer", "Nora Newcomer", "Not connected yet"],
  ["requester", "Rosa Requester", "Opens own incidents"],
  ["approver", "Piet Approver", "Approves requests"],
  ["agent2", "Aiko Agent", "Works on tickets"],
  ["admin", "Ada Admin", "Administrator"],
];

/** Draw the form into *root*; `onDone(user)` is called after a successful sign-in. */
export function drawLogin(root, onDone) {
  const name = h("input", {
    class: "text-input", id: "login-name", name: "username", autocomplete: "username", autocapitalize: "none",
    spellcheck: "false", required: true, "data-testid": "login-username",
  });
  const password = h("input", {
    class: "text-input", id: "login-password", name: "password", type: "password", autocomplete: "current-password",
    required: true, "data-testid": "login-password",
  });
  const error = h("p", { class: "login-error", role: "alert", "data-testid": "login-error" });
  const submit = h("button", { class: "button primary wide", type: "submit", "data-testid": "login-submit" }, "Sign in");
  const form = h(
    "form",
    { class: "login-form" },
    h("label", { class: "field-label", for: "login-name" }, "User name"),
    name,
    h("label", { class: "field-label", for: "login-password" }, "Password"),
    password,
    error,
    submit,
  );

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    error.textContent = "";
    submit.disabled = true;
    submit.replaceChildren(spinner(), "Signing in…");
    try {
      onDone(await api.login(name.value.trim(), password.value));
    } catch (failure) {
      error.textContent = failure.message;
      password.select();
    } finally {
      submit.disabled = false;
      submit.replaceChildren("Sign in");
    }
  });

  const people = PEOPLE.map(([user, full, role]) =>
    h(
      "button",
      { class: "login-person", type: "button", on: { click: () => fill(user) } },
      h("strong", {}, full),
      h("span", {}, `${user} · ${role}`),
    ));

  function fill(user) {
    name.value = user;
    password.value = PASSWORD;
    submit.focus();
  }

  document.title = "Sign in · Sandbox";
  root.replaceChildren(
    h(
      "div",
      { class: "login" },
      h(
        "main",
        { class: "login-card" },
        h("img", { class: "login-sign", src: "/static/icons/favicon.svg", alt: "" }),
        h("h1", {}, "Sign in to Sandbox"),
        h("p", { class: "login-lead" }, "A chat server for trying things out. Nothing here leaves this machine."),
        form,
        h(
          "section",
          { class: "login-people", "aria-label": "Accounts" },
          h("h2", {}, "Or sign in as"),
          h("div", { class: "login-grid" }, people),
          h("p", {}, "Password of all: ", h("code", {}, PASSWORD)),
        ),
      ),
    ),
  );
  name.focus();
}
