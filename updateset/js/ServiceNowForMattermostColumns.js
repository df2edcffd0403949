var ServiceNowForMattermostColumns = Class.create();
ServiceNowForMattermostColumns.prototype = {
    initialize: function () {
        this.constants = new ServiceNowForMattermostConstants();
        this.utils = new ServiceNowForMattermostUtils();
    },

    // [{label, value}] of a table's states.
    states: function (table) {
        var choices = this.choices(this.hierarchy(table), 'state').state || [];
        var states = [];
        for (var i = 0; i < choices.length; i++) {
            states.push({ label: choices[i].label, value: choices[i].value });
        }
        return states;
    },

    // All columns of a table, inherited ones too, with their choices.
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

    // Active choices by column, in order, of the nearest table that has any, in the caller's language
    // or else in English. `element` limits them to one column, '' does not.
    choices: function (tables, element) {
        var language = this.language();
        var best = {};
        var rows = new GlideRecord('sys_choice');
        rows.addQuery('name', 'IN', tables.join(','));
        if (element) {
            rows.addQuery('element', element);
        }
        rows.addQuery('inactive', false);
        rows.addQuery('language', 'IN', language === 'en' ? 'en' : language + ',en');
        rows.orderBy('sequence');
        rows.query();
        while (rows.next()) {
            var name = this.utils.text(rows.getValue('element'));
            var rank = tables.indexOf(this.utils.text(rows.getValue('name'))) * 2;
            rank += this.utils.text(rows.getValue('language')) === language ? 0 : 1;
            if (rank < 0 || (best[name] && best[name].rank < rank)) {
                continue;
            }
            if (!best[name] || best[name].rank > rank) {
                best[name] = { rank: rank, choices: [] };
            }
            best[name].choices.push({
                label: this.utils.text(rows.getValue('label')),
                value: this.utils.text(rows.getValue('value')),
                dependent_value: this.utils.text(rows.getValue('dependent_value')),
                sequence: parseInt(this.utils.text(rows.getValue('sequence')) || '0', 10)
            });
        }
        return this.inOrder(best);
    },

    // By sequence as numbers: some releases sort that column as text.
    inOrder: function (best) {
        var ordered = {};
        for (var name in best) {
            if (best.hasOwnProperty(name)) {
                ordered[name] = [];
                var choices = best[name].choices;
                for (var i = 0; i < choices.length; i++) {
                    choices[i].place = i;
                }
                choices.sort(function (one, other) {
                    return one.sequence - other.sequence || one.place - other.place;
                });
                for (var j = 0; j < choices.length; j++) {
                    ordered[name].push({
                        label: choices[j].label,
                        value: choices[j].value,
                        dependent_value: choices[j].dependent_value
                    });
                }
            }
        }
        return ordered;
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
