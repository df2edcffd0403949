"""The records in the file: valid columns and references, and every record of version 2.1."""

import re
from collections import defaultdict

import pytest

from tests.updateset.artifact import Row, by_id, of, rows, scripts
from tests.updateset.facts import (
    ADMIN,
    COLUMNS,
    COMMON,
    COUNTS,
    DELIVERIES,
    EXPORTED,
    KEYS,
    RECORDS,
    RETIRED,
    ROLE,
    SCOPE,
    SIGNED_IN,
    SUBSCRIPTIONS,
)
from updateset.published import published

OWN_TABLES = (SUBSCRIPTIONS, KEYS, DELIVERIES)
BASE_TABLES = ("task", "incident", "problem", "change_request", "change_task", "cert_follow_on_task", "kb_knowledge")
DOMAIN_SEPARATED = ("sys_script", "sysevent_script_action")


def _name_of(row: Row) -> str:
    """The canonical update name."""
    if row.table == "sys_dictionary":
        return f"sys_dictionary_{row.value('name')}_{row.value('element') or 'null'}"
    if row.table == "sys_documentation":
        return f"sys_documentation_{row.value('name')}_{row.value('element')}_en"
    return f"{row.table}_{row.value('sys_id')}"


def test_update_names_are_the_platforms() -> None:
    """A row and its record have the canonical name. Otherwise, the preview would rewrite it."""
    for row in rows():
        assert row.name == _name_of(row)
        if row.table != "sys_app":
            assert row.value("sys_update_name") == row.name


def test_every_record_has_the_format_of_its_table() -> None:
    """It has the wrapper and exactly the columns of an export, in alphabetical order."""
    for row in rows():
        tags = [child.tag for child in row.record]
        assert tags == sorted(tags)
        if row.table in EXPORTED:
            assert set(tags) == set(EXPORTED[row.table].split()) | set(COMMON.split())
        else:
            assert len(tags) == COUNTS[row.table]
        assert row.record.get("action") == "INSERT_OR_UPDATE"
        assert row.payload.tag == "record_update"
        wrapper = dict(row.payload.attrib)
        if row.table == "sys_dictionary":
            assert wrapper == {}
            assert row.record.attrib["element"] == row.value("element")
            assert row.record.attrib["table"] == row.value("name")
        elif row.table == "sys_documentation":
            assert wrapper == {}
            assert dict(row.payload[0].attrib) == {
                "element": row.value("element"),
                "label": row.value("label"),
                "language": "en",
                "table": row.value("name"),
            }
        elif row.table in DOMAIN_SEPARATED:
            assert wrapper == {"sys_domain": "global", "table": row.table}
        else:
            assert wrapper == {"table": row.table}


def test_rules_drop_old_translations_of_their_texts() -> None:
    """As in every export, each rule deletes only its own translations."""
    for row in of("sys_script"):
        extra = row.payload[1]
        assert extra.tag == "sys_translated_text"
        assert extra.get("query") == f"documentkey={row.value('sys_id')}"


def test_references_exist() -> None:
    """Every sys_id is a record in the file or one of two that exist on every instance."""
    known = set(by_id()) | {ADMIN, SIGNED_IN}
    for row in rows():
        for element in row.record:
            if element.tag != "sys_id" and re.fullmatch("[0-9a-f]{32}", element.text or ""):
                assert element.text in known, f"{row.name}.{element.tag!r}"


def test_tables_and_events_of_rules_and_actions_exist() -> None:
    """A rule's table is a base table. The events of actions and scripts are registered."""
    events = {row.value("event_name") for row in of("sysevent_register")}
    for row in of("sysevent_register"):
        assert row.value("event_name") == f"{SCOPE}.{row.value('suffix')}"
        assert row.value("table") in (*BASE_TABLES, *OWN_TABLES)
    assert {row.value("event_name") for row in of("sysevent_script_action")} == events
    assert {row.value("collection") for row in of("sys_script")} <= set(BASE_TABLES)
    queued = {name for text in scripts().values() for name in re.findall(rf"'({SCOPE}\.\w+)'", text)}
    assert queued - events == {f"{SCOPE}.user", f"{SCOPE}.enabled"}


def test_referenced_script_includes_exist() -> None:
    """Every class that a script uses is in the file under its own name."""
    names = {row.value("name") for row in of("sys_script_include")}
    for row in of("sys_script_include"):
        assert row.value("api_name") == f"{SCOPE}.{row.value('name')}"
        assert f"var {row.value('name')} = Class.create();" in row.script
    used = {name for text in scripts().values() for name in re.findall(r"\b(ServiceNowForMattermost\w+)", text)}
    assert used == names


