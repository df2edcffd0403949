/** Files of a post: images inline, everything else as a link with its size. */

import { api } from "../api.js";
import { h } from "../dom.js";
import { icon } from "../icons.js";

/** The files of a post, in order. */
export function drawFiles(post) {
  const files = post.metadata?.files ?? [];
  return files.length ? [h("ul", { class: "files", "aria-label": "Files" }, files.map((info) => h("li", {}, draw(info))))] : [];
}

function draw(info) {
  const picture = info.mime_type.startsWith("image/") && info.mime_type !== "image/svg+xml";
  const sign = picture ? h("img", { class: "file-picture", src: api.file(info.id), alt: "", loading: "lazy" }) : icon("file", 28);
  return h(
    "a",
    { class: picture ? "file picture" : "file", href: `${api.file(info.id)}?download=1`, download: info.name, "data-testid": `file-${info.id}` },
    sign,
    h("span", { class: "file-name" }, info.name, h("span", { class: "file-size" }, size(info.size))),
  );
}

/** "812 B", "14 KB", "2.3 MB". */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${Math.round(bytes / 1024)} KB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}
