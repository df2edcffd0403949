/* Evaluated last: removes what ES5 mode does not have, sets the variables, and lets the host call back. */
(function (global, sandbox) {
  "use strict";
  var GONE = ["Map", "Set", "WeakMap", "WeakSet", "WeakRef", "FinalizationRegistry", "Promise", "Proxy", "Reflect", "Symbol", "BigInt",
    "globalThis", "Atomics", "SharedArrayBuffer", "AggregateError"];
  var assign = Object.assign;
  [[Object, ["assign", "values", "entries", "fromEntries", "is", "setPrototypeOf"]],
    [Array, ["from", "of"]],
    [Array.prototype, ["includes", "find", "findIndex", "fill", "flat", "flatMap", "copyWithin", "at"]],
    [String.prototype, ["padStart", "padEnd", "matchAll", "at"]]].forEach(function (pair) {
    pair[1].forEach(function (name) { delete pair[0][name]; });
  });
  GONE.forEach(function (name) { delete global[name]; });
  delete global.sandbox;

  function include(name) {
    Object.defineProperty(global, name, {
      configurable: true,
      get: function () {
        delete global[name];
        (0, eval)(sandbox.call("include", { name: name }));
        return global[name];
      },
      set: function (value) {
        Object.defineProperty(global, name, { configurable: true, writable: true, enumerable: true, value: value });
      }
    });
  }

  global.__sandbox = function (given) {
    var start = JSON.parse(given), response = sandbox.response();
    sandbox.limit(start.milliseconds);
    start.includes.forEach(include);
    delete global.__sandbox;
    if ("current" in start) global.current = sandbox.record(start.current);
    if ("previous" in start) global.previous = sandbox.record(start.previous);
    if ("event" in start) global.event = assign({}, start.event);
    if ("request" in start) {
      global.request = sandbox.request(start.request);
      global.response = response.object;
    }
    return function (what, script) {
      var result, state;
      if (what === "run") {
        try {
          result = (0, eval)(script);
        } catch (error) {
          if (error && error.sandboxFailure && "request" in start) {
            response.object.setError(error);
            return undefined;
          }
          throw error;
        }
        response.returned(result);
        return undefined;
      }
      if (what === "truth") {
        result = (0, eval)(script);
        return "answer" in global ? global.answer === true || String(global.answer) === "true"
          : result === true || String(result) === "true";
      }
      if (what === "answer") return JSON.stringify(response.answer);
      state = sandbox.stateOf(global.current);
      Object.keys(state.shown).forEach(function (name) { state.touched[name] = state.values[name]; });
      return JSON.stringify({ touched: state.touched, aborted: state.aborted });
    };
  };
})(this, sandbox);
