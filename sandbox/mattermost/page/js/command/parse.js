/**
 * A command line read as the real client reads it: sub-commands first, then flags and positional words.
 * Pure. In `typing` mode the line may be unfinished; its state and `incomplete` say what is being typed.
 */

const BLANK = /[ \t]/;

/** The states in which a line can be executed. */
export const EXECUTABLE = new Set(["separator", "start", "value-end"]);

/**
 * Read *line* (beginning with `/`) against the roots of `/command`.
 *
 * Returns `{line, state, error, binding, form, field, incomplete, start, values, position, given}`:
 * `start` is where the incomplete part begins, `values` are texts by field name (lists for `[a, b]`,
 * "true" for a bare flag), `form` is null until a leaf is reached.
 */
export function parse(line, roots, typing) {
  const parsed = {
    line, state: "start", error: "", binding: null, form: null, field: null,
    incomplete: "", start: 1, values: {}, position: 0,
  };
  const rest = matchBinding(parsed, roots, typing);
  if (parsed.error) return parsed;
  if (!parsed.binding) return parsed;
  if (parsed.binding.bindings?.length) {
    if (!typing) parsed.error = "You must select a subcommand.";
    return parsed;
  }
  if (typing && parsed.state === "word" && rest === null) return parsed;
  parsed.form = parsed.binding.form ?? { fields: [], submit: parsed.binding.submit };
  new FormReader(parsed, typing).read(rest);
  return parsed;
}

/** Walk down the sub-commands. Returns where the arguments begin, or null while a command word is typed. */
function matchBinding(parsed, roots, typing) {
  const { line } = parsed;
  let level = roots;
  let at = 1;
  for (;;) {
    let end = at;
    while (end < line.length && !BLANK.test(line[end])) end += 1;
    const word = line.slice(at, end);
    const last = end >= line.length;
    parsed.incomplete = word;
    parsed.start = at;
    parsed.state = "word";
    if (typing && last && word && level.length) return null;
    const found = level.find((binding) => binding.label.toLowerCase() === word.toLowerCase());
    if (!found) return at;
    parsed.binding = found;
    level = found.bindings ?? [];
    at = end;
    while (at < line.length && BLANK.test(line[at])) at += 1;
    parsed.incomplete = "";
    parsed.start = at;
    parsed.state = "separator";
    if (at >= line.length) return at;
  }
}

class FormReader {
  constructor(parsed, typing) {
    this.parsed = parsed;
    this.typing = typing;
    this.line = parsed.line;
    this.fields = (parsed.form.fields ?? []).filter((field) => field.type !== "markdown" && !field.readonly);
  }

  fail(text) {
    this.parsed.error = text;
    this.parsed.state = "error";
    return -1;
  }

  /** Read all arguments from *at* on. */
  read(at) {
    const { parsed, line } = this;
    let index = at;
    while (index >= 0) {
      while (index < line.length && BLANK.test(line[index])) index += 1;
      parsed.incomplete = "";
      parsed.start = index;
      parsed.field = null;
      parsed.state = "start";
      if (index >= line.length) return;
      index = line[index] === "-" || line[index] === "—" ? this.flag(index) : this.positional(index);
    }
  }

  flag(at) {
    const { parsed, line } = this;
    let start = at + 1;
    if (line[at] === "-" && line[start] === "-") start += 1;
    let end = start;
    while (end < line.length && !BLANK.test(line[end]) && line[end] !== "=") end += 1;
    const name = line.slice(start, end);
    parsed.start = start;
    parsed.incomplete = name;
    if (end >= line.length && this.typing) {
      parsed.state = "flag";
      return -1;
    }
    const field = this.fields.find((one) => one.label.toLowerCase() === name.toLowerCase());
    if (!field) return this.fail(`Command does not accept flag \`${name}\`.`);
    parsed.field = field;
    let index = end;
    let equals = 0;
    while (index < line.length && (BLANK.test(line[index]) || line[index] === "=")) {
      equals += line[index] === "=" ? 1 : 0;
      index += 1;
    }
    if (equals > 1) return this.fail("Multiple `=` signs are not allowed.");
    parsed.start = index;
    parsed.incomplete = "";
    if (index >= line.length && this.typing) {
      parsed.state = "flag-separator";
      return -1;
    }
    return this.value(index);
  }

