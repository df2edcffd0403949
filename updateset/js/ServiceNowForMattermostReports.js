var ServiceNowForMattermostReports = Class.create();
ServiceNowForMattermostReports.prototype = {
    initialize: function () {
        this.constants = new ServiceNowForMattermostConstants();
        this.utils = new ServiceNowForMattermostUtils();
        this.outbox = new ServiceNowForMattermostOutbox();
        this.delivery = new ServiceNowForMattermostDelivery();
    },

    // Turn a captured change into deliveries. Returns their sys_ids. Repeating it has no further effect.
    process: function (keptId) {
        var kept = new GlideRecord(this.constants.DELIVERIES);
        if (!kept.get(keptId) || kept.getValue('state') != this.constants.CAPTURED) {
            return [];
        }
        var change = JSON.parse(kept.getValue('body'));
        var servers = new ServiceNowForMattermostMatching().concerned(change);
        var queued = [];
        for (var server in servers) {
            if (!servers.hasOwnProperty(server)) {
                continue;
            }
            if (!this.delivery.key(server)) {
                gs.warn('Mattermost: change {0} is not reported to a server that has no signing key.', keptId);
                continue;
            }
            var reports = this.split(this.report(change, server), servers[server]);
            for (var i = 0; i < reports.length; i++) {
                reports[i].event_id = this.eventId(keptId, server, i);
                queued.push(this.outbox.queue(reports[i].event_id, server, this.utils.asciiJson(reports[i])));
            }
        }
        kept.deleteRecord();
        return queued;
    },

    report: function (change, server) {
        return {
            event_id: '',
            occurred_at: change.occurred_at,
            component: this.constants.VERSION,
            server_url: server,
            record: change.record,
            events: change.events,
            changes: change.changes,
            comments: change.comments,
            actor: change.actor,
            subscriptions: [],
            test: ''
        };
    },

    // Split a report if it has too many subscriptions.
    split: function (report, subscriptions) {
        var empty = this.utils.asciiJson(report).length + 32;
        var reports = [];
        var part = [];
        var size = empty;
        for (var i = 0; i < subscriptions.length; i++) {
            var length = this.utils.asciiJson(subscriptions[i]).length + 1;
            var full = part.length >= this.constants.SUBSCRIPTIONS_A_REPORT ||
                size + length > this.constants.REPORT_BYTES;
            if (part.length && full) {
                reports.push(this.withSubscriptions(report, part));
                part = [];
                size = empty;
            }
            part.push(subscriptions[i]);
            size += length;
        }
        reports.push(this.withSubscriptions(report, part));
        return reports;
    },

    withSubscriptions: function (report, subscriptions) {
        var copy = {};
        for (var name in report) {
            if (report.hasOwnProperty(name)) {
                copy[name] = report[name];
            }
        }
        copy.subscriptions = subscriptions;
        return copy;
    },

    // Always the same for a change, server and part.
    eventId: function (keptId, server, part) {
        var digest = new GlideDigest().getSHA256Hex(keptId + '|' + server + '|' + part);
        return String(digest).toLowerCase().substring(0, 32);
    },

    // Queue a test report. Without a subscription it has no record. Returns the event id.
    queueTest: function (server, nonce, record, subscription) {
        var changes = new ServiceNowForMattermostChanges();
        var report = this.report({
            occurred_at: String(new GlideDateTime().getValue()).replace(' ', 'T') + 'Z',
            record: record ? changes.describe(record) : null,
            events: [],
            changes: [],
            comments: [],
            actor: {
                sys_id: this.utils.text(gs.getUserID()),
                user_name: this.utils.text(gs.getUserName()),
                name: this.utils.text(gs.getUserDisplayName())
            }
        }, server);
        report.test = nonce;
        report.event_id = this.outbox.newId();
        if (subscription) {
            report.subscriptions = [new ServiceNowForMattermostMatching().describe(subscription)];
        }
        this.outbox.queueEvent(this.outbox.queue(report.event_id, server, this.utils.asciiJson(report)));
        return report.event_id;
    },

    type: 'ServiceNowForMattermostReports'
};
