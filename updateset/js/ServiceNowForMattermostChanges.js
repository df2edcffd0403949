var ServiceNowForMattermostChanges = Class.create();
ServiceNowForMattermostChanges.prototype = {
    initialize: function () {
        this.constants = new ServiceNowForMattermostConstants();
        this.utils = new ServiceNowForMattermostUtils();
    },

    // Called by the business rules while a person saves. It costs one query if nothing is subscribed, and otherwise one
    // more row and event. Slow work is done by the script action.
    observe: function (current, previous) {
        if (gs.getProperty(this.constants.ENABLED, 'true') == 'false') {
            return;
        }
        var inserted = current.operation() == 'insert';
        if (!this.anythingHappened(current, inserted)) {
            return;
        }
        var tables = this.hierarchy(this.className(current));
        if (!new ServiceNowForMattermostMatching().anybody(tables, String(current.getUniqueValue()))) {
            return;
        }
        var change = this.capture(current, inserted ? null : previous, tables);
        if (!change.events.length) {
            return;
        }
        var kept = new ServiceNowForMattermostOutbox().keep(change);
        var name = tables.indexOf('task') >= 0 ? this.constants.TASK_CHANGED : this.constants.KNOWLEDGE_CHANGED;
        gs.eventQueue(name, current, kept, change.events.join(','));
    },

    anythingHappened: function (current, inserted) {
        if (inserted) {
            return true;
        }
        var columns = [
            'state', 'workflow_state', 'priority', 'assigned_to', 'assignment_group', 'active', 'comments', 'work_notes'
        ];
        for (var i = 0; i < columns.length; i++) {
            if (this.changed(current, columns[i])) {
                return true;
            }
        }
        return false;
    },

    changed: function (record, column) {
        return record.isValidField(column) && this.utils.isTrue(record[column].changes());
    },

    className: function (record) {
        var name = record.getRecordClassName ? record.getRecordClassName() : '';
        return String(name || record.getValue('sys_class_name') || record.getTableName());
    },

    // The class and its ancestors, nearest first. A Java list converts to "[incident, task]".
    hierarchy: function (table) {
        var names = String(new GlideTableHierarchy(table).getTables()).replace(/[\[\]\s]/g, '').split(',');
        return names.indexOf(table) < 0 ? [table].concat(names) : names;
    },

    // The parts of a report that describe one save. `previous` is null for a new record.
    capture: function (current, previous, tables) {
        var values = {};
        for (var i = 0; i < this.constants.CAPTURED_COLUMNS.length; i++) {
            var column = this.constants.CAPTURED_COLUMNS[i];
            if (current.isValidField(column)) {
                values[column] = this.utils.text(current.getValue(column));
            }
        }
        var change = {
            occurred_at: String(new GlideDateTime().getValue()).replace(' ', 'T') + 'Z',
            tables: tables,
            record: this.describe(current),
            values: values,
            events: previous ? [] : ['created'],
            changes: [],
            comments: [],
            actor: {
                sys_id: this.utils.text(gs.getUserID()),
                user_name: this.utils.text(gs.getUserName()),
                name: this.utils.text(gs.getUserDisplayName())
            }
        };
        if (previous) {
            this.compare(change, current, previous);
        }
        this.addJournal(change, current, 'comments', 'commented');
        this.addJournal(change, current, 'work_notes', 'work_notes');
        return change;
    },

    compare: function (change, current, previous) {
        var state = this.stateColumn(current);
        var columns = [state, 'priority', 'assigned_to', 'assignment_group'];
        for (var i = 0; i < columns.length; i++) {
            var column = columns[i];
            if (!this.changed(current, column)) {
                continue;
            }
            change.events.push(column === state ? 'state' : column);
            change.changes.push({
                field: column,
                label: this.utils.text(current[column].getLabel()),
                old: this.utils.text(previous.getDisplayValue(column)),
                'new': this.utils.text(current.getDisplayValue(column)),
                old_value: this.utils.text(previous.getValue(column)),
                new_value: this.utils.text(current.getValue(column))
            });
        }
        if (this.changed(current, state) || this.changed(current, 'active')) {
            var event = this.utils.stageEvent(
                this.stage(change.tables, previous, state),
                this.stage(change.tables, current, state)
            );
            if (event) {
                change.events.push(event);
            }
        }
    },

    stage: function (tables, record, state) {
        var active = record.isValidField('active') ? this.utils.text(record.getValue('active')) : '';
        return this.utils.stage(tables, this.utils.text(record.getValue(state)), active);
    },

    // Knowledge articles have a workflow state instead of a state.
    stateColumn: function (record) {
        return record.isValidField('workflow_state') && !record.isValidField('state') ? 'workflow_state' : 'state';
    },

    addJournal: function (change, current, column, event) {
        if (!this.changed(current, column)) {
            return;
        }
        var text = this.utils.writtenText(current[column], current[column].getJournalEntry(1));
        if (text) {
            change.events.push(event);
            change.comments.push({ kind: column, text: text });
        }
    },

    // A record as reports contain it.
    describe: function (record) {
        var label = record.getClassDisplayValue ? record.getClassDisplayValue() : '';
        return {
            table: this.className(record),
            sys_id: String(record.getUniqueValue()),
            number: this.value(record, 'number'),
            short_description: this.utils.cut(this.value(record, 'short_description'), this.constants.TITLE_CHARACTERS),
            class_label: this.utils.text(label),
            state: this.cell(record, this.stateColumn(record)),
            priority: this.cell(record, 'priority'),
            assigned_to: this.cell(record, 'assigned_to'),
            assignment_group: this.cell(record, 'assignment_group'),
            sys_mod_count: parseInt(this.value(record, 'sys_mod_count') || '0', 10)
        };
    },

    value: function (record, column) {
        return record.isValidField(column) ? this.utils.text(record.getValue(column)) : '';
    },

    cell: function (record, column) {
        if (!record.isValidField(column)) {
            return { value: '', display_value: '' };
        }
        return {
            value: this.utils.text(record.getValue(column)),
            display_value: this.utils.text(record.getDisplayValue(column))
        };
    },

    type: 'ServiceNowForMattermostChanges'
};
