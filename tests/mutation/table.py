"""Which tests should notice a change of which module; the quickest and nearest first."""

MODULES: dict[str, list[str]] = {
    "core/signing.py": ["tests/unit/test_signing.py", "tests/scenarios/test_plain_verification.py"],
    "storage/sealing.py": [
        "tests/unit/test_sealing.py",
        "tests/contract/test_ports.py",
        "tests/scenarios/test_tokens.py",
    ],
    "servicenow/queries.py": [
        "tests/unit/test_queries.py",
        "tests/unit/test_subscription_filters.py",
        "tests/scenarios/test_view.py",
        "tests/scenarios/test_subscriptions_list.py",
        "tests/scenarios/test_change.py",
    ],
    "servicenow/filters.py": [
        "tests/unit/test_subscription_filters.py",
        "tests/scenarios/test_subscriptions_adding.py",
    ],
    "servicenow/tokens.py": ["tests/unit/test_servicenow_tokens.py", "tests/scenarios/test_tokens.py"],
    "mattermost/triggers.py": [
        "tests/unit/test_triggers.py",
        "tests/scenarios/test_plain_verification.py",
    ],
    "mattermost/proofs.py": ["tests/scenarios/test_verification.py"],
    "mattermost/access.py": [
        "tests/unit/test_shared_caches.py",
        "tests/scenarios/test_creating.py",
        "tests/scenarios/test_share.py",
    ],
    "mattermost/card_buttons.py": ["tests/unit/test_card_buttons.py", "tests/scenarios/test_plain_verification.py"],
    "mattermost/markdown.py": ["tests/unit/test_markdown.py", "tests/unit/test_hostile_text.py"],
    "web/verify.py": ["tests/scenarios/test_verification.py", "tests/scenarios/test_subscriptions_end_to_end.py"],
    "notifications/adoption.py": [
        "tests/unit/test_notices_grants.py",
        "tests/scenarios/test_notices_rights.py",
        "tests/scenarios/test_takeover.py",
    ],
    "notifications/arrivals.py": ["tests/scenarios/test_setup.py", "tests/scenarios/test_status.py"],
    "notifications/delivery.py": [
        "tests/scenarios/test_notices.py",
        "tests/scenarios/test_notices_rights.py",
        "tests/scenarios/test_notices_faults.py",
    ],
    "notifications/grants.py": ["tests/unit/test_notices_grants.py", "tests/scenarios/test_notices_rights.py"],
    "notifications/health.py": ["tests/scenarios/test_status.py", "tests/scenarios/test_notices_faults.py"],
    "notifications/intake.py": ["tests/scenarios/test_notices_intake.py", "tests/scenarios/test_notices_rights.py"],
    "notifications/old_dialect.py": ["tests/scenarios/test_notices_old_dialect.py"],
    "notifications/outbox.py": ["tests/unit/test_notices_due.py", "tests/scenarios/test_notices.py"],
    "notifications/owners.py": ["tests/scenarios/test_notices_faults.py", "tests/scenarios/test_notices_rights.py"],
    "notifications/reading.py": ["tests/scenarios/test_notices_rights.py", "tests/scenarios/test_notices.py"],
    "notifications/refusals.py": ["tests/scenarios/test_status.py", "tests/scenarios/test_notices_intake.py"],
    "notifications/schema.py": ["tests/scenarios/test_notices_intake.py"],
    "notifications/sharing.py": ["tests/scenarios/test_notices_classes.py"],
    "notifications/signatures.py": ["tests/scenarios/test_notices_intake.py"],
    "notifications/work.py": ["tests/scenarios/test_notices.py", "tests/scenarios/test_notices_rights.py"],
    "notifications/worker.py": ["tests/scenarios/test_notices.py", "tests/scenarios/test_notices_faults.py"],
}
