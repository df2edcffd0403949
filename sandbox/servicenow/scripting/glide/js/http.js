/* sn_ws (outbound), and the request and response of scripted REST (inbound). */
(function (global, sandbox) {
  "use strict";
  var call = sandbox.call, text = sandbox.text;

  function RESTMessageV2() {
    if (arguments.length) throw new sandbox.JavaException("The sandbox has no REST message records");
    this.message = { endpoint: "", method: "get", headers: [], body: "", query: [], timeout: null };
  }
  RESTMessageV2.prototype = {
    setEndpoint: function (value) { this.message.endpoint = text(value); },
    getEndpoint: function () { return this.message.endpoint; },
    setHttpMethod: function (value) { this.message.method = text(value); },
    setRequestHeader: function (name, value) { this.message.headers.push([text(name), text(value)]); },
    setRequestBody: function (value) { this.message.body = text(value); },
    getRequestBody: function () { return this.message.body; },
    setQueryParameter: function (name, value) { this.message.query.push([text(name), text(value)]); },
    setHttpTimeout: function (milliseconds) { this.message.timeout = +milliseconds; },
    setLogLevel: function () {},
    disableForcedVariableSubstitution: function () {},
    execute: function () { return new RESTResponseV2(call("send", this.message)); }
  };

  function RESTResponseV2(answer) { this.answer = answer; }
  RESTResponseV2.prototype = {
    getStatusCode: function () { return this.answer.status; },
    getBody: function () { return this.answer.body; },
    getHeader: function (name) {
      var found = this.answer.headers.filter(function (one) { return one[0].toLowerCase() === text(name).toLowerCase(); });
      return found.length ? found[found.length - 1][1] : null;
    },
    getHeaders: function () {
      var found = {};
      this.answer.headers.forEach(function (one) { found[one[0]] = one[1]; });
      return found;
    },
    getAllHeaders: function () {
      return this.answer.headers.map(function (one) { return { name: one[0], value: one[1] }; });
    },
    haveError: function () { return this.answer.error !== ""; },
    getErrorMessage: function () { return this.answer.error; },
    getErrorCode: function () { return this.answer.code; }
  };
  global.sn_ws = { RESTMessageV2: RESTMessageV2 };

  // --- errors of scripted REST

  function failure(name, status, fallback) {
    function Failure(message, detail) {
      this.status = status;
      this.message = message === undefined ? fallback : text(message);
      this.detail = detail === undefined ? "" : text(detail);
    }
    Failure.prototype = {
      setStatus: function (value) { this.status = +value; },
      setMessage: function (value) { this.message = text(value); },
      setDetail: function (value) { this.detail = text(value); },
      toString: function () { return name + ": " + this.message; },
      sandboxFailure: true
    };
    return Failure;
  }
  global.sn_ws_err = {
    BadRequestError: failure("BadRequestError", 400, "Bad Request"),
    NotFoundError: failure("NotFoundError", 404, "Not Found"),
    NotAcceptableError: failure("NotAcceptableError", 406, "Not Acceptable"),
    ConflictError: failure("ConflictError", 409, "Conflict"),
    UnsupportedMediaTypeError: failure("UnsupportedMediaTypeError", 415, "Unsupported Media Type"),
    ServiceError: failure("ServiceError", 500, "Internal Server Error")
  };

  sandbox.request = function (given) {
    function header(name) {
      var wanted = text(name).toLowerCase();
      return Object.prototype.hasOwnProperty.call(given.headers, wanted) ? given.headers[wanted] : null;
    }
    var body = { dataString: given.body };
    Object.defineProperty(body, "data", { get: function () {
      if (!given.json) throw new sandbox.JavaException("The request body is not JSON");
      return given.body === "" ? null : JSON.parse(given.body);
    } });
    return { pathParams: given.pathParams, queryParams: given.queryParams, headers: given.headers, getHeader: header, body: body,
      uri: given.uri, url: given.url, queryString: given.queryString };
  };

  function plain(value) {
    if (value && typeof value === "object" && value[sandbox.STATE]) return text(value);
    if (Array.isArray(value)) return value.map(plain);
    if (value && typeof value === "object" && !value.toJSON) {
      var found = {};
      Object.keys(value).forEach(function (name) { found[name] = plain(value[name]); });
      return found;
    }
    return value;
  }

  sandbox.response = function () {
    var answer = { status: null, headers: [], body: undefined, failure: null };
    return {
      answer: answer,
      object: {
        setStatus: function (status) { answer.status = +status; },
        setBody: function (value) { answer.body = plain(value); },
        setHeader: function (name, value) { answer.headers.push([text(name), text(value)]); },
        setContentType: function (value) { answer.headers.push(["Content-Type", text(value)]); },
        setLocation: function (value) { answer.headers.push(["Location", text(value)]); },
        setError: function (error) {
          answer.failure = error && error.sandboxFailure
            ? { status: error.status, message: error.message, detail: error.detail }
            : { status: 500, message: text(error), detail: "" };
        }
      },
      returned: function (value) { if (value !== undefined && answer.body === undefined) answer.body = plain(value); }
    };
  };
})(this, sandbox);