@pytest.mark.parametrize("table", OWN_TABLES)
def test_each_table_is_complete(table: str) -> None:
    """It has a definition, a dictionary entry, labels for all columns, and four ACLs with a role each."""
    assert [row.value("name") for row in of("sys_db_object")].count(table) == 1
    columns = {row.value("element"): row for row in of("sys_dictionary") if row.value("name") == table}
    labels = {row.value("element") for row in of("sys_documentation") if row.value("name") == table}
    assert columns[""].value("internal_type") == "collection"
    assert len(columns) > 1
    assert labels == set(columns)
    controls = {row.value("operation"): row for row in of("sys_security_acl") if row.value("name") == table}
    assert set(controls) == {"create", "read", "write", "delete"}
    linked = {row.value("sys_security_acl") for row in of("sys_security_acl_role")}
    assert {row.value("sys_id") for row in controls.values()} <= linked


def test_acls_of_rows() -> None:
    """People with the role can create rows and change their own. Only admins see keys. No one writes deliveries."""
    roles = {row.value("sys_security_acl"): row.value("sys_user_role") for row in of("sys_security_acl_role")}
    rights = {
        (row.value("name"), row.value("operation")): (roles[row.value("sys_id")], row.script)
        for row in of("sys_security_acl")
    }
    assert rights[SUBSCRIPTIONS, "create"] == rights[SUBSCRIPTIONS, "read"] == (ROLE, "")
    for operation in ("write", "delete"):
        role, text = rights[SUBSCRIPTIONS, operation]
        assert role == ROLE
        assert "sys_created_by" in text
    for operation in ("create", "read", "write", "delete"):
        assert rights[KEYS, operation] == (ADMIN, "")
    assert rights[DELIVERIES, "read"] == (ADMIN, "")
    for operation in ("create", "write", "delete"):
        assert rights[DELIVERIES, operation][1].endswith("answer = false;")
    for row in of("sys_security_acl"):
        assert row.value("advanced") == ("true" if row.script else "false")
        assert row.value("admin_overrides") == ("false" if "answer = false" in row.script else "true")
    open_to_scopes = {row.value("name"): row.value("read_access") for row in of("sys_db_object")}
    assert open_to_scopes == {SUBSCRIPTIONS: "true", KEYS: "false", DELIVERIES: "false"}


def test_columns_of_version_2_1_keep_their_type_and_length() -> None:
    """A changed type or smaller length would be skipped at commit or lose data."""
    ours = {(row.value("name"), row.value("element")): row for row in of("sys_dictionary")}
    for key, (type_, length, sys_id) in COLUMNS.items():
        row = ours[key]
        assert row.value("internal_type") == type_
        assert int(row.value("max_length")) >= length
        assert row.value("sys_id") == sys_id
        assert row.value("mandatory") == row.value("unique") == "false"


def test_new_columns() -> None:
    """They have the types and lengths that the service expects. The signing secret is encrypted."""
    ours = {
        (row.value("name"), row.value("element")): (row.value("internal_type"), int(row.value("max_length")))
        for row in of("sys_dictionary")
    }
    assert {key: value for key, value in ours.items() if key not in COLUMNS} == {
        (SUBSCRIPTIONS, "name"): ("string", 100),
        (SUBSCRIPTIONS, "filter_query"): ("string", 4000),
        (SUBSCRIPTIONS, "options"): ("string", 255),
        (SUBSCRIPTIONS, "status"): ("string", 40),
        (SUBSCRIPTIONS, "status_reason"): ("string", 255),
        (SUBSCRIPTIONS, "filter_error"): ("string", 255),
        (KEYS, "key_id"): ("string", 40),
        (KEYS, "signing_secret"): ("password2", 255),
        (DELIVERIES, ""): ("collection", 40),
        (DELIVERIES, "event_id"): ("string", 40),
        (DELIVERIES, "server_url"): ("string", 255),
        (DELIVERIES, "body"): ("string", 262144),
        (DELIVERIES, "state"): ("string", 40),
        (DELIVERIES, "attempts"): ("integer", 40),
        (DELIVERIES, "next_attempt"): ("glide_date_time", 40),
        (DELIVERIES, "last_status"): ("integer", 40),
        (DELIVERIES, "last_error"): ("string", 255),
    }


