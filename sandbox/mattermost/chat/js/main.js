// Start: sign in, load, draw the frame, follow the address.

import { drawAppBar } from "./appbar.js";
import { api, get, post } from "./api.js";
import { refreshBindings } from "./apps.js";
import { composer } from "./composer.js";
import { fill, h, icon } from "./dom.js";
import { drawChannel, drawThread } from "./posts.js";
import { drawSidebar, moveTo } from "./sidebar.js";
import { listen } from "./socket.js";
import { changed, channelTitle, load, loadPosts, on, store } from "./store.js";

const root = document.getElementById("root");

async function start() {
  try {
    await load();
  } catch {
    return signIn();
  }
  frame();
  listen(refreshBindings);
  window.addEventListener("popstate", follow);
  await follow();
}

function signIn(failed = "") {
  document.title = "Sign in · Sandbox chat";
  const name = h("input", { id: "login", "data-testid": "login-username", autocomplete: "username", required: true });
  const password = h("input", { id: "password", type: "password", "data-testid": "login-password", autocomplete: "current-password", required: true });
  const form = h("form", { class: "sign-in", "aria-label": "Sign in" },
    h("h1", {}, "Sandbox chat"), h("p", { class: "soft" }, "A stand-in for Mattermost: try ServiceNow in the conversation, with nothing to set up."),
    failed ? h("p", { class: "form-error", role: "alert" }, failed) : null,
    h("label", { for: "login" }, "User name"), name, h("label", { for: "password" }, "Password"), password,
    h("button", { class: "primary", "data-testid": "login-submit" }, "Sign in"),
    h("p", { class: "soft small" }, "People: admin, agent, agent2, requester, approver, newcomer. Password of all: sandbox-1"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await post("/api/v4/users/login", { login_id: name.value.trim(), password: password.value });
    } catch (error) {
      return signIn(error.message);
    }
    start();
  });
  fill(root, h("main", { class: "welcome" }, form));
  name.focus();
}

function frame() {
  const sidebar = h("nav", { id: "sidebar", "aria-label": "Channels" });
  const title = h("h1", { id: "channel-title" });
  const posts = h("div", { id: "posts", role: "log", "aria-label": "Messages", tabindex: "0" });
  const thread = h("aside", { id: "thread", "data-testid": "thread-panel", "aria-label": "Thread", hidden: true });
  const bar = h("nav", { id: "app-bar", "aria-label": "Apps" });
  const below = h("div", { id: "composer-place" });
  fill(root, h("div", { class: "layout" },
    sidebar,
    h("main", { class: "centre" },
      h("header", { class: "channel-header" },
        h("button", { class: "quiet only-narrow", "aria-label": "Channels", onclick: () => sidebar.classList.toggle("open") }, icon("menu")), title),
      posts, below),
    thread, bar));
  const drawAll = () => { drawChannel(posts); drawThread(thread); };
  on("posts", drawAll);
  on("thread", () => drawThread(thread, true));
  on("channels", () => drawSidebar(sidebar, signOut));
  on("bindings", () => { drawAppBar(bar); drawAll(); });
  on("current", () => {
    const channel = store.channels.get(store.current);
    title.textContent = channelTitle(channel);
    document.title = `${channelTitle(channel)} · Sandbox chat`;
    fill(below, channel.delete_at
      ? h("p", { class: "archived" }, icon("archive"), " This channel is archived. New messages can’t be posted.")
      : composer({ label: `Write to ${channelTitle(channel)}`, rootId: "" }));
    drawSidebar(sidebar, signOut);
    sidebar.classList.remove("open");
  });
}

async function signOut() {
  await api("POST", "/api/v4/users/logout");
  location.href = "/login";
}

/** Show what the address names: a channel, a person, a message. */
async function follow() {
  const [, , kind, name] = decodeURIComponent(location.pathname).split("/");
  store.highlight = "";
  if (kind === "pl") {
    try {
      const found = await get(`/api/v4/posts/${name}`);
      store.highlight = found.id;
      store.thread = found.root_id;
      await show(found.channel_id);
      return;
    } catch { /* gone, or not for this person: the default channel */ }
  }
  const channels = [...store.channels.values()];
  const byName = channels.find((one) => kind === "channels" && one.name === name);
  const byPerson = channels.find((one) => kind === "messages" && one.type === "D" && one.name.split("__").some((id) => store.users.get(id)?.username === name?.slice(1)));
  const channel = byName ?? byPerson ?? channels.find((one) => one.name === "town-square");
  if (!byName && !byPerson) history.replaceState({}, "", `/${store.team.name}/channels/${channel.name}`);
  store.thread = "";
  await show(channel.id);
}

async function show(channelId) {
  store.current = channelId;
  store.unread.delete(channelId);
  changed("current");
  changed("thread");
  await Promise.all([loadPosts(channelId), refreshBindings()]);
  document.querySelector("#composer-place textarea")?.focus();
}

export { moveTo };
start();
