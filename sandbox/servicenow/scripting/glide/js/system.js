/* gs and the helper classes of scoped scripts. What is missing here is also missing in scoped scripts. */
(function (global, sandbox) {
  "use strict";
  var call = sandbox.call, text = sandbox.text;

  function log(level) {
    return function (message) {
      var values = Array.prototype.slice.call(arguments, 1);
      call("log", { level: level, message: sandbox.format(text(message), values) });
    };
  }

  function about(record) {
    var state = record && typeof record === "object" ? sandbox.stateOf(record) : null;
    if (state) return { table: text(state.values.sys_class_name) || state.table, instance: text(state.values.sys_id) };
    return { table: "", instance: text(record) };
  }

  global.gs = {
    info: log("0"), warn: log("1"), error: log("2"), debug: log("-1"),
    addInfoMessage: function () {}, addErrorMessage: function () {},
    nil: function (value) { return value === null || value === undefined || text(value) === ""; },
    getUserID: function () { return call("session").sys_id; },
    getUserName: function () { return call("session").user_name; },
    getUserDisplayName: function () { return call("session").name; },
    getUser: function () {
      var session = call("session");
      return {
        getID: function () { return session.sys_id; }, getName: function () { return session.user_name; },
        getDisplayName: function () { return session.name; }, hasRole: function (role) { return global.gs.hasRole(role); },
        getLanguage: function () { return session.language; }
      };
    },
    getSession: function () {
      var session = call("session");
      return { getLanguage: function () { return session.language; }, getTimeZoneName: function () { return session.time_zone; },
        isInteractive: function () { return false; }, isLoggedIn: function () { return true; } };
    },
    isInteractive: function () { return false; },
    hasRole: function (roles) { return call("has_role", { roles: text(roles) }); },
    getProperty: function (name, other) {
      var value = call("property", { name: text(name) });
      return value === null ? (other === undefined ? null : other) : value;
    },
    tableExists: function (table) { return call("columns", { table: text(table) }) !== null; },
    getMessage: function (message, values) { return sandbox.format(text(message), values ? [].concat(values) : []); },
    generateGUID: function () { return call("guid"); },
    base64Encode: function (value) { return call("base64", { value: text(value), encode: true }); },
    base64Decode: function (value) { return call("base64", { value: text(value), encode: false }); },
    urlEncode: function (value) { return encodeURIComponent(text(value)).replace(/%20/g, "+"); },
    urlDecode: function (value) { return decodeURIComponent(text(value).replace(/\+/g, " ")); },
    getCurrentScopeName: function () { return call("session").scope; },
    eventQueue: function (name, record, parm1, parm2, queue) {
      var of = about(record);
      call("queue", { name: text(name), table: of.table, instance: of.instance, parm1: text(parm1), parm2: text(parm2),
        queue: text(queue), at: null });
    },
    eventQueueScheduled: function (name, record, parm1, parm2, at) {
      var of = about(record);
      call("queue", { name: text(name), table: of.table, instance: of.instance, parm1: text(parm1), parm2: text(parm2),
        queue: "", at: new GlideDateTime(at).getNumericValue() });
    }
  };

  // --- time; values are UTC

  function two(number) { return (number < 10 ? "0" : "") + number; }

  function GlideDateTime(given) {
    this.milliseconds = 0;
    if (given === undefined) this.milliseconds = Math.floor(sandbox.now() / 1000) * 1000;
    else if (given instanceof GlideDateTime) this.milliseconds = given.milliseconds;
    else this.setValue(given);
  }
  GlideDateTime.prototype = {
    constructor: GlideDateTime,
    setValue: function (value) {
      var found = /^(\d{4})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d))?$/.exec(text(value));
      if (/^-?\d+$/.test(text(value))) this.milliseconds = +text(value);
      else if (found) {
        this.milliseconds = sandbox.DateUTC(+found[1], found[2] - 1, +found[3], +found[4] || 0, +found[5] || 0, +found[6] || 0);
      } else this.milliseconds = NaN;
    },
    isValid: function () { return !isNaN(this.milliseconds); },
    getValue: function () {
      var at = new sandbox.RealDate(this.milliseconds);
      if (!this.isValid()) return "";
      return at.getUTCFullYear() + "-" + two(at.getUTCMonth() + 1) + "-" + two(at.getUTCDate()) + " " +
        two(at.getUTCHours()) + ":" + two(at.getUTCMinutes()) + ":" + two(at.getUTCSeconds());
    },
    getDisplayValue: function () { return call("local", { value: this.getValue() }); },
    getNumericValue: function () { return this.milliseconds; },
    getDate: function () { return new GlideDateTime(this.getValue().slice(0, 10)); },
    addSeconds: function (seconds) { this.milliseconds += seconds * 1000; },
    addDays: function (days) { this.milliseconds += days * 86400000; },
    addDaysUTC: function (days) { this.milliseconds += days * 86400000; },
    add: function (milliseconds) { this.milliseconds += +milliseconds; },
    subtract: function (milliseconds) { this.milliseconds -= +milliseconds; },
    compareTo: function (other) {
      var that = new GlideDateTime(other).milliseconds;
      return this.milliseconds < that ? -1 : this.milliseconds > that ? 1 : 0;
    },
    equals: function (other) { return this.compareTo(other) === 0; },
    before: function (other) { return this.compareTo(other) < 0; },
    after: function (other) { return this.compareTo(other) > 0; },
    onOrBefore: function (other) { return this.compareTo(other) <= 0; },
    onOrAfter: function (other) { return this.compareTo(other) >= 0; },
    toString: function () { return this.getValue(); }
  };
  global.GlideDateTime = GlideDateTime;

  // --- filters, hierarchy, aggregates

  function GlideFilter(query) {
    this.query = text(query);
    this.sensitive = true;
  }
  function matches(record, query, all, sensitive) {
    var state = sandbox.stateOf(record);
    return call("filter", { table: state.table, values: state.values, query: query, all: all !== false, sensitive: sensitive });
  }
  GlideFilter.prototype = {
    setCaseSensitive: function (sensitive) { this.sensitive = !!sensitive; },
    setEnforceSecurity: function () {},
    match: function (record, all) { return matches(record, this.query, all, this.sensitive); }
  };
  GlideFilter.checkRecord = function (record, query, all) { return matches(record, text(query), all, true); };
  global.GlideFilter = GlideFilter;

  function GlideTableHierarchy(table) {
    this.name = text(table);
    this.tree = call("hierarchy", { table: this.name });
  }
  GlideTableHierarchy.prototype = {
    getName: function () { return this.name; },
    getTables: function () { return this.tree.up; },
    getBase: function () { return this.tree.up[1] || null; },
    getRoot: function () { return this.tree.up[this.tree.up.length - 1]; },
    getAllExtensions: function () { return this.tree.down; },
    getTableExtensions: function () { return this.tree.down.slice(1); },
    hasExtensions: function () { return this.tree.down.length > 1; },
    isBaseClass: function () { return this.tree.up.length === 1 && this.tree.down.length > 1; },
    isSoloClass: function () { return this.tree.up.length === 1 && this.tree.down.length === 1; }
  };
  global.GlideTableHierarchy = GlideTableHierarchy;

  function GlideAggregate(table) {
    this.record = new sandbox.GlideRecord(table);
    this.wanted = [];
    this.groups = [];
    this.found = [];
    this.at = -1;
  }
  ["addQuery", "addEncodedQuery", "addActiveQuery", "addNullQuery", "addNotNullQuery"].forEach(function (name) {
    GlideAggregate.prototype[name] = function () { return this.record[name].apply(this.record, arguments); };
  });
  GlideAggregate.prototype.addAggregate = function (what, name) { this.wanted.push([text(what).toUpperCase(), text(name)]); };
  GlideAggregate.prototype.groupBy = function (name) { this.groups.push(text(name)); };
  GlideAggregate.prototype.setGroup = function () {};
  GlideAggregate.prototype.orderBy = function () {};
  GlideAggregate.prototype.query = function () {
    var groups = {}, order = [], key, group;
    this.record.query();
    while (this.record.next()) {
      key = JSON.stringify(this.groups.map(function (name) { return text(this.record[name]); }, this));
      if (!groups[key]) order.push(groups[key] = { key: key, rows: [] });
      group = {};
      this.wanted.forEach(function (one) { group[one[1]] = text(this.record[one[1]]); }, this);
      groups[key].rows.push(group);
    }
    if (!this.groups.length && !order.length) order.push({ key: "[]", rows: [] });
    this.found = order;
    this.at = -1;
  };
  GlideAggregate.prototype.hasNext = function () { return this.at + 1 < this.found.length; };
  GlideAggregate.prototype.next = function () {
    if (this.at + 1 >= this.found.length) return false;
    this.at += 1;
    return true;
  };
  GlideAggregate.prototype.getValue = function (name) {
    var place = this.groups.indexOf(text(name));
    return place < 0 ? null : JSON.parse(this.found[this.at].key)[place];
  };
  GlideAggregate.prototype.getAggregate = function (what, name) {
    var rows = this.found[this.at].rows, kind = text(what).toUpperCase(), values;
    if (kind === "COUNT" && !name) return String(rows.length);
    values = rows.map(function (row) { return row[text(name)]; }).filter(function (value) { return value !== ""; });
    if (kind === "COUNT") return String(values.length);
    if (!values.length) return "";
    if (kind === "SUM" || kind === "AVG") {
      values = values.reduce(function (sum, value) { return sum + Number(value); }, 0) / (kind === "AVG" ? values.length : 1);
      return String(values);
    }
    values.sort(function (one, other) {
      if (!isNaN(one) && !isNaN(other)) return one - other;
      return one < other ? -1 : one > other ? 1 : 0;
    });
    return kind === "MIN" ? values[0] : values[values.length - 1];
  };
  global.GlideAggregate = GlideAggregate;

  // --- digests

  function CertificateEncryption() {}
  CertificateEncryption.prototype.generateMac = function (key, algorithm, data) {
    return call("mac", { key: text(key), algorithm: text(algorithm), data: text(data) });
  };
  global.CertificateEncryption = CertificateEncryption;

  function GlideDigest() {}
  ["SHA256", "SHA1", "MD5"].forEach(function (algorithm) {
    ["Hex", "Base64"].forEach(function (form) {
      GlideDigest.prototype["get" + algorithm + form] = function (data) {
        return call("digest", { algorithm: algorithm, form: form, data: text(data) });
      };
    });
  });
  global.GlideDigest = GlideDigest;

  // --- classes

  global.Class = {
    create: function () {
      return function () { this.initialize.apply(this, arguments); };
    }
  };
  Object.defineProperty(Object, "extendsObject", { value: function (parent, members) {
    var made = Object.create(parent.prototype || parent);
    Object.keys(members).forEach(function (name) { made[name] = members[name]; });
    return made;
  } });
})(this, sandbox);
