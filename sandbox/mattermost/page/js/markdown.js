/**
 * Markdown blocks as nodes: paragraphs, headings, lists, quotes, fences, tables, rules.
 * Nothing is ever parsed as HTML. https://docs.mattermost.com/collaborate/format-messages.html
 */

import { h } from "./dom.js";
import { inline } from "./markdown_inline.js";

const FENCE = /^\s{0,3}(```+|~~~+)\s*([\w+-]*)\s*$/;
const HEADING = /^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const QUOTE = /^\s{0,3}>\s?/;
const RULE = /^\s{0,3}(?:(?:-\s*){3,}|(?:\*\s*){3,}|(?:_\s*){3,})$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const DIVIDER = /^\s*\|?\s*:?-{1,}:?\s*(?:\|\s*:?-{1,}:?\s*)*\|?\s*$/;

/** A `<div class="markdown">` of *text*. */
export function markdown(text) {
  const lines = String(text ?? "").replace(/\r\n?/g, "\n").split("\n");
  return h("div", { class: "markdown" }, blocks(lines));
}

function blocks(lines) {
  const nodes = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    const [node, next] = block(lines, at);
    nodes.push(node);
    at = next;
  }
  return nodes;
}

function block(lines, at) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (fence) return fenced(lines, at, fence[1]);
  const heading = HEADING.exec(line);
  if (heading) return [h(`h${heading[1].length}`, {}, inline(heading[2])), at + 1];
  if (RULE.test(line)) return [h("hr"), at + 1];
  if (QUOTE.test(line)) return quoted(lines, at);
  if (ITEM.test(line)) return listed(lines, at);
  if (line.includes("|") && DIVIDER.test(lines[at + 1] ?? "") && (lines[at + 1] ?? "").includes("-")) {
    const found = table(lines, at);
    if (found) return found;
  }
  return paragraph(lines, at);
}

function fenced(lines, at, mark) {
  let end = at + 1;
  while (end < lines.length && !lines[end].trim().startsWith(mark)) end += 1;
  return [h("pre", {}, h("code", {}, lines.slice(at + 1, end).join("\n"))), end + 1];
}

function quoted(lines, at) {
  let end = at;
  while (end < lines.length && lines[end].trim() && (QUOTE.test(lines[end]) || !startsBlock(lines[end]))) end += 1;
  return [h("blockquote", {}, blocks(lines.slice(at, end).map((line) => line.replace(QUOTE, "")))), end];
}

function startsBlock(line) {
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);
}

function listed(lines, at) {
  const first = ITEM.exec(lines[at]);
  const ordered = /\d/.test(first[2]);
  const items = [];
  let end = at;
  while (end < lines.length) {
    const item = ITEM.exec(lines[end]);
    if (item && item[1].length <= first[1].length + 1 && !RULE.test(lines[end])) {
      if (/\d/.test(item[2]) !== ordered) break;
      items.push([item[3]]);
    } else if (lines[end].trim() && (item || /^\s/.test(lines[end]) || !startsBlock(lines[end]))) {
      items.at(-1).push(lines[end].replace(/^ {1,4}/, ""));
    } else if (!lines[end].trim() && (ITEM.test(lines[end + 1] ?? "") || /^\s{2,}\S/.test(lines[end + 1] ?? ""))) {
      items.at(-1).push("");
    } else {
      break;
    }
    end += 1;
  }
  const start = ordered ? Number.parseInt(first[2], 10) : null;
  const drawn = items.map((item) => h("li", {}, tight(item)));
  return [h(ordered ? "ol" : "ul", { start: start === 1 ? null : start }, drawn), end];
}

function tight(lines) {
  const nodes = blocks(lines);
  return nodes.map((node) => (node.tagName === "P" ? [...node.childNodes] : node));
}

function cells(line) {
  const trimmed = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return trimmed.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function table(lines, at) {
  const head = cells(lines[at]);
  const rules = cells(lines[at + 1]);
  if (rules.length !== head.length) return null;
  const align = rules.map((rule) => {
    if (/^:-+:$/.test(rule)) return "text-align: center";
    return /-:$/.test(rule) ? "text-align: right" : null;
  });
  let end = at + 2;
  const rows = [];
  while (end < lines.length && lines[end].trim() && lines[end].includes("|")) {
    rows.push(cells(lines[end]));
    end += 1;
  }
  const row = (values, tag) =>
    h("tr", {}, head.map((_, index) => h(tag, { style: align[index] }, inline(values[index] ?? ""))));
  const drawn = h("table", {}, h("thead", {}, row(head, "th")), h("tbody", {}, rows.map((values) => row(values, "td"))));
  return [h("div", { class: "table-frame", tabindex: 0, role: "region", "aria-label": "Table" }, drawn), end];
}

function paragraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !interrupts(lines, end)) end += 1;
  return [h("p", {}, inline(lines.slice(at, end).join("\n").trim())), end];
}

function interrupts(lines, at) {
  const line = lines[at];
  const item = ITEM.exec(line);
  if (item) return !/\d/.test(item[2]) || /^1[.)]/.test(item[2]);
  return startsBlock(line) || (line.includes("|") && DIVIDER.test(lines[at + 1] ?? "") && lines[at + 1].includes("|"));
}
