var ServiceNowForMattermostMatching = Class.create();
ServiceNowForMattermostMatching.prototype = {
    initialize: function () {
        this.constants = new ServiceNowForMattermostConstants();
        this.utils = new ServiceNowForMattermostUtils();
    },

    // Active subscriptions to these tables or to this record. An empty status means active (rows of older versions).
    rows: function (tables, recordId) {
        var rows = new GlideRecord(this.constants.SUBSCRIPTIONS);
        rows.addEncodedQuery(
            'is_active=true^record_typeIN' + tables.join(',') +
            '^statusISEMPTY^ORstatus=active^record_idISEMPTY^ORrecord_id=' + recordId
        );
        return rows;
    },

    // Whether there is such a subscription. Checked at every save.
    anybody: function (tables, recordId) {
        var rows = this.rows(tables, recordId);
        rows.setLimit(1);
        rows.query();
        return rows.next();
    },

    // The subscriptions that match a change, by server_url.
    concerned: function (change) {
        var servers = {};
        var verdicts = {};
        var rows = this.rows(change.tables, change.record.sys_id);
        rows.orderBy('sys_id');
        rows.query();
        while (rows.next()) {
            var server = this.utils.text(rows.getValue('server_url'));
            var events = this.words(rows, 'subscription_events');
            if (!server || !this.isWhole(rows, change) || !this.utils.share(events, change.events)) {
                continue;
            }
            var query = this.utils.text(rows.getValue('filter_query'));
            if (query) {
                if (!verdicts.hasOwnProperty(query)) {
                    verdicts[query] = this.judge(query, change);
                }
                this.noteError(rows, verdicts[query].error);
                if (!verdicts[query].holds) {
                    continue;
                }
            }
            if (!servers.hasOwnProperty(server)) {
                servers[server] = [];
            }
            servers[server].push(this.describe(rows));
        }
        return servers;
    },

    // Whether a row is valid. Anyone with the role can write an invalid one, and the receiver would reject the whole
    // report because of it. Values are compared again here, because queries ignore case.
    isWhole: function (row, change) {
        var recordId = this.utils.text(row.getValue('record_id'));
        return /^[a-z0-9]{26}$/.test(this.utils.text(row.getValue('channel_id'))) &&
            change.tables.indexOf(this.utils.text(row.getValue('record_type'))) >= 0 &&
            (!recordId || recordId === change.record.sys_id);
    },

    // The tokens of a column, up to a limit that valid rows never reach.
    words: function (row, column) {
        return this.utils.tokens(row.getValue(column)).slice(0, this.constants.WORDS);
    },

    // A subscription as reports contain it.
    describe: function (row) {
        var query = this.utils.text(row.getValue('filter_query'));
        return {
            sys_id: String(row.getUniqueValue()),
            channel_id: this.utils.text(row.getValue('channel_id')),
            user_id: this.utils.text(row.getValue('user_id')).substring(0, 64),
            record_type: this.utils.text(row.getValue('record_type')),
            record_id: this.utils.text(row.getValue('record_id')),
            filter_digest: query ? String(new GlideDigest().getSHA256Hex(query)).toLowerCase() : '',
            events: this.words(row, 'subscription_events'),
            options: this.words(row, 'options'),
            created_by: this.utils.text(row.getValue('sys_created_by')),
            updated_by: this.utils.text(row.getValue('sys_updated_by')),
            updated_on: this.utils.text(row.getValue('sys_updated_on'))
        };
    },

    // Whether the record matched a filter when it was saved: {holds, error}.
    judge: function (query, change) {
        try {
            var record = this.asSaved(change);
            if (!record) {
                return { holds: false, error: '' };
            }
            var error = this.refusal(record, query);
            return { holds: !error && this.holds(record, query), error: error };
        } catch (error) {
            return { holds: false, error: 'The filter could not be evaluated.' };
        }
    },

    // Why a filter can't be evaluated, or ''.
    refusal: function (record, query) {
        if (this.utils.runsScript(query)) {
            return 'The filter contains script, which is refused.';
        }
        if (record.isValidEncodedQuery && !this.utils.isTrue(record.isValidEncodedQuery(query))) {
            return 'The filter names a column or an operator that this table does not have.';
        }
        return '';
    },

    holds: function (record, query) {
        var filter = new GlideFilter(query, 'Mattermost subscription');
        filter.setCaseSensitive(false); // like lists and the preview of a subscription
        return this.utils.isTrue(filter.match(record, true));
    },

    // The record with the captured values, only in memory; null if it was deleted.
    asSaved: function (change) {
        if (this.saved === undefined) {
            var record = new GlideRecord(change.record.table);
            this.saved = record.get(change.record.sys_id) ? record : null;
            if (this.saved) {
                for (var column in change.values) {
                    if (change.values.hasOwnProperty(column)) {
                        record.setValue(column, change.values[column]);
                    }
                }
            }
        }
        return this.saved;
    },

    noteError: function (row, error) {
        if (this.utils.text(row.getValue('filter_error')) === error) {
            return;
        }
        var own = new GlideRecord(this.constants.SUBSCRIPTIONS);
        if (own.get(String(row.getUniqueValue()))) {
            own.setValue('filter_error', error);
            own.update();
        }
    },

    // The newest matching record that the tester can read, or null. Otherwise tests would reveal the content of records
    // to anyone with the role.
    newest: function (row) {
        var changes = new ServiceNowForMattermostChanges();
        var table = this.utils.text(row.getValue('record_type'));
        if (!gs.tableExists(table)) {
            return null;
        }
        var tables = changes.hierarchy(table);
        if (tables.indexOf('task') < 0 && tables.indexOf('kb_knowledge') < 0) {
            return null;
        }
        var query = this.utils.text(row.getValue('filter_query'));
        var found = new GlideRecord(table);
        if (query) {
            if (this.refusal(found, query)) {
                return null;
            }
            found.addEncodedQuery(query);
        }
        if (row.getValue('record_id')) {
            found.addQuery('sys_id', this.utils.text(row.getValue('record_id')));
        }
        found.orderByDesc('sys_updated_on');
        found.setLimit(this.constants.TEST_ROWS);
        found.query();
        while (found.next()) {
            if (!found.canRead() || !this.mayCompare(found, query)) {
                continue;
            }
            var saved = { tables: tables, record: { sys_id: String(found.getUniqueValue()) } };
            if (this.isWhole(row, saved) && (!query || this.holds(found, query))) {
                var record = new GlideRecord(changes.className(found));
                return record.get(String(found.getUniqueValue())) ? record : null;
            }
        }
        return null;
    },

    // Whether the tester can read every column in a filter. Columns of other tables aren't allowed.
    mayCompare: function (record, query) {
        var terms = query ? query.split('^') : [];
        for (var i = 0; i < terms.length; i++) {
            var column = /^(?:OR|NQ)?([a-z][a-z0-9_]*)(\.?)/.exec(terms[i]);
            if (!column || column[2] || !record.isValidField(column[1]) || !record[column[1]].canRead()) {
                return false;
            }
        }
        return true;
    },

    type: 'ServiceNowForMattermostMatching'
};
