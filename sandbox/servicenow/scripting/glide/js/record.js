/* GlideRecord and GlideElement. A record's fields are objects that follow the record: after `next()` they show the next row. */
(function (global, sandbox) {
  "use strict";
  var call = sandbox.call, text = sandbox.text, STATE = sandbox.STATE, copy = Object.assign, schemas = {};

  function schema(table) {
    if (!(table in schemas)) schemas[table] = call("columns", { table: table });
    return schemas[table];
  }

  function has(object, name) { return Object.prototype.hasOwnProperty.call(object, name); }

  // --- elements

  function GlideElement() {}

  function element(state, path) {
    var target = Object.create(GlideElement.prototype);
    target[STATE] = { record: state, path: path };
    Object.defineProperty(target, STATE, { enumerable: false });
    return new sandbox.Proxy(target, {
      get: function (of, key) {
        if (typeof key === "symbol" || key in GlideElement.prototype) return of[key];
        var column = describe(of[STATE]);
        if (!column || !column.reference || !has(schema(column.reference) || {}, key)) return undefined;
        return element(state, path + "." + key);
      },
      set: function () { return true; }
    });
  }

  function walked(path) { return path.indexOf(".") >= 0; }

  function describe(of) {
    var parts = of.path.split("."), table = of.record.table, column = null;
    parts.forEach(function (name) {
      column = table ? (schema(table) || {})[name] : null;
      table = column ? column.reference : "";
    });
    return column;
  }

  function raw(of) {
    if (!walked(of.path)) return text(of.record.values[of.path]);
    return call("walk", { table: of.record.table, values: of.record.values, path: of.path });
  }

  function before(of) {
    return text(of.record.loaded[of.path]);
  }

  GlideElement.prototype = {
    constructor: GlideElement,
    toString: function () { return raw(this[STATE]); },
    valueOf: function () {
      var value = raw(this[STATE]), column = describe(this[STATE]);
      return column && column.type === "boolean" ? value === "true" : value;
    },
    getName: function () { return this[STATE].path.split(".").pop(); },
    getLabel: function () { var column = describe(this[STATE]); return column ? column.label : ""; },
    getTableName: function () { return this[STATE].record.table; },
    getReferenceTable: function () { return describe(this[STATE]).reference || null; },
    getED: function () {
      var column = describe(this[STATE]), name = this.getName();
      return {
        getName: function () { return name; }, getLabel: function () { return column.label; },
        getInternalType: function () { return column.type; }, getLength: function () { return column.max_length; },
        toString: function () { return name; }
      };
    },
    getDisplayValue: function (most) {
      var of = this[STATE];
      var shown = call("display", { table: of.record.table, values: of.record.values, path: of.path });
      return most ? shown.slice(0, most) : shown;
    },
    getHTMLValue: function () { return raw(this[STATE]); },
    getChoices: function () {
      return call("choices", { table: this[STATE].record.table, element: this[STATE].path });
    },
    nil: function () { return raw(this[STATE]) === ""; },
    hasValue: function () { return raw(this[STATE]) !== ""; },
    setValue: function (value) { store(this[STATE].record, this[STATE].path, value); },
    setDisplayValue: function (value) {
      var of = this[STATE], found;
      found = call("from_display", { table: of.record.table, path: of.path, value: text(value) });
      of.record.values[of.path] = found;
      of.record.shown[of.path] = text(value);
      delete of.record.touched[of.path];
    },
    getDecryptedValue: function () {
      var of = this[STATE];
      if (describe(of).type !== "password2") throw new sandbox.JavaException("getDecryptedValue is for password2 columns");
      return call("decrypt", { table: of.record.table, sys_id: of.record.values.sys_id, path: of.path,
        pending: has(of.record.shown, of.path) ? of.record.shown[of.path] : null });
    },
    getRefRecord: function () {
      var column = describe(this[STATE]), found = new GlideRecord(column.reference);
      found.get(raw(this[STATE]));
      return found;
    },
    getJournalEntry: function (which) {
      var of = this[STATE];
      return call("journal", { sys_id: text(of.record.values.sys_id), element: of.path, which: which });
    },
    changes: function () {
      var of = this[STATE];
      if (of.record.background) return false;
      if (has(of.record.journals, of.path)) return true;
      if (walked(of.path)) return false;
      return raw(of) !== before(of);
    },
    changesFrom: function (value) { return this.changes() && before(this[STATE]) === text(value); },
    changesTo: function (value) { return this.changes() && raw(this[STATE]) === text(value); },
    canRead: function () { return call("may_see", { table: this[STATE].record.table, element: this[STATE].path }); },
    canWrite: function () { return true; },
    equals: function (other) { return raw(this[STATE]) === text(other); }
  };

  function store(state, name, value) {
    if (!state.columns || !has(state.columns, name)) return;
    state.values[name] = call("coerce", { type: state.columns[name].type, value: text(value) });
    state.touched[name] = state.values[name];
    delete state.shown[name];
  }

  // --- records

  function blank(table) {
    return {
      table: table, columns: schema(table), values: {}, loaded: {}, touched: {}, shown: {}, journals: {}, rows: [], cursor: null,
      offset: 0, at: -1, count: 0, conditions: [], order: [], limit: null, windowed: null, operation: "", valid: false,
      fresh: false, background: false, aborted: false, workflow: true, error: ""
    };
  }

  function wrap(state) {
    var target = Object.create(GlideRecord.prototype);
    Object.defineProperty(target, STATE, { value: state });
    return new sandbox.Proxy(target, {
      get: function (of, key) {
        if (typeof key === "symbol") return of[key];
        if (key in GlideRecord.prototype) return GlideRecord.prototype[key];
        return state.columns && has(state.columns, key) ? element(state, key) : undefined;
      },
      set: function (of, key, value) {
        if (typeof key === "string") store(state, key, value);
        return true;
      },
      has: function (of, key) { return key in GlideRecord.prototype || !!state.columns && has(state.columns, key); }
    });
  }

  function show(state, row) {
    state.values = row;
    state.loaded = copy({}, row);
    state.touched = {};
    state.shown = {};
    state.journals = {};
    state.valid = true;
    state.fresh = false;
    state.operation = "";
  }

  function GlideRecord(table) {
    var state = blank(text(table));
    if (state.columns === null) call("log", { level: "2", message: "Table '" + state.table + "' does not exist" });
    return wrap(state);
  }

  function condition(state, index) {
    function add(joined) {
      return function (name, operator, value) {
        var given = arguments.length < 3 ? [name, "=", operator] : [name, operator, value];
        state.conditions[index] += joined + term(given[0], given[1], given[2]);
        return this;
      };
    }
    return { addOrCondition: add("^OR"), addCondition: add("^") };
  }

  function term(name, operator, value) {
    if (value === null || value === undefined) return text(name) + (operator === "!=" ? "ISNOTEMPTY" : "ISEMPTY");
    if (Array.isArray(value)) value = value.map(text).join(",");
    return text(name) + text(operator).toUpperCase() + text(value).split("^").join("^^");
  }

  function push(state, part) {
    state.conditions.push(part);
    return condition(state, state.conditions.length - 1);
  }

  function values(state) {
    return { table: state.table, values: state.touched, shown: state.shown, sys_id: text(state.values.sys_id),
      workflow: state.workflow };
  }

  GlideRecord.prototype = {
    constructor: GlideRecord,
    addQuery: function (name, operator, value) {
      if (arguments.length === 1) return this.addEncodedQuery(name);
      if (arguments.length === 2) return push(this[STATE], term(name, "=", operator));
      return push(this[STATE], term(name, operator, value));
    },
    addEncodedQuery: function (query) { push(this[STATE], text(query)); },
    addActiveQuery: function () { return push(this[STATE], "active=true"); },
    addNullQuery: function (name) { return push(this[STATE], name + "ISEMPTY"); },
    addNotNullQuery: function (name) { return push(this[STATE], name + "ISNOTEMPTY"); },
    getEncodedQuery: function () { return this[STATE].conditions.join("^"); },
    orderBy: function (name) { this[STATE].order.push([text(name), false]); },
    orderByDesc: function (name) { this[STATE].order.push([text(name), true]); },
    setLimit: function (most) { this[STATE].limit = +most; },
    chooseWindow: function (first, last) { this[STATE].windowed = [+first, +last]; },
    query: function () {
      var state = this[STATE], found;
      found = call("query", { table: state.table, conditions: state.conditions, order: state.order, limit: state.limit,
        window: state.windowed });
      state.cursor = found.cursor;
      state.count = found.count;
      state.rows = [];
      state.offset = 0;
      state.at = -1;
    },
    hasNext: function () { return this[STATE].at + 1 < this[STATE].count; },
    next: function () {
      var state = this[STATE];
      if (state.at + 1 >= state.count) return false;
      state.at += 1;
      if (state.at >= state.offset + state.rows.length) {
        state.offset = state.at;
        state.rows = call("fetch", { cursor: state.cursor, offset: state.at });
      }
      show(state, state.rows[state.at - state.offset]);
      return true;
    },
    _next: function () { return this.next(); },
    get: function (name, value) {
      var state = this[STATE], given = arguments.length > 1 ? [text(name), text(value)] : ["", text(name)], row;
      row = call("get", { table: state.table, name: given[0], value: given[1] });
      if (row) show(state, row);
      state.valid = !!row;
      return !!row;
    },
    getRowCount: function () { return this[STATE].count; },
    getValue: function (name) {
      var state = this[STATE], column = state.columns && state.columns[name], value;
      if (!column) return null;
      value = text(state.values[name]);
      if (column.type === "boolean" && value) return value === "true" ? "1" : "0";
      return value === "" ? null : value;
    },
    setValue: function (name, value) { store(this[STATE], text(name), value); },
    getDisplayValue: function (name) {
      var state = this[STATE];
      if (arguments.length) return element(state, text(name)).getDisplayValue();
      return call("display", { table: state.table, values: state.values, path: "" });
    },
    setDisplayValue: function (name, value) { element(this[STATE], text(name)).setDisplayValue(value); },
    getElement: function (name) {
      return this[STATE].columns && has(this[STATE].columns, text(name).split(".")[0]) ? element(this[STATE], text(name)) : null;
    },
    getLabel: function () { return call("label", { table: this[STATE].table }); },
    getUniqueValue: function () { return this.getValue("sys_id"); },
    getTableName: function () { return this[STATE].table; },
    getRecordClassName: function () { return text(this[STATE].values.sys_class_name) || this[STATE].table; },
    getClassDisplayValue: function () { return call("label", { table: this.getRecordClassName() }); },
    getLink: function () {
      return this[STATE].table + ".do?sys_id=" + text(this[STATE].values.sys_id) + "&sysparm_stack=" + this[STATE].table +
        "_list.do?sysparm_query=active=true";
    },
    getLastErrorMessage: function () { return this[STATE].error; },
    isValid: function () { return this[STATE].columns !== null; },
    isValidField: function (name) { return this[STATE].columns !== null && has(this[STATE].columns, text(name)); },
    isValidRecord: function () { return this[STATE].valid; },
    isNewRecord: function () { return this[STATE].fresh; },
    isValidEncodedQuery: function (query) {
      return call("valid_query", { table: this[STATE].table, query: text(query) });
    },
    initialize: function () { show(this[STATE], {}); this[STATE].valid = false; },
    newRecord: function () {
      var state = this[STATE];
      show(state, call("defaults", { table: state.table }));
      state.fresh = true;
    },
    insert: function () {
      var state = this[STATE], answer = call("insert", values(state));
      state.error = answer.error;
      if (!answer.row) return null;
      show(state, answer.row);
      return answer.row.sys_id;
    },
    update: function () {
      var state = this[STATE], answer = call("update", values(state));
      state.error = answer.error;
      if (!answer.row) return null;
      show(state, answer.row);
      return answer.row.sys_id;
    },
    deleteRecord: function () { return call("delete", values(this[STATE])); },
    updateMultiple: function () {
      var state = this[STATE], given = values(state);
      this.query();
      while (this.next()) {
        given.sys_id = state.values.sys_id;
        call("update", given);
      }
    },
    deleteMultiple: function () {
      this.query();
      while (this.next()) this.deleteRecord();
    },
    operation: function () { return this[STATE].operation || null; },
    setAbortAction: function (aborted) { this[STATE].aborted = !!aborted; },
    isActionAborted: function () { return this[STATE].aborted; },
    setWorkflow: function (enabled) { this[STATE].workflow = !!enabled; },
    canRead: function () { return call("may", { table: this[STATE].table, operation: "read", values: this[STATE].values }); },
    canWrite: function () { return call("may", { table: this[STATE].table, operation: "write", values: this[STATE].values }); },
    canCreate: function () { return call("may", { table: this[STATE].table, operation: "create", values: this[STATE].values }); },
    canDelete: function () { return call("may", { table: this[STATE].table, operation: "delete", values: this[STATE].values }); },
    toString: function () { return this[STATE].table; }
  };

  /* A record that the host passes in: `current`, `previous`. */
  sandbox.record = function (given) {
    if (!given) return null;
    var state = blank(given.table);
    show(state, given.values);
    state.operation = given.operation || "";
    state.background = !!given.background;
    if (given.loaded) state.loaded = given.loaded;
    state.journals = given.journals || {};
    Object.keys(state.journals).forEach(function (name) { state.values[name] = state.journals[name]; });
    return wrap(state);
  };
  sandbox.stateOf = function (record) { return record ? record[STATE] : null; };
  sandbox.GlideRecord = global.GlideRecord = GlideRecord;
})(this, sandbox);
