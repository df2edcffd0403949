var ServiceNowForMattermostOutbox = Class.create();
ServiceNowForMattermostOutbox.prototype = {
    initialize: function () {
        this.constants = new ServiceNowForMattermostConstants();
        this.utils = new ServiceNowForMattermostUtils();
    },

    // Store a change for the script action. Returns the row's sys_id.
    keep: function (change) {
        var body = this.utils.asciiJson(change);
        return this.insert(this.newId(), '', this.constants.CAPTURED, body, this.constants.CAPTURE_GRACE_SECONDS);
    },

    // Queue a report, unless it is already queued. Returns the row's sys_id.
    queue: function (eventId, server, body) {
        var row = new GlideRecord(this.constants.DELIVERIES);
        if (row.get('event_id', eventId)) {
            return String(row.getUniqueValue());
        }
        return this.insert(eventId, server, this.constants.QUEUED, body, 0);
    },

    insert: function (eventId, server, state, body, seconds) {
        var row = new GlideRecord(this.constants.DELIVERIES);
        row.initialize();
        row.setValue('event_id', eventId);
        row.setValue('server_url', server);
        row.setValue('state', state);
        row.setValue('body', body);
        row.setValue('attempts', 0);
        row.setValue('next_attempt', this.inSeconds(seconds).getValue());
        return String(row.insert());
    },

    queueEvent: function (id) {
        var row = new GlideRecord(this.constants.DELIVERIES);
        if (row.get(id)) {
            gs.eventQueue(this.constants.DELIVERY_DUE, row, id, '');
        }
    },

    postpone: function (row, seconds) {
        var when = this.inSeconds(seconds);
        row.setValue('next_attempt', when.getValue());
        row.update();
        gs.eventQueueScheduled(this.constants.DELIVERY_DUE, row, String(row.getUniqueValue()), '', when);
    },

    attempts: function (row) {
        return parseInt(this.utils.text(row.getValue('attempts')) || '0', 10);
    },

    isDue: function (row, now) {
        return this.utils.text(row.getValue('next_attempt')) <= String(now.getValue());
    },

    age: function (row, now) {
        var created = new GlideDateTime(String(row.getValue('sys_created_on')));
        return (now.getNumericValue() - created.getNumericValue()) / 1000;
    },

    // Delete a few old rows that were delivered or given up.
    purge: function () {
        this.drop(this.constants.DELIVERED, this.constants.KEEP_DELIVERED_SECONDS);
        this.drop(this.constants.DEAD, this.constants.KEEP_DEAD_SECONDS);
    },

    drop: function (state, seconds) {
        var before = String(this.inSeconds(-seconds).getValue());
        var rows = new GlideRecord(this.constants.DELIVERIES);
        rows.addQuery('state', state);
        rows.addQuery('sys_updated_on', '<', before);
        rows.setLimit(this.constants.PURGE_ROWS);
        rows.query();
        while (rows.next()) {
            // Check again, because ServiceNow silently drops conditions that it doesn't understand.
            if (rows.getValue('state') == state && String(rows.getValue('sys_updated_on')) < before) {
                rows.deleteRecord();
            }
        }
    },

    inSeconds: function (seconds) {
        var when = new GlideDateTime();
        if (seconds) {
            when.addSeconds(seconds);
        }
        return when;
    },

    newId: function () {
        return String(gs.generateGUID()).replace(/-/g, '').toLowerCase();
    },

    type: 'ServiceNowForMattermostOutbox'
};