  positional(at) {
    const { parsed, line } = this;
    parsed.position += 1;
    const field = this.fields.find((one) => one.position === parsed.position);
    if (field) {
      parsed.field = field;
      return this.value(at);
    }
    const rest = this.fields.find((one) => one.position === -1 && one.type === "text");
    if (!rest || parsed.values[rest.name] !== undefined) return this.fail("Unable to identify argument.");
    parsed.field = rest;
    parsed.start = at;
    parsed.incomplete = line.slice(at);
    parsed.state = "rest";
    if (!this.typing) parsed.values[rest.name] = parsed.incomplete.trimEnd();
    return -1;
  }

  value(at) {
    const { parsed, line } = this;
    if (line[at] === "[" && parsed.field.multiselect) return this.list(at);
    const read = this.token(at, /[ \t]/);
    if (read === null) return -1;
    return this.store(at, read.end, read.text, read.quoted);
  }

  /** Keep a value. At the end of an unfinished line it is still incomplete. */
  store(at, end, text, quoted) {
    const { parsed, line, typing } = this;
    const lower = text.toLowerCase();
    if (parsed.field.type === "bool" && !quoted) {
      const given = typing ? "true".startsWith(lower) || "false".startsWith(lower) : ["true", "false"].includes(lower);
      if (!given || !text) {
        parsed.values[parsed.field.name] = "true";
        return end === at ? -1 : at;
      }
    }
    if (typing && end >= line.length) {
      parsed.start = at;
      parsed.incomplete = text;
      parsed.delimiter = quoted;
      parsed.state = quoted ? "quote-end" : "value-end";
      return -1;
    }
    if (!text) {
      return parsed.field.type === "bool" ? end : this.fail("empty values are not allowed");
    }
    parsed.values[parsed.field.name] = text;
    return end;
  }

  /** A word, a "quoted" or a `ticked` text. Null when the line failed or ended inside it while typing. */
  token(at, stop) {
    const { parsed, line, typing } = this;
    const mark = line[at];
    if (mark !== '"' && mark !== "`") {
      let end = at;
      while (end < line.length && !stop.test(line[end])) end += 1;
      return { text: line.slice(at, end), end, quoted: "" };
    }
    let text = "";
    for (let index = at + 1; index < line.length; index += 1) {
      if (mark === '"' && line[index] === "\\" && index + 1 < line.length) {
        index += 1;
        text += line[index];
      } else if (line[index] === mark) {
        if (!text) {
          this.fail("empty values are not allowed");
          return null;
        }
        return { text, end: index + 1, quoted: mark };
      } else {
        text += line[index];
      }
    }
    if (!typing) {
      const name = mark === '"' ? "double quote" : "tick quote";
      this.fail(`Matching ${name} expected before end of input.`);
      return null;
    }
    parsed.start = at;
    parsed.incomplete = text;
    parsed.delimiter = mark;
    parsed.state = "quote";
    return null;
  }

  list(at) {
    const { parsed, line, typing } = this;
    const items = [];
    let index = at + 1;
    for (;;) {
      while (index < line.length && /[ \t,]/.test(line[index])) index += 1;
      if (line[index] === "]") break;
      if (index >= line.length) {
        if (!typing) return this.fail("Closing `]` expected before end of input.");
        parsed.start = index;
        parsed.incomplete = "";
        parsed.state = "list";
        return -1;
      }
      const read = this.token(index, /[,\]]/);
      if (read === null) return -1;
      if (typing && read.end >= line.length) {
        parsed.start = index;
        parsed.incomplete = read.text;
        parsed.state = "list";
        return -1;
      }
      items.push(read.text.trim());
      index = read.end;
    }
    parsed.values[parsed.field.name] = items;
    return index + 1;
  }
}

/** Labels of required fields that have neither a value nor a default, as flags. */
export function missing(parsed) {
  return (parsed.form?.fields ?? [])
    .filter((field) => field.is_required && parsed.values[field.name] === undefined && !hasDefault(field))
    .map((field) => field.label || field.name);
}

/** Whether a field's default counts if nothing was typed (a boolean only if it is true). */
export function hasDefault(field) {
  return field.type === "bool" ? field.value === true : Boolean(field.value);
}
