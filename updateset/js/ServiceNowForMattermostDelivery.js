var ServiceNowForMattermostDelivery = Class.create();
ServiceNowForMattermostDelivery.prototype = {
    NO_ANSWER: 'No answer in time',

    initialize: function () {
        this.constants = new ServiceNowForMattermostConstants();
        this.utils = new ServiceNowForMattermostUtils();
        this.outbox = new ServiceNowForMattermostOutbox();
    },

    // The row with the key that signs requests to a server, or null.
    key: function (server) {
        var row = new GlideRecord(this.constants.KEYS);
        row.addQuery('server_url', server);
        row.addNotNullQuery('key_id');
        row.orderByDesc('sys_updated_on');
        row.setLimit(1);
        row.query();
        return row.next() ? row : null;
    },

    // Send one queued row if it is due. Returns false if its server didn't answer in time.
    deliver: function (id) {
        var row = new GlideRecord(this.constants.DELIVERIES);
        var now = this.outbox.inSeconds(0);
        if (!row.get(id) || row.getValue('state') != this.constants.QUEUED || !this.outbox.isDue(row, now)) {
            return true;
        }
        var server = String(row.getValue('server_url'));
        if (this.isSilent(server, id)) {
            // We share the event queue with others, so a server that doesn't answer must not block it.
            if (this.outbox.age(row, now) >= this.constants.GIVE_UP_SECONDS) {
                row.setValue('last_error', 'Given up: the server does not answer');
                this.giveUp(row);
                row.update();
            } else {
                this.outbox.postpone(row, this.constants.SILENCE_SECONDS);
            }
            return false;
        }
        var attempts = this.outbox.attempts(row) + 1;
        row.setValue('attempts', attempts);
        // Schedule the retry first, so that the row isn't lost if this attempt is interrupted.
        this.outbox.postpone(row, this.utils.backoff(attempts));
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
            gs.warn('Mattermost: report {0} was not taken, try {1}, status {2}.',
                String(row.getValue('event_id')), String(row.getValue('attempts')), String(answer.status));
            if (outcome === this.constants.DEAD || this.outbox.age(row, now) >= this.constants.GIVE_UP_SECONDS) {
                this.giveUp(row);
            }
        }
        row.update();
        if (answer.retryAfter > this.utils.backoff(this.outbox.attempts(row)) &&
                row.getValue('state') == this.constants.QUEUED) {
            this.outbox.postpone(row, answer.retryAfter);
        }
    },

    giveUp: function (row) {
        row.setValue('state', this.constants.DEAD);
        gs.error('Mattermost: report {0} is given up.', String(row.getValue('event_id')));
    },

    // Returns {status, error, retryAfter, slow}, with status 0 for no answer. Never throws.
    send: function (row, server) {
        var started = new Date().getTime();
        var answer = { status: 0, error: '', retryAfter: 0, slow: false };
        try {
            var key = this.key(server);
            var secret = key ? this.utils.text(key.signing_secret.getDecryptedValue()) : '';
            if (!secret) {
                answer.error = 'No signing key for this server_url';
                gs.warn('Mattermost: report {0} has no signing key.', String(row.getValue('event_id')));
                return answer;
            }
            var response = this.request(key, secret, server, String(row.getValue('body'))).execute();
            answer.status = parseInt(response.getStatusCode(), 10) || 0;
            if (this.utils.outcome(answer.status) !== this.constants.DELIVERED) {
                answer.error = this.reason(response, answer.status);
                answer.retryAfter = this.utils.retryAfter(
                    response.getHeader('Retry-After'), this.outbox.inSeconds(0).getNumericValue()
                );
            }
        } catch (error) {
            answer.error = 'No answer: ' + String(error);
        }
        if (!answer.status && new Date().getTime() - started >= this.constants.SLOW_MILLISECONDS) {
            answer.slow = true;
            answer.retryAfter = this.constants.SILENCE_SECONDS;
            answer.error = this.NO_ANSWER;
        }
        return answer;
    },

    // Sign just before sending, because signatures expire after five minutes.
    request: function (key, secret, server, body) {
        var seconds = String(Math.floor(this.outbox.inSeconds(0).getNumericValue() / 1000));
        var request = new sn_ws.RESTMessageV2();
        request.setHttpMethod('post');
        request.setEndpoint(server.replace(/\/+$/, '') + this.constants.PATH);
        request.setHttpTimeout(this.constants.TIMEOUT_MILLISECONDS);
        if (typeof request.disableForcedVariableSubstitution === 'function') {
            request.disableForcedVariableSubstitution();
        }
        if (typeof request.setLogLevel === 'function') {
            request.setLogLevel('basic'); // without headers and bodies in the outbound HTTP log
        }
        request.setRequestHeader('Content-Type', 'application/json');
        request.setRequestHeader('X-ServiceNow-Timestamp', seconds);
        request.setRequestHeader('X-ServiceNow-Key', String(key.getValue('key_id')));
        request.setRequestHeader('X-ServiceNow-Signature', 'v1=' + new CertificateEncryption().generateMac(
            gs.base64Encode(secret), 'HmacSHA256', seconds + '.' + body
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

    // Whether this server recently didn't answer a request for another row.
    isSilent: function (server, exceptId) {
        var row = new GlideRecord(this.constants.DELIVERIES);
        row.addQuery('server_url', server);
        row.addQuery('last_error', this.NO_ANSWER);
        row.addQuery('sys_id', '!=', exceptId);
        row.orderByDesc('sys_updated_on');
        row.setLimit(1);
        row.query();
        var since = this.outbox.inSeconds(-this.constants.SILENCE_SECONDS).getValue();
        return row.next() && String(row.getValue('sys_updated_on')) > String(since);
    },

    // Handle a few rows that are due but got no event.
    sweep: function () {
        var now = this.outbox.inSeconds(0);
        var rows = new GlideRecord(this.constants.DELIVERIES);
        rows.addQuery('state', 'IN', this.constants.CAPTURED + ',' + this.constants.QUEUED);
        rows.addQuery('next_attempt', '<=', now.getValue());
        rows.orderBy('next_attempt');
        rows.setLimit(this.constants.SWEEP_ROWS);
        rows.query();
        var due = [];
        while (rows.next()) {
            if (this.outbox.isDue(rows, now)) {
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

    // Process a captured change again. Schedule the retry first, so that the change can't block others.
    processAgain: function (id, now) {
        var kept = new GlideRecord(this.constants.DELIVERIES);
        if (!kept.get(id)) {
            return true;
        }
        var attempts = this.outbox.attempts(kept) + 1;
        kept.setValue('attempts', attempts);
        kept.setValue('next_attempt', this.outbox.inSeconds(this.utils.backoff(attempts)).getValue());
        if (this.outbox.age(kept, now) >= this.constants.GIVE_UP_SECONDS) {
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

    type: 'ServiceNowForMattermostDelivery'
};
