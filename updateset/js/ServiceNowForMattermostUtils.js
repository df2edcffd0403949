var ServiceNowForMattermostUtils = Class.create();
ServiceNowForMattermostUtils.prototype = {
    initialize: function () {
        this.constants = new ServiceNowForMattermostConstants();
    },

    // The tokens of a comma-separated column, trimmed, without duplicates.
    tokens: function (text) {
        var words = String(text === null || text === undefined ? '' : text).split(',');
        var found = [];
        for (var i = 0; i < words.length; i++) {
            var word = words[i].replace(/^\s+|\s+$/g, '');
            if (word && found.indexOf(word) < 0) {
                found.push(word);
            }
        }
        return found;
    },

    // Whether two lists have an element in common.
    share: function (some, others) {
        for (var i = 0; i < some.length; i++) {
            if (others.indexOf(some[i]) >= 0) {
                return true;
            }
        }
        return false;
    },

    // ASCII JSON, so that the signed bytes are sent in any character set. The dollar sign is escaped too, because
    // ServiceNow would substitute "${...}" in a request body.
    asciiJson: function (value) {
        return JSON.stringify(value).replace(/[\u007f-\uffff$]/g, function (character) {
            return '\\u' + ('0000' + character.charCodeAt(0).toString(16)).slice(-4);
        });
    },

    // Limit the length without splitting a surrogate pair. A cut text ends with an ellipsis.
    cut: function (text, most) {
        if (text.length <= most) {
            return text;
        }
        var end = most - 1;
        var last = text.charCodeAt(end - 1);
        if (last >= 0xd800 && last <= 0xdbff) {
            end -= 1;
        }
        return text.substring(0, end) + '\u2026';
    },

    // A journal entry without the heading "date - name (label)".
    journalText: function (entry) {
        var text = String(entry === null || entry === undefined ? '' : entry);
        var header = /^\s*\d[\d.\/\-: ]*(?:[AaPp]\.?[Mm]\.?)? - [^\r\n]*\([^\r\n]*\)[ \t]*(?:\r?\n|$)/;
        text = text.replace(header, '').replace(/\s+$/, '');
        return this.cut(text, this.constants.COMMENT_CHARACTERS);
    },

    // The text that a save added to a journal: the column's value during the save. The newest entry can be from another
    // person or business rule, so it is used only if the column is empty or contains the whole journal.
    writtenText: function (own, newest) {
        own = this.text(own).replace(/\s+$/, '');
        newest = this.text(newest).replace(/\s+$/, '');
        if (!own || (newest && own.indexOf(newest) === 0)) {
            return this.journalText(newest);
        }
        return this.cut(own, this.constants.COMMENT_CHARACTERS);
    },

    // Seconds until the next attempt.
    backoff: function (attempts) {
        var first = this.constants.RETRY_SECONDS;
        var longest = this.constants.LONGEST_RETRY_SECONDS;
        var seconds = first[Math.min(Math.max(attempts, 1), first.length) - 1];
        for (var i = first.length; i < attempts && seconds < longest; i++) {
            seconds *= 2;
        }
        return Math.min(seconds, longest);
    },

    // The seconds in a Retry-After header (a number or a date); 0 if it is missing or invalid.
    retryAfter: function (header, nowMilliseconds) {
        var text = String(header === null || header === undefined ? '' : header).replace(/^\s+|\s+$/g, '');
        var seconds = 0;
        if (/^\d{1,9}$/.test(text)) {
            seconds = parseInt(text, 10);
        } else if (text) {
            var when = Date.parse(text);
            seconds = isNaN(when) ? 0 : Math.ceil((when - nowMilliseconds) / 1000);
        }
        return Math.max(0, Math.min(seconds, this.constants.LONGEST_RETRY_AFTER_SECONDS));
    },

    // What a status means: 'delivered', 'dead' or 'retry'. Only two statuses are permanent. The others can be caused by
    // a clock, a key rotation or a deployment.
    outcome: function (status) {
        if (status >= 200 && status < 300) {
            return this.constants.DELIVERED;
        }
        return status === 400 || status === 413 ? this.constants.DEAD : 'retry';
    },

    // Whether a filter contains a script, in any spelling and with invisible characters.
    runsScript: function (query) {
        var plain = String(query).replace(/[\s\u0000-\u001f\u007f-\u00a0\u200b-\u200f\u2060\ufeff]/g, '');
        return plain.toLowerCase().indexOf('javascript:') >= 0;
    },

    // 'open', 'resolved' or 'closed'. `tables` are the record's class and its ancestors, nearest first.
    stage: function (tables, state, active) {
        for (var i = 0; i < tables.length; i++) {
            var finished = this.constants.FINISHED[tables[i]];
            if (finished) {
                if (finished.resolved.indexOf(state) >= 0) {
                    return 'resolved';
                }
                if (finished.closed.indexOf(state) >= 0) {
                    return 'closed';
                }
                break;
            }
        }
        return active === '0' || active === 'false' ? 'closed' : 'open';
    },

    // The event for a change of the stage, or ''.
    stageEvent: function (before, after) {
        if (before === after) {
            return '';
        }
        return after === 'open' ? 'reopened' : after;
    },

    isTrue: function (value) {
        return value === true || value === '1' || value === 'true';
    },

    text: function (value) {
        return value === null || value === undefined ? '' : String(value);
    },

    type: 'ServiceNowForMattermostUtils'
};
