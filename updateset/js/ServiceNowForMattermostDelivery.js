var ServiceNowForMattermostDelivery = Class.create();
ServiceNowForMattermostDelivery.prototype = {
    NO_ANSWER: 'No answer in time',

    initialize: function () {
        this.constants = new ServiceNowForMattermostConstants();
        this.utils = new ServiceNowForMattermostUtils();
    },

    // Keep a change until the script action comes to it; the row's sys_id.
    keep: function (change) {
        var body = this.utils.asciiJson(change);
        return this.insert(this.newId(), '', this.constants.CAPTURED, body, this.constants.CAPTURE_GRACE_SECONDS);
    },

    // Queue a report, unless it is there already; the row's sys_id.
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

    // The row of the key that requests to a server are signed with, null for none.
    key: function (server) {
        var row = new GlideRecord(this.constants.KEYS);
        row.addQuery('server_url', server);
        row.addNotNullQuery('key_id');
        row.orderByDesc('sys_updated_on');
        row.setLimit(1);
        row.query();
        return row.next() ? row : null;
    },

    // Send one queued row that is due. True unless its server left us waiting.
    deliver: function (id) {
        var row = new GlideRecord(this.constants.DELIVERIES);
        var now = this.inSeconds(0);
        if (!row.get(id) || row.getValue('state') != this.constants.QUEUED || !this.isDue(row, now)) {
            return true;
        }
        var server = String(row.getValue('server_url'));
        if (this.isSilent(server, id)) {
            // The queue that runs us is everybody's: one server that does not answer must not fill it.
            this.postpone(row, this.constants.FIRST_RETRY_SECONDS);
            return false;
        }
        var attempts = this.attempts(row) + 1;
        row.setValue('attempts', attempts);
        // The next try is arranged before this one: whatever interrupts us, nothing is forgotten.
        this.postpone(row, this.utils.backoff(attempts));
        var answer = this.send(row, server);
        this.settle(row, answer, now);
        return !answer.slow;
    },

    settle: function (row, answer, now) {
        var outcome = this.utils.outcome(answer.status);
        row.setValue('last_status', answer.status);
        row.setValue('last_error', this.utils.cut(answer.error, 255));
        if (outcome === this.constants.DELIVERED) {
            row.setValue('state', this.constants.DELIVERED);
            row.setValue('body', '');
        } else {
            var eventId = String(row.getValue('event_id'));
            gs.warn('Mattermost: report {0} was not taken, try {1}, status {2}.',
                eventId, String(row.getValue('attempts')), String(answer.status));
            if (outcome === this.constants.DEAD || this.age(row, now) >= this.constants.GIVE_UP_SECONDS) {
                row.setValue('state', this.constants.DEAD);
                gs.error('Mattermost: report {0} is given up.', eventId);
            }
        }
        row.update();
        if (answer.retryAfter > this.utils.backoff(this.attempts(row)) &&
                row.getValue('state') == this.constants.QUEUED) {
            this.postpone(row, answer.retryAfter);
        }
    },

    // {status, error, retryAfter, slow}; status 0 for no answer. Never throws.
    send: function (row, server) {
        var started = new Date().getTime();
        var answer = { status: 0, error: '', retryAfter: 0, slow: false };
        try {
            var key = this.key(server);
            if (!key) {
                answer.error = 'No signing key for this server_url';
                gs.warn('Mattermost: report {0} has no signing key.', String(row.getValue('event_id')));
                return answer;
            }
            var response = this.request(key, server, String(row.getValue('body'))).execute();
            answer.status = parseInt(response.getStatusCode(), 10) || 0;
            if (this.utils.outcome(answer.status) !== this.constants.DELIVERED) {
                answer.error = this.reason(response, answer.status);
                answer.retryAfter = this.utils.retryAfter(
                    response.getHeader('Retry-After'), this.inSeconds(0).getNumericValue()
                );
            }
        } catch (error) {
            answer.error = 'No answer: ' + String(error);
        }
        if (!answer.status && new Date().getTime() - started >= this.constants.SLOW_MILLISECONDS) {
            answer.slow = true;
            answer.error = this.NO_ANSWER;
        }
        return answer;
    },

    // Signed now: a signature is good for five minutes.
    request: function (key, server, body) {
        var seconds = String(Math.floor(this.inSeconds(0).getNumericValue() / 1000));
        var secret = key.signing_secret.getDecryptedValue();
        var request = new sn_ws.RESTMessageV2();
        request.setHttpMethod('post');
        request.setEndpoint(server.replace(/\/+$/, '') + this.constants.PATH);
        request.setHttpTimeout(this.constants.TIMEOUT_MILLISECONDS);
        if (typeof request.disableForcedVariableSubstitution === 'function') {
            request.disableForcedVariableSubstitution();
        }
        if (typeof request.setLogLevel === 'function') {
            request.setLogLevel('basic'); // neither headers nor bodies in the log of outbound requests
        }
        request.setRequestHeader('Content-Type', 'application/json');
        request.setRequestHeader('X-ServiceNow-Timestamp', seconds);
        request.setRequestHeader('X-ServiceNow-Key', String(key.getValue('key_id')));
        request.setRequestHeader('X-ServiceNow-Signature', 'v1=' + new CertificateEncryption().generateMac(
            gs.base64Encode(String(secret)), 'HmacSHA256', seconds + '.' + body
        ));
        request.setRequestBody(body);
        return request;
    },

    reason: function (response, status) {
        var text = this.utils.text(response.getBody ? response.getBody() : '');
        if (!status && response.getErrorMessage) {
            text = this.utils.text(response.getErrorMessage());
        }
        return this.utils.cut(status + ': ' + text.replace(/\s+/g, ' '), 255);
    },

    // Whether another row's try of this server went unanswered a moment ago.
    isSilent: function (server, exceptId) {
        var row = new GlideRecord(this.constants.DELIVERIES);
        row.addQuery('server_url', server);
        row.addQuery('state', this.constants.QUEUED);
        row.addQuery('last_error', this.NO_ANSWER);
        row.addQuery('sys_id', '!=', exceptId);
        row.orderByDesc('sys_updated_on');
        row.setLimit(1);
        row.query();
        var since = this.inSeconds(-this.constants.FIRST_RETRY_SECONDS).getValue();
        return row.next() && String(row.getValue('sys_updated_on')) > String(since);
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

    // Rows that are due although no event came for them, a few at a time.
    sweep: function () {
        var now = this.inSeconds(0);
        var rows = new GlideRecord(this.constants.DELIVERIES);
        rows.addQuery('state', 'IN', this.constants.CAPTURED + ',' + this.constants.QUEUED);
        rows.addQuery('next_attempt', '<=', now.getValue());
        rows.orderBy('next_attempt');
        rows.setLimit(this.constants.SWEEP_ROWS);
        rows.query();
        var due = [];
        while (rows.next()) {
            if (this.isDue(rows, now)) {
                var kept = rows.getValue('state') == this.constants.CAPTURED;
                due.push({ id: String(rows.getUniqueValue()), kept: kept });
            }
        }
        for (var i = 0; i < due.length; i++) {
            try {
                if (!(due[i].kept ? this.processAgain(due[i].id, now) : this.deliver(due[i].id))) {
                    return;
                }
            } catch (error) {
                gs.error('Mattermost: waiting row {0} could not be worked on, it will be tried again.', due[i].id);
            }
        }
    },

    // A kept change whose first go was interrupted; it steps back first, so that it can never block what waits behind.
    processAgain: function (id, now) {
        var kept = new GlideRecord(this.constants.DELIVERIES);
        if (!kept.get(id)) {
            return true;
        }
        var attempts = this.attempts(kept) + 1;
        kept.setValue('attempts', attempts);
        kept.setValue('next_attempt', this.inSeconds(this.utils.backoff(attempts)).getValue());
        if (this.age(kept, now) >= this.constants.GIVE_UP_SECONDS) {
            kept.setValue('state', this.constants.DEAD);
            kept.setValue('last_error', 'The kept change could not be reported');
        }
        kept.update();
        var ids = new ServiceNowForMattermostReports().process(id);
        for (var i = 0; i < ids.length; i++) {
            if (!this.deliver(ids[i])) {
                return false;
            }
        }
        return true;
    },

    // Drop what is settled and old, a few rows at a time.
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
            // Looked at again: a condition that the platform does not understand is left out without a word.
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

    type: 'ServiceNowForMattermostDelivery'
};
