var ServiceNowForMattermostConstants = Class.create();
ServiceNowForMattermostConstants.prototype = {
    VERSION: '3.0.0',
    ROLE: 'x_830655_mm_std.user',
    ENABLED: 'x_830655_mm_std.enabled',

    SUBSCRIPTIONS: 'x_830655_mm_std_servicenow_for_mattermost_subscriptions',
    KEYS: 'x_830655_mm_std_servicenow_for_mattermost_notifications_auth',
    DELIVERIES: 'x_830655_mm_std_delivery',

    TASK_CHANGED: 'x_830655_mm_std.task_changed',
    KNOWLEDGE_CHANGED: 'x_830655_mm_std.kb_knowledge_changed',
    DELIVERY_DUE: 'x_830655_mm_std.delivery_due',

    // Values of a delivery's state. A captured row is a change that hasn't been matched with subscriptions yet.
    CAPTURED: 'captured',
    QUEUED: 'queued',
    DELIVERED: 'delivered',
    DEAD: 'dead',

    PATH: '/webhooks/servicenow',
    TIMEOUT_MILLISECONDS: 10000,
    SLOW_MILLISECONDS: 5000,
    // Delays before the first retries. After these, the last delay is doubled each time.
    RETRY_SECONDS: [5, 30, 60],
    LONGEST_RETRY_SECONDS: 3600,
    // How long we don't send to a server that didn't answer.
    SILENCE_SECONDS: 60,
    LONGEST_RETRY_AFTER_SECONDS: 21600,
    GIVE_UP_SECONDS: 72 * 3600,
    CAPTURE_GRACE_SECONDS: 120,
    KEEP_DELIVERED_SECONDS: 7 * 24 * 3600,
    KEEP_DEAD_SECONDS: 30 * 24 * 3600,
    SWEEP_ROWS: 10,
    PURGE_ROWS: 50,
    TEST_ROWS: 100,

    SUBSCRIPTIONS_A_REPORT: 200,
    // Less than the receiver's limit of 256 KiB. Reports are ASCII, so each character is one byte.
    REPORT_BYTES: 240000,
    COMMENT_CHARACTERS: 8000,
    TITLE_CHARACTERS: 1000,
    WORDS: 50,

    // By class, because 3 is "On Hold" in one class and "Closed" in another. Inactive records count as closed too.
    FINISHED: {
        incident: { resolved: ['6'], closed: ['7', '8'] },
        problem: { resolved: ['106'], closed: ['107'] },
        change_request: { resolved: [], closed: ['3', '4'] },
        change_task: { resolved: [], closed: ['3', '4'] },
        task: { resolved: [], closed: ['3', '4', '7'] },
        kb_knowledge: { resolved: [], closed: ['retired', 'outdated'] }
    },

    // Filters are evaluated with the values that these columns had when the record was saved.
    CAPTURED_COLUMNS: [
        'state', 'workflow_state', 'priority', 'impact', 'urgency', 'assigned_to', 'assignment_group', 'category',
        'subcategory', 'cmdb_ci', 'business_service', 'short_description', 'active', 'caller_id', 'opened_by'
    ],

    // Tables whose columns can be requested.
    SHARED_TABLES: [
        'incident', 'problem', 'change_request', 'kb_knowledge', 'task', 'change_task', 'cert_follow_on_task'
    ],
    STATE_TABLES: ['incident', 'problem', 'change_request', 'task', 'change_task', 'cert_follow_on_task'],

    initialize: function () {},

    type: 'ServiceNowForMattermostConstants'
};
