// Markdown as nodes. Nothing is ever parsed as HTML, so record text can't do harm here either.

import { h } from "./dom.js";

const SAFE = /^(https?:\/\/|mailto:|\/)/i;

/** Blocks: paragraphs, headings, lists, quotes, fences, tables. */
export function markdown(text) {
  const lines = String(text ?? "").replace(/\r\n?/g, "\n").split("\n");
  const blocks = [];
  for (let i = 0; i < lines.length; ) {
    const line = lines[i];
    if (!line.trim()) { i += 1; continue; }
    const fence = line.match(/^\s*(```+|~~~+)/);
    if (fence) {
      const code = [];
      for (i += 1; i < lines.length && !lines[i].startsWith(fence[1]); i += 1) code.push(lines[i]);
      i += 1;
      blocks.push(h("pre", {}, h("code", {}, code.join("\n"))));
      continue;
    }
    const heading = line.match(/^(#{1,6})\s+(.*)$/);
    if (heading) { blocks.push(h(`h${heading[1].length}`, {}, inline(heading[2]))); i += 1; continue; }
    if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) { blocks.push(h("hr")); i += 1; continue; }
    if (ROW.test(line) && /^\s*\|?[\s:|-]+\|?\s*$/.test(lines[i + 1] ?? "")) {
      const rows = [];
      for (const start = i; i < lines.length && ROW.test(lines[i]); i += 1) if (i !== start + 1) rows.push(cells(lines[i]));
      blocks.push(table(rows));
      continue;
    }
    if (/^\s*>/.test(line)) {
      const quoted = [];
      for (; i < lines.length && /^\s*>/.test(lines[i]); i += 1) quoted.push(lines[i].replace(/^\s*>\s?/, ""));
      blocks.push(h("blockquote", {}, markdown(quoted.join("\n"))));
      continue;
    }
    const item = line.match(ITEM);
    if (item) {
      const items = [];
      for (let found; i < lines.length && (found = lines[i].match(ITEM)); i += 1) items.push(h("li", {}, inline(found[2])));
      blocks.push(h(/\d/.test(item[1]) ? "ol" : "ul", {}, items));
      continue;
    }
    const paragraph = [line];
    for (i += 1; i < lines.length && lines[i].trim() && !/^\s*(```|~~~|#{1,6}\s|>|[-*+]\s|\d+[.)]\s)/.test(lines[i]); i += 1) paragraph.push(lines[i]);
    blocks.push(h("p", {}, paragraph.flatMap((one, n) => (n ? [h("br"), ...inline(one)] : inline(one)))));
  }
  return blocks;
}

const ROW = /^\s*\|.*\|\s*$/;
const ITEM = /^\s*([-*+]|\d+[.)])\s+(.*)$/;
const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());
const table = ([head, ...rows]) => h("table", {},
  head.some(Boolean) ? h("thead", {}, h("tr", {}, head.map((cell) => h("th", { scope: "col" }, inline(cell))))) : null,
  h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, inline(cell)))))));

// What to look for at each place, what it becomes, and after what it does not count.
const RULES = [
  [/^\\([\\`*_{}[\]()<>#+\-.!|~:@"'$%&,/;=?^])/, (m) => m[1]],
  [/^(`+)(.+?)\1(?!`)/s, (m) => h("code", {}, m[2])],
  [/^!\[([^\]]*)\]\(([^)\s]+)\)/, (m) => link(m[2], m[1] || "image")],
  [/^\[((?:\\.|[^\]\\])+)\]\(((?:\\.|[^)\s\\])+)\)/, (m) => link(m[2], inline(m[1]))],
  [/^\*\*(?=\S)(.+?)\*\*/s, (m) => h("strong", {}, inline(m[1]))],
  [/^__(?=\S)(.+?)__/s, (m) => h("strong", {}, inline(m[1])), /[a-z0-9]$/i],
  [/^~~(?=\S)(.+?)~~/s, (m) => h("del", {}, inline(m[1]))],
  [/^\*(?=\S)([^*]+?)\*/s, (m) => h("em", {}, inline(m[1]))],
  [/^_(?=\S)([^_]+?)_(?![a-z0-9])/is, (m) => h("em", {}, inline(m[1])), /[a-z0-9_]$/i],
  [/^https?:\/\/[^\s<>")\]]*[^\s<>")\].,;:!?]/i, (m) => link(m[0], m[0]), /[a-z0-9]$/i],
  [/^@[a-z0-9._-]+/i, (m) => h("span", { class: "mention" }, m[0]), /[a-z0-9]$/i],
  [/^~[a-z0-9_-]+/i, (m) => h("span", { class: "mention" }, m[0]), /[a-z0-9~]$/i],
];

function link(address, label) {
  const plain = address.replace(/\\(.)/g, "$1");
  if (!SAFE.test(plain)) return h("span", {}, label);
  return h("a", { href: plain, target: "_blank", rel: "noopener noreferrer" }, label);
}

/** Inline formatting of one line. */
export function inline(text) {
  const nodes = [];
  let plain = "";
  for (let i = 0; i < text.length; ) {
    const rest = text.slice(i);
    let hit = null;
    for (const [pattern, build, notAfter] of RULES) {
      if (notAfter && notAfter.test(text.slice(0, i))) continue;
      const match = rest.match(pattern);
      if (match) { hit = [match[0].length, build(match)]; break; }
    }
    if (!hit) { plain += text[i]; i += 1; continue; }
    if (typeof hit[1] === "string") plain += hit[1];
    else { if (plain) nodes.push(plain); plain = ""; nodes.push(hit[1]); }
    i += hit[0];
  }
  if (plain) nodes.push(plain);
  return nodes;
}
