/**
 * Requests to REST API v4 and the Apps plugin of the same origin, as the real web client sends them.
 * https://developers.mattermost.com/api-documentation/
 */

const APPS = "/plugins/com.mattermost.apps";

/** The number of posts that are loaded at once. */
export const MOST_POSTS = 200;

let expired = () => {};

/** Call *listener* when the session is no longer valid. */
export function onExpired(listener) {
  expired = listener;
}

/** An error response: the server's text, its status (0: no response) and its error ID. */
export class ApiError extends Error {
  constructor(message, status = 0, id = "") {
    super(message);
    this.status = status;
    this.id = id;
  }
}

function cookie(name) {
  const found = document.cookie.split("; ").find((part) => part.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}

async function ask(method, path, body) {
  const headers = { "X-Requested-With": "XMLHttpRequest" };
  const whole = body === undefined || body instanceof FormData;
  if (method !== "GET") headers["X-CSRF-Token"] = cookie("MMCSRF");
  if (!whole) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: whole ? body : JSON.stringify(body) });
  } catch {
    throw new ApiError("The server cannot be reached. Check your connection and try again.");
  }
  const text = await response.text();
  let content = null;
  try {
    content = text ? JSON.parse(text) : null;
  } catch {
    content = null;
  }
  if (response.status === 401) expired();
  if (!response.ok) throw new ApiError(content?.message ?? (text || response.statusText), response.status, content?.id);
  return content;
}

const get = (path) => ask("GET", `/api/v4${path}`);
const post = (path, body) => ask("POST", `/api/v4${path}`, body);
const query = (values) => new URLSearchParams(values).toString();

export const api = {
  login: (name, password) => post("/users/login", { login_id: name, password, token: "", deviceId: "" }),
  logout: () => post("/users/logout"),
  me: () => get("/users/me"),
  users: (team) => get(`/users?${query({ in_team: team, page: 0, per_page: 200 })}`),
  usersByIds: (ids) => post("/users/ids", ids),
  userByName: (name) => get(`/users/username/${encodeURIComponent(name)}`),
  findUsers: (name, team = "", channel = "") =>
    get(`/users/autocomplete?${query({ in_team: team, in_channel: channel, name, limit: 25 })}`),
  teams: () => get("/users/me/teams"),
  channels: (team) => get(`/users/me/teams/${team}/channels`),
  channel: (id) => get(`/channels/${id}`),
  channelByName: (team, name) => get(`/teams/${team}/channels/name/${encodeURIComponent(name)}`),
  findChannels: (team, name) => get(`/teams/${team}/channels/autocomplete?${query({ name })}`),
  channelMembers: (id) => get(`/channels/${id}/members?page=0&per_page=200`),
  direct: (one, other) => post("/channels/direct", [one, other]),
  memberships: (team) => get(`/users/me/teams/${team}/channels/members`),
  viewed: (channel, before = "") =>
    post("/channels/members/me/view", { channel_id: channel, prev_channel_id: before, collapsed_threads_supported: true }),
  threads: (team) => get(`/users/me/teams/${team}/threads?${query({ extended: true, per_page: 60 })}`),
  readThread: (team, id, time) => ask("PUT", `/api/v4/users/me/teams/${team}/threads/${id}/read/${time}`),
  posts: (channel) => get(`/channels/${channel}/posts?page=0&per_page=${MOST_POSTS}`),
  post: (id) => get(`/posts/${id}`),
  thread: (id) => get(`/posts/${id}/thread`),
  send: (message) => post("/posts", message),
  executeCommand: (command, context) => post("/commands/execute", { command, ...context }),
  pressAction: (postId, action, option) =>
    post(`/posts/${postId}/actions/${encodeURIComponent(action.id)}`, {
      selected_option: option,
      ...(action.cookie ? { cookie: action.cookie } : {}),
    }),
  submitDialog: (request) => post("/actions/dialogs/submit", request),
  lookUpInDialog: (request) => post("/actions/dialogs/lookup", request),
  upload(channel, file) {
    const form = new FormData();
    form.append("channel_id", channel);
    form.append("files", file);
    return post("/files", form);
  },
  archive: (channel) => ask("DELETE", `/api/v4/channels/${channel}`),
  unarchive: (channel) => post(`/channels/${channel}/restore`, {}),
  addMember: (channel, user) => post(`/channels/${channel}/members`, { user_id: user }),
  removeMember: (channel, user) => ask("DELETE", `/api/v4/channels/${channel}/members/${user}`),
  file: (id) => `/api/v4/files/${id}`,
  bindings: (channel, team) =>
    ask("GET", `${APPS}/api/v1/bindings?${query({ channel_id: channel, team_id: team, user_agent: "webapp" })}`),
  call: (request) => ask("POST", `${APPS}/api/v1/call`, request),
  image: (userId) => `/api/v4/users/${userId}/image`,
};
