/**
 * Markdown inside a line, as nodes: emphasis, strikethrough, code, links, images, URLs. The rest is text, which is
 * searched for @mentions, ~channels, #tags and emoji after its backslashes are removed, as in the web client.
 * https://docs.mattermost.com/collaborate/format-messages.html
 */

import { h } from "./dom.js";
import { channelByName, store, userByName } from "./store.js";

// What Mattermost's fork of marked takes the backslash from; before anything else a backslash is shown.
const ESCAPE = /^\\([`*{}[\]()#+\-.!_>|~]|\\(?!\w))/;
const REFERENCE = /^&(#x[\da-f]{1,6}|#\d{1,7}|\w+);/i;
const CHARACTERS = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", commat: "@", colon: ":", nbsp: "\u00a0", dollar: "$" };
const WORD = /[\p{L}\p{N}]/u;
const ADDRESS = /^(?:https?:\/\/|www\.)[^\s<>"`]+/i;
const MENTION = /^@([a-z0-9][a-z0-9._-]*)/i;
const HASHTAG = /^#\p{L}[\p{L}\d\-_.]+(?<=[\p{L}\d])/u;
const CHANNEL = /^~([a-z0-9][a-z0-9_-]*)/i;
const EMOJI = {
  white_check_mark: "✅", heavy_check_mark: "✔️", x: "❌", warning: "⚠️", tada: "🎉", wave: "👋", link: "🔗", bell: "🔔",
  "+1": "👍", thumbsup: "👍", smile: "😄", slightly_smiling_face: "🙂", eyes: "👀", fire: "🔥", rocket: "🚀", lock: "🔒",
  speech_balloon: "💬", ticket: "🎫", memo: "📝", clock1: "🕐", hourglass: "⌛", information_source: "ℹ️", question: "❓", red_circle: "🔴",
  large_blue_circle: "🔵", large_green_circle: "🟢", large_orange_circle: "🟠", large_yellow_circle: "🟡", white_circle: "⚪",
};

const FACES = [
  [/^:-?\)(?!\))(?=\W|$)/, "🙂"], [/^;-?\)(?!\))(?=\W|$)/, "😉"], [/^:-?\((?!\()(?=\W|$)/, "🙁"], [/^:-?\/(?=\W|$)/, "😕"],
  [/^:-?\|(?=\W|$)/, "😐"], [/^:-?d\b/i, "😄"], [/^:-?p\b/i, "😛"], [/^:-?s\b/i, "😖"], [/^:-?o\b/i, "😮"],
  [/^<3\b/, "❤️"], [/^<\/3\b/, "💔"],
];

/** The URL if it may be followed, or null: web, mail, or a path of this server; never scripts or data. */
export function safeAddress(address) {
  const plain = address.replace(/[\u0000-\u0020\u200b-\u200d\u2060\ufeff]/g, "");
  if (/^(https?:\/\/|mailto:|tel:)/i.test(plain)) return plain;
  if (/^[a-z][a-z0-9+.-]*:/i.test(plain)) return null;
  if (plain.startsWith("/") && !plain.startsWith("//")) return plain;
  return plain && !plain.startsWith("//") ? `http://${plain}` : null;
}

/** A link: inside this page it is followed in place (by main.js), otherwise in a new tab. */
export function link(address, content) {
  const safe = safeAddress(address);
  if (!safe) return h("span", {}, content);
  return h("a", { href: safe, target: "_blank", rel: "noreferrer" }, content);
}

function closing(text, from, mark) {
  for (let at = text.indexOf(mark, from); at > 0; at = text.indexOf(mark, at + 1)) {
    if (text[at - 1] !== "\\" && !/\s/.test(text[at - 1])) return at;
  }
  return -1;
}

function emphasis(text, at) {
  for (const [mark, tag] of [["***", "em"], ["___", "em"], ["**", "strong"], ["__", "strong"], ["~~", "del"], ["*", "em"], ["_", "em"]]) {
    if (!text.startsWith(mark, at)) continue;
    const start = at + mark.length;
    if (!text[start] || /\s/.test(text[start])) return null;
    if (mark[0] === "_" && at > 0 && WORD.test(text[at - 1])) return null;
    let end = closing(text, start + 1, mark);
    while (end > 0 && mark[0] === "_" && WORD.test(text[end + mark.length] ?? "")) end = closing(text, end + 1, mark);
    while (end > 0 && mark.length === 1 && (text[end + 1] === mark || text[end - 1] === mark)) {
      end = closing(text, end + 2, mark);
    }
    if (end < 0) continue;
    let node = h(tag, {}, inline(text.slice(start, end)));
    if (mark.length === 3) node = h("strong", {}, node);
    return { node, end: end + mark.length };
  }
  return null;
}

function code(text, at) {
  const ticks = /^`+/.exec(text.slice(at))[0];
  const end = text.indexOf(ticks, at + ticks.length);
  if (end < 0) return { node: ticks, end: at + ticks.length };
  return { node: h("code", {}, text.slice(at + ticks.length, end).trim()), end: end + ticks.length };
}

function matching(text, at, open, close) {
  let depth = 0;
  for (let index = at; index < text.length; index += 1) {
    if (text[index] === "\\") index += 1;
    else if (text[index] === open) depth += 1;
    else if (text[index] === close && (depth -= 1) === 0) return index;
  }
  return -1;
}

function unescape(text) {
  let plain = "";
  for (let at = 0; at < text.length; ) {
    const found = ESCAPE.exec(text.slice(at));
    plain += found ? found[1] : text[at];
    at += found ? 2 : 1;
  }
  return plain;
}

function character(text, at) {
  const [whole, name] = REFERENCE.exec(text.slice(at)) ?? [];
  if (!whole) return null;
  const code = name[0] === "#" ? Number(name[1] === "x" || name[1] === "X" ? `0${name.slice(1)}` : name.slice(1)) : null;
  const sign = code === null ? CHARACTERS[name] : code && code < 0x110000 ? String.fromCodePoint(code) : null;
  return sign ? { node: sign, end: at + whole.length } : null;
}

function bracketed(text, at) {
  const image = text[at] === "!";
  const open = image ? at + 1 : at;
  const middle = matching(text, open, "[", "]");
  if (middle < 0 || text[middle + 1] !== "(") return null;
  const end = matching(text, middle + 1, "(", ")");
  if (end < 0) return null;
  const label = text.slice(open + 1, middle);
  const target = unescape(text.slice(middle + 2, end).trim().replace(/\s+(?:"[^"]*"|=\d*x?\d*)$/, ""));
  if (!image) return { node: link(target.replace(/^<|>$/g, ""), inline(label, true)), end: end + 1 };
  const address = safeAddress(target);
  return { node: address ? h("img", { src: address, alt: label, loading: "lazy" }) : label, end: end + 1 };
}

function bareAddress(text, at) {
  if (at > 0 && WORD.test(text[at - 1])) return null;
  let address = ADDRESS.exec(text.slice(at))?.[0];
  if (!address) return null;
  address = address.replace(/[.,;:!?'*_~\]]+$/, "");
  while (address.endsWith(")") && address.split("(").length < address.split(")").length) address = address.slice(0, -1);
  return { node: link(address, address), end: at + address.length };
}

function mention(text, at) {
  if (at > 0 && WORD.test(text[at - 1])) return null;
  let name = MENTION.exec(text.slice(at))?.[1].toLowerCase();
  while (name) {
    const user = userByName(name);
    if (user || ["all", "channel", "here"].includes(name)) {
      const own = !user || user.id === store.me?.id;
      return { node: h("span", { class: own ? "mention own" : "mention" }, `@${name}`), end: at + name.length + 1 };
    }
    if (!/[._-]$/.test(name)) return null;
    name = name.slice(0, -1);
  }
  return null;
}

function channelLink(text, at) {
  if (at > 0 && WORD.test(text[at - 1])) return null;
  const found = channelByName(CHANNEL.exec(text.slice(at))?.[1] ?? "");
  if (!found) return null;
  const target = `/${store.team.name}/channels/${found.name}`;
  return { node: h("a", { href: target }, `~${found.display_name}`), end: at + found.name.length + 1 };
}

function hashtag(text, at) {
  if (at > 0 && /\w/.test(text[at - 1])) return null;
  const tag = HASHTAG.exec(text.slice(at))?.[0];
  return tag && tag.length > 3 ? { node: h("a", { class: "hashtag", href: "#" }, tag), end: at + tag.length } : null;
}

function face(text, at) {
  if (at > 0 && /\w/.test(text[at - 1])) return null;
  for (const [pattern, sign] of FACES) {
    const found = pattern.exec(text.slice(at))?.[0];
    if (found) return { node: h("span", { role: "img", "aria-label": found }, sign), end: at + found.length };
  }
  return null;
}

function emoji(text, at) {
  if (at > 0 && /\w/.test(text[at - 1])) return null;
  const name = /^:([a-z0-9_+-]+):/.exec(text.slice(at))?.[1];
  const sign = name && EMOJI[name];
  return sign ? { node: h("span", { role: "img", "aria-label": name }, sign), end: at + name.length + 2 } : null;
}

/** Text without backslashes, as nodes. Character references are decoded last, so that they can't become markup. */
function formatted(text, plain) {
  const nodes = [];
  for (let at = 0; at < text.length; ) {
    const sign = text[at];
    let found = null;
    if (sign === "&") found = character(text, at);
    else if (sign === ":") found = emoji(text, at) ?? face(text, at);
    else if (sign === ";" || sign === "<") found = face(text, at);
    else if (plain) found = null;
    else if (sign === "@") found = mention(text, at);
    else if (sign === "~") found = channelLink(text, at);
    else if (sign === "#") found = hashtag(text, at);
    const node = found ? found.node : sign;
    if (typeof node === "string" && typeof nodes.at(-1) === "string") nodes.push(nodes.pop() + node);
    else nodes.push(node);
    at = found ? found.end : at + 1;
  }
  return nodes;
}

/** Nodes of one line or paragraph; newlines become breaks. With *plain* no links inside (a link's own text). */
export function inline(text, plain = false) {
  const nodes = [];
  let literal = "";
  const flush = () => {
    nodes.push(...formatted(literal, plain));
    literal = "";
  };
  for (let at = 0; at < text.length; ) {
    const sign = text[at];
    let found = null;
    if (sign === "\\") {
      const escape = ESCAPE.exec(text.slice(at));
      literal += escape ? escape[1] : sign;
      at += escape ? 2 : 1;
      continue;
    }
    if (sign === "\n") found = { node: h("br"), end: at + 1 };
    else if (sign === "`") found = code(text, at);
    else if (sign === "*" || sign === "_" || text.startsWith("~~", at)) found = emphasis(text, at);
    else if (!plain && (sign === "[" || text.startsWith("![", at))) found = bracketed(text, at);
    else if (!plain && (sign === "h" || sign === "w" || sign === "H")) found = bareAddress(text, at);
    else if (!plain && sign === "<") {
      const address = /^<(https?:\/\/[^\s>]+)>/.exec(text.slice(at))?.[1];
      if (address) found = { node: link(address, address), end: at + address.length + 2 };
    }
    if (found) {
      flush();
      nodes.push(found.node);
      at = found.end;
    } else {
      literal += sign;
      at += 1;
    }
  }
  flush();
  return nodes;
}
