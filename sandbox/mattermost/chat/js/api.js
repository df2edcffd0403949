// The server's REST API, by the session cookie, as the real web client uses it.

export const PLUGIN = "/plugins/com.mattermost.apps";

const cookie = (name) => document.cookie.split("; ").find((one) => one.startsWith(name + "="))?.slice(name.length + 1) ?? "";

/** A refusal of the server: `status` and the server's own `message`. */
export class ApiError extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

export async function api(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: { "Content-Type": "application/json", "X-Requested-With": "XMLHttpRequest", "X-CSRF-Token": cookie("MMCSRF") },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  let content = null;
  try { content = text ? JSON.parse(text) : null; } catch { content = text; }
  if (!response.ok) throw new ApiError(response.status, content?.message ?? String(content ?? response.statusText));
  return content;
}

export const get = (path) => api("GET", path);
export const post = (path, body) => api("POST", path, body);
export const put = (path, body) => api("PUT", path, body);
