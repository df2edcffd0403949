/** Start: sign in, load, draw, follow addresses, listen. */

import { ApiError, api, onExpired } from "./api.js";
import { fetchBindings } from "./apps/bindings.js";
import { appBar } from "./chat/app_bar.js";
import { centre } from "./chat/centre.js";
import { sidebar } from "./chat/sidebar.js";
import { threadPanel } from "./chat/thread.js";
import { h } from "./dom.js";
import { drawLogin } from "./login.js";
import { arrive } from "./events.js";
import { openDialog, overheard } from "./modal/dialog.js";
import { setOpener } from "./modal/triggers.js";
import { followLinks, go, setFollower } from "./navigate.js";
import { listen } from "./socket.js";
import { addPosts, addUsers, changed, channelPath, markViewed, onChange, store } from "./store.js";
import { loadChannels, loadPosts, loadThread, openChannelOf, seen } from "./load.js";
import { loadThreads, readThread } from "./threads.js";

const page = document.getElementById("page");
let view = null;

function closeSidebar() {
  document.body.classList.remove("has-sidebar");
}

function closeThread() {
  store.thread = "";
  changed();
  view.middle.focus();
}

function openThread(post) {
  store.thread = post.root_id || post.id;
  changed();
  loadThread(store.thread).then(() => view.thread.focus(), (error) => toast(error.message));
  readThread(store.thread).catch(() => {});
}

async function openFollowed(post) {
  const channel = await openChannelOf(post);
  history.pushState(null, "", channelPath(channel));
  await show(channel, { focus: false });
  openThread(post);
}

function draw() {
  const side = sidebar({ onSignOut: signOut, onClose: closeSidebar, onThread: openFollowed });
  const middle = centre({
    onReply: openThread,
    onMenu: () => document.body.classList.add("has-sidebar"),
    onProblem: toast,
    onLeft: () => {
      store.channels.delete(store.channel.id);
      go("/");
    },
  });
  const thread = threadPanel(closeThread);
  const bar = appBar();
  const shade = h("div", { class: "shade", on: { click: closeSidebar } });
  page.replaceChildren(h("div", { class: "app" }, side.root, shade, middle.root, thread.root, bar.root));
  view = { middle, thread, parts: [side, middle, thread, bar] };
  document.addEventListener("keydown", (event) => event.key === "Escape" && closeSidebar());
}

async function signOut() {
  onExpired(() => {});
  await api.logout().catch(() => {});
  location.assign("/login");
}

async function show(channel, { focus = true } = {}) {
  const before = store.channel;
  const same = before?.id === channel.id;
  store.channels.set(channel.id, channel);
  store.channel = channel;
  if (!same) {
    store.thread = "";
    store.memberCount = 0;
  }
  markViewed(channel.id);
  closeSidebar();
  if (same) return;
  fetchBindings();
  await loadPosts(channel);
  seen(channel, before);
  if (focus && matchMedia("(hover: hover)").matches) view.middle.focus();
}

async function showPost(id) {
  const post = await api.post(id);
  await show(await openChannelOf(post), { focus: false });
  addPosts([post]);
  store.highlight = id;
  if (post.root_id) {
    store.thread = post.root_id;
    await loadThread(post.root_id);
    readThread(post.root_id).catch(() => {});
  }
  changed();
  setTimeout(() => {
    view.middle.reveal(post.root_id || id);
    view.thread.reveal(id);
  });
}

/** Show the page of the URL. An invalid URL leads to the first channel, with a message. */
async function follow() {
  const [team, kind, name] = location.pathname.split("/").filter(Boolean).map(decodeURIComponent);
  store.highlight = "";
  try {
    if (kind === "pl" && team === store.team.name) return await showPost(name);
    if (kind === "channels" && team === store.team.name) {
      const known = [...store.channels.values()].find((one) => one.name === name && one.type !== "D");
      return await show(known ?? (await api.channelByName(store.team.id, name)));
    }
    if (kind === "messages" && team === store.team.name && name?.startsWith("@")) {
      const user = await api.userByName(name.slice(1));
      addUsers([user]);
      return await show(await api.direct(store.me.id, user.id));
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(error.message);
  }
  const all = [...store.channels.values()];
  const home = all.find((one) => one.name === "town-square") ?? all.find((one) => !one.delete_at);
  return go(channelPath(home), { replace: true });
}

function toast(text) {
  const node = h("div", { class: "toast", role: "status" }, text);
  document.getElementById("layers").append(node);
  setTimeout(() => node.remove(), 6000);
}

/** Reload what may have been missed. */
async function reload() {
  try {
    await Promise.all([loadChannels(), loadThreads()]);
    fetchBindings();
    if (store.channel) await loadPosts(store.channel);
    if (store.thread) await loadThread(store.thread);
  } catch (error) {
    toast(error.message);
  }
}

async function start(user) {
  store.me = user;
  const teams = await api.teams();
  const wanted = location.pathname.split("/")[1];
  store.team = teams.find((team) => team.name === wanted) ?? teams[0];
  addUsers([user]);
  await Promise.all([loadChannels(), loadThreads()]);
  draw();
  onChange(() => store.channel && view.parts.forEach((part) => part.update()));
  setFollower(follow);
  setOpener(openDialog, overheard);
  onExpired(() => location.reload());
  followLinks(document);
  window.addEventListener("popstate", follow);
  listen({
    onEvent: arrive,
    // Between reading and listening something may have been posted, the first time, too.
    onBack: (first) => (first ? store.channel && loadPosts(store.channel).catch(() => {}) : reload()),
    onChange: (up, version) => {
      store.online = up;
      document.documentElement.toggleAttribute("data-online", up); // browser tests wait for it
      if (version) store.version = version.split(".").slice(0, 3).map(Number);
      changed();
    },
  });
  document.addEventListener("visibilitychange", () => !document.hidden && store.channel && seen(store.channel));
  await follow();
}

async function boot() {
  let user = null;
  try {
    user = await api.me();
  } catch (error) {
    if (error.status !== 401) {
      page.replaceChildren(h("p", { class: "fatal", role: "alert" }, error.message));
      return;
    }
  }
  if (user) await start(user);
  else drawLogin(page, start);
}

boot();
