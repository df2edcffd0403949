/** Links: those to this page are followed in place, all others open a new tab. */

const OUTSIDE = /^\/(?:plugins|files|help|api|static|_sandbox)(?:\/|$)/;
const INSIDE = /^\/(?:[a-z0-9-]+\/(?:channels|messages|pl)\/[^/]+\/?)?$/;

let follow = () => {};

/** Set the function that opens a path of the page (main.js does). */
export function setFollower(follower) {
  follow = follower;
}

/** Go to a path of this page; `replace` adds no history entry. */
export function go(path, { replace = false } = {}) {
  if (replace) history.replaceState(null, "", path);
  else if (path !== location.pathname) history.pushState(null, "", path);
  follow();
}

/** The path of *address* inside this page, or null. */
export function insidePath(address) {
  const url = new URL(address, location.href);
  if (url.origin !== location.origin || OUTSIDE.test(url.pathname)) return null;
  return INSIDE.test(url.pathname) ? url.pathname : null;
}

/** Follow an app's `navigate`. Returns false if the browser blocked a new tab. */
export function openAddress(address) {
  const path = insidePath(address);
  if (path !== null) {
    go(path);
    return true;
  }
  if (!/^https?:$/.test(new URL(address, location.href).protocol)) return true;
  return window.open(address, "_blank") !== null;
}

/** Follow all links to this page in place. Ctrl or the middle button still opens a new tab. */
export function followLinks(root) {
  root.addEventListener("click", (event) => {
    const anchor = event.target.closest?.("a[href]");
    if (!anchor || event.defaultPrevented || event.button !== 0) return;
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const path = insidePath(anchor.href);
    if (path === null) return;
    event.preventDefault();
    go(path);
  });
}
