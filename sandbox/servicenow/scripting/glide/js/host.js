/* Calls to the host, and text formatting as in Java. Evaluated first; the other parts share the object `sandbox`. */
this.sandbox = (function (global) {
  "use strict";
  var parse = JSON.parse, write = JSON.stringify, RealDate = Date, symbols = Symbol, Wrapper = Proxy, construct = Reflect.construct;
  var ask = global.__host, deadline = 0, turns = 0;
  delete global.__host;

  function JavaException(message) {
    this.message = message;
  }
  JavaException.prototype = Object.create(Error.prototype);
  JavaException.prototype.getMessage = function () { return this.message; };
  JavaException.prototype.toString = function () { return this.message; };

  function late() {
    if (RealDate.now() > deadline) throw new Error("Script execution exceeded its time limit");
  }

  function call(operation, given) {
    late();
    var began = RealDate.now(), answer = parse(ask(operation, write(given === undefined ? {} : given)));
    if (operation === "send") deadline += RealDate.now() - began; // a slow receiver is not the script's fault
    if ("error" in answer) throw new JavaException(answer.error);
    return answer.value;
  }

  global.__sandboxTick = function () {
    turns += 1;
    if (turns % 1024 === 0) late();
    return true;
  };
  Object.defineProperty(global, "__sandboxTick", { enumerable: false, writable: false });

  /* Convert a value to text as Java does. */
  function text(value) {
    return value === null || value === undefined ? "" : String(value);
  }

  /* java.text.MessageFormat. An invalid pattern is returned unchanged, without the arguments. */
  function format(pattern, values) {
    var out = "", quoted = false, i = 0, end, number;
    if (!values.length) return pattern;
    for (; i < pattern.length; i += 1) {
      if (pattern[i] === "'") {
        if (pattern[i + 1] === "'") { out += "'"; i += 1; } else { quoted = !quoted; }
      } else if (pattern[i] === "{" && !quoted) {
        end = pattern.indexOf("}", i);
        number = end < 0 ? "" : pattern.slice(i + 1, end);
        if (!/^\s*\d+\s*$/.test(number)) return pattern;
        out += +number < values.length ? text(values[+number]) : "{" + number.trim() + "}";
        i = end;
      } else {
        out += pattern[i];
      }
    }
    return out;
  }

  /* The instance's clock, also used by `new Date()`. */
  function now() {
    return call("now");
  }
  global.Date = new Wrapper(RealDate, {
    construct: function (target, given) { return given.length ? construct(target, given) : new RealDate(now()); },
    apply: function () { return new RealDate(now()).toString(); },
    get: function (target, key) { return key === "now" ? now : target[key]; }
  });

  return {
    call: call, text: text, format: format, now: now, JavaException: JavaException, Proxy: Wrapper,
    STATE: symbols("state"), DateUTC: RealDate.UTC, RealDate: RealDate,
    limit: function (milliseconds) { deadline = RealDate.now() + milliseconds; }
  };
})(this);