def test_every_record_of_version_2_1_keeps_its_id() -> None:
    """The IDs of customers' instances are in the file."""
    ours: dict[str, set[str]] = defaultdict(set)
    for row in rows():
        ours[row.table].add(row.value("sys_id"))
    for table, ids in RECORDS.items():
        assert ids <= ours[table], table
    assert set(published()) <= {row.name for row in rows()}
    assert of("sys_app")[0].value("scope") == SCOPE


def test_unchanged_records_keep_their_guid_and_changed_ones_extend_their_history() -> None:
    """An unchanged record has the checksum of version 2.1. A changed one has a newer date and keeps the old pairs."""
    unchanged = changed = 0
    for row in rows():
        before = published().get(row.name)
        if before is None:
            assert "," not in row.columns["update_guid_history"]
            assert row.value("sys_mod_count") == "0"
        elif row.columns["update_guid"] == before.guid:
            unchanged += 1
            assert row.columns["payload_hash"] == before.payload_hash
            assert row.columns["update_guid_history"] == before.history
            assert row.value("sys_updated_on") == before.updated_on
        else:
            changed += 1
            assert row.columns["update_guid_history"].endswith("," + before.history)
            assert row.value("sys_updated_on") > before.updated_on
            assert int(row.value("sys_mod_count")) == before.mod_count + 1
            assert row.value("sys_created_on") == before.created_on
    assert (unchanged, changed) == (41, 23)


def test_exactly_one_rule_and_action_are_active_for_each_change() -> None:
    """The old table rules and actions keep their IDs but are inactive and empty, so that nothing is sent twice."""
    for row in (*of("sys_script"), *of("sysevent_script_action")):
        retired = row.value("sys_id") in RETIRED
        assert row.value("active") == ("false" if retired else "true")
        assert ("ServiceNowForMattermost" in row.script) != retired
    assert sorted(row.value("collection") for row in of("sys_script") if row.value("active") == "true") == [
        "kb_knowledge",
        "task",
    ]
    for row in of("sys_script"):
        assert (row.value("when"), row.value("action_insert"), row.value("action_update")) == ("after", "true", "true")
    assert {row.value("synchronous") for row in of("sysevent_script_action")} == {"false"}
    assert {row.value("queue") for row in of("sysevent_register")} == {""}


def test_rest_resources() -> None:
    """Two definitions provide the resources that the service calls."""
    definitions = {row.value("sys_id"): row for row in of("sys_ws_definition")}
    for row in definitions.values():
        assert row.value("base_uri") == f"/api/{SCOPE}/{row.value('service_id')}"
        assert row.value("namespace") == SCOPE
    addresses = set()
    for row in of("sys_ws_operation"):
        base = definitions[row.value("web_service_definition")].value("base_uri")
        assert row.value("operation_uri") == base + row.value("relative_path")
        assert row.value("requires_authentication") == "true"
        addresses.add((row.value("http_method"), row.value("operation_uri")))
    assert addresses == {
        ("GET", f"/api/{SCOPE}/getstates/{{record_type}}"),
        ("GET", f"/api/{SCOPE}/component/version"),
        ("GET", f"/api/{SCOPE}/component/columns/{{table}}"),
        ("GET", f"/api/{SCOPE}/component/status"),
        ("POST", f"/api/{SCOPE}/component/test"),
    }


def test_the_table_column_of_rows() -> None:
    """Lists filter on it. It has the rule's table, the action's event or the ACL's table."""
    source = {
        "sys_db_object": "name",
        "sys_dictionary": "name",
        "sys_documentation": "name",
        "sys_security_acl": "name",
        "sysevent_register": "table",
        "sys_script": "collection",
        "sysevent_script_action": "event_name",
    }
    for row in rows():
        if row.table == "sys_security_acl_role":
            expected = by_id()[row.value("sys_security_acl")].value("name")
        else:
            expected = row.value(source[row.table]) if row.table in source else ""
        assert row.columns["table"] == expected
        assert row.columns["target_name"]


def test_the_file_has_no_secrets_or_hosts() -> None:
    """No payload has a URL, a host, an address or anything that looks like a credential."""
    for row in rows():
        text = row.columns["payload"]
        assert not re.search(r"https?://|service-now\.com|localhost|\b\d{1,3}(\.\d{1,3}){3}\b|@[\w-]+\.\w", text)
        assert not re.search(r"(?i)(password|secret|token|bearer)\s*[:=]\s*['\"][^'\"]+['\"]", text)
