var ServiceNowForMattermostColumns = Class.create();
ServiceNowForMattermostColumns.prototype = {
    initialize: function () {
        this.constants = new ServiceNowForMattermostConstants();
        this.utils = new ServiceNowForMattermostUtils();
    },

    // The states of a table: [{label, value}].
    states: function (table) {
        var choices = this.choices(this.hierarchy(table), 'state').state || [];
        var states = [];
        for (var i = 0; i < choices.length; i++) {
            states.push({ label: choices[i].label, value: choices[i].value });
        }
        return states;
    },

    // All columns of a table, including inherited ones, with their choices.
    columns: function (table) {
        var tables = this.hierarchy(table);
        var choices = this.choices(tables, '');
        var sample = new GlideRecord(table);
        sample.initialize();
        var found = {};
        var names = [];
        var rows = new GlideRecord('sys_dictionary');
        rows.addQuery('name', 'IN', tables.join(','));
        rows.addQuery('active', true);
        rows.addNotNullQuery('element');
        rows.orderBy('element');
        rows.query();
        while (rows.next()) {
            var name = this.utils.text(rows.getValue('element'));
            var near = tables.indexOf(this.utils.text(rows.getValue('name')));
            if (!name || near < 0 || (found[name] && found[name].near <= near)) {
                continue;
            }
            if (!found[name]) {
                names.push(name);
            }
            found[name] = { near: near, column: this.column(rows, sample, name, choices[name] || []) };
        }
        var columns = [];
        for (var i = 0; i < names.length; i++) {
            columns.push(found[names[i]].column);
        }
        return columns;
    },

    column: function (row, sample, name, choices) {
        var label = sample.isValidField(name) ? sample[name].getLabel() : row.getValue('column_label');
        return {
            name: name,
            label: this.utils.text(label) || name,
            type: this.utils.text(row.getValue('internal_type')),
            mandatory: this.utils.isTrue(row.getValue('mandatory')),
            max_length: parseInt(this.utils.text(row.getValue('max_length')) || '0', 10),
            reference: this.utils.text(row.getValue('reference')),
            choices: choices
        };
    },

    // The active choices by column, sorted, from the nearest table that has any. Labels are in the caller's language if
    // translated, otherwise in English. `element` is a single column, or '' for all.
    choices: function (tables, element) {
        var language = this.language();
        var rows = new GlideRecord('sys_choice');
        rows.addQuery('name', 'IN', tables.join(','));
        if (element) {
            rows.addQuery('element', element);
        }
        rows.addQuery('inactive', false);
        rows.addQuery('language', 'IN', language === 'en' ? 'en' : language + ',en');
        rows.orderBy('sequence');
        rows.query();
        var lists = {};
        while (rows.next()) {
            var name = this.utils.text(rows.getValue('element'));
            var near = tables.indexOf(this.utils.text(rows.getValue('name')));
            if (near < 0 || (lists[name] && lists[name].near < near)) {
                continue;
            }
            if (!lists[name] || lists[name].near > near) {
                lists[name] = { near: near, places: {}, choices: [] };
            }
            this.add(lists[name], rows, this.utils.text(rows.getValue('language')) === language);
        }
        var found = {};
        for (var column in lists) {
            if (lists.hasOwnProperty(column)) {
                found[column] = lists[column].choices;
            }
        }
        return found;
    },

    add: function (list, row, own) {
        var choice = {
            label: this.utils.text(row.getValue('label')),
            value: this.utils.text(row.getValue('value')),
            dependent_value: this.utils.text(row.getValue('dependent_value'))
        };
        var key = choice.dependent_value + ' ' + choice.value;
        if (!list.places.hasOwnProperty(key)) {
            list.places[key] = list.choices.length;
            list.choices.push(choice);
        } else if (own) {
            list.choices[list.places[key]].label = choice.label;
        }
    },

    hierarchy: function (table) {
        return new ServiceNowForMattermostChanges().hierarchy(table);
    },

    language: function () {
        var session = typeof gs.getSession === 'function' ? gs.getSession() : null;
        return (session && typeof session.getLanguage === 'function' && String(session.getLanguage() || '')) || 'en';
    },

    type: 'ServiceNowForMattermostColumns'
};
