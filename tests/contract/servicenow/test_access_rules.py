"""Who can do what with an imported table's rows (update-set reference §2.2, §3.7; API reference §1.6)."""

from typing import Any

import pytest

from tests.contract.servicenow.conftest import Instance
from tests.contract.servicenow.update_set import UpdateSet

TABLE = "x_example_note"
PATH = f"/api/now/table/{TABLE}"
MINE = "answer = gs.hasRole('admin') || current.sys_created_by == gs.getUserName();"


@pytest.fixture
def ruled(instance: Instance) -> Instance:
    """A table: the role reads and creates, creators write and delete, and only administrators see `secret`."""
    update_set = UpdateSet()
    role = update_set.role("x_example.user")
    update_set.table(TABLE, {"text": "string:100", "secret": "string:100"})
    for operation in ("read", "create"):
        update_set.access(TABLE, operation, role=role)
    for operation in ("write", "delete"):
        update_set.access(TABLE, operation, role=role, script=MINE)
    for operation in ("read", "write"):
        update_set.access(f"{TABLE}.secret", operation, script="answer = gs.hasRole('admin');")
    instance.commit(update_set)
    instance.grant("x_example.user", "agent", "agent2")
    return instance


def test_the_role_reads_and_creates(ruled: Instance) -> None:
    """A table whose rules all need a role is closed to people without it: lists, one row, counts, every write."""
    row = ruled.insert(TABLE, {"text": "a"}, "agent")
    assert [one["text"] for one in ruled.send("GET", PATH, who="agent2").json()["result"]] == ["a"]
    one = f"{PATH}/{row['sys_id']}"
    for method, path in (
        ("GET", PATH), ("GET", one), ("POST", PATH), ("PATCH", one), ("PUT", one), ("DELETE", one),
        ("GET", f"/api/now/stats/{TABLE}"), ("GET", f"/api/now/ui/meta/{TABLE}"),
    ):  # fmt: skip
        refused = ruled.send(method, path, {"text": "b"} if method in {"POST", "PATCH", "PUT"} else None, "newcomer")
        told = refused.json()["error"]
        assert (method, path, refused.status_code, told["message"]) == (method, path, 403, "User Not Authorized")
        assert told["detail"] == "Failed API level ACL Validation"
    assert [one["text"] for one in ruled.double.rows(TABLE)] == ["a"]


def test_rules_about_rows_hide_rows(instance: Instance) -> None:
    """With one rule that needs no role, a list is empty although counted, and one row isn't found."""
    update_set = UpdateSet()
    role = update_set.role("x_example.user")
    update_set.table(TABLE, {"text": "string:100"})
    update_set.access(TABLE, "read", role=role)
    update_set.access(TABLE, "read", script=MINE)
    instance.commit(update_set)
    row = instance.double.store.insert(TABLE, {"text": "a"}, "system")
    hidden = instance.send("GET", PATH, who="newcomer")
    assert (hidden.json()["result"], hidden.headers["X-Total-Count"]) == ([], "1")
    assert instance.send("GET", f"{PATH}/{row['sys_id']}", who="newcomer").status_code == 404


def test_creators_and_administrators_write_and_delete(ruled: Instance) -> None:
    """The rule's script sees the row and the user."""
    row = ruled.insert(TABLE, {"text": "a"}, "agent")
    path = f"{PATH}/{row['sys_id']}"
    assert ruled.send("PATCH", path, {"text": "b"}, "agent2").status_code == 403
    assert ruled.send("DELETE", path, who="agent2").status_code == 403
    assert ruled.send("PATCH", path, {"text": "b"}, "agent").json()["result"]["text"] == "b"
    assert ruled.send("PATCH", path, {"text": "c"}, "admin").status_code == 200
    assert ruled.send("DELETE", path, who="agent").status_code == 204


def test_a_column_can_have_its_own_rule(ruled: Instance) -> None:
    """Others can't see it or filter by it, and what they send for it is dropped."""
    row = ruled.insert(TABLE, {"text": "a", "secret": "x"}, "agent")
    assert "secret" not in row
    assert ruled.double.row(TABLE, row["sys_id"])["secret"] == ""
    ruled.update(TABLE, row["sys_id"], {"secret": "y"})
    assert ruled.send("GET", PATH, who="admin").json()["result"][0]["secret"] == "y"
    assert ruled.send("GET", PATH, who="agent", sysparm_query="secret=y").status_code == 403


@pytest.mark.parametrize(
    ("rule", "who", "may"),
    [
        ({}, "agent", False),
        ({}, "admin", True),
        ({"admin_overrides": "false"}, "admin", False),
        ({"script": "answer = true;"}, "agent", True),
        ({"script": "true;"}, "agent", True),
        ({"script": "answer = false;"}, "agent", False),
        ({"script": "current.nothing.more;"}, "agent", False),
        ({"script": "let x = true;"}, "agent", False),
        ({"script": "answer = false;"}, "admin", True),
        ({"script": "answer = false;", "admin_overrides": "false"}, "admin", False),
        ({"condition": "text=a"}, "agent", True),
        ({"condition": "text=b"}, "agent", False),
        ({"script": "answer = true;", "active": "false"}, "agent", False),
    ],
)
def test_a_rule_passes_only_if_all_its_parts_do(instance: Instance, rule: dict[str, Any], who: str, may: bool) -> None:
    """Role, condition and script; an empty rule rejects everyone, and so does a broken script."""
    update_set = UpdateSet()
    update_set.table(TABLE, {"text": "string:100"})
    update_set.access(TABLE, "read", **rule)
    instance.commit(update_set)
    row = instance.double.store.insert(TABLE, {"text": "a"}, "system")
    assert (instance.send("GET", f"{PATH}/{row['sys_id']}", who=who).status_code == 200) is may


def test_scripts_bypass_access_rules_but_can_check_them(ruled: Instance) -> None:
    """A script reads every row, and `canRead` and similar methods say what its user can do."""
    row = ruled.insert(TABLE, {"text": "a"}, "agent")
    update_set = UpdateSet("Second")
    script = f"""
        var g = new GlideRecord('{TABLE}'); g.get('{row["sys_id"]}');
        gs.info([g.text, g.canRead(), g.canWrite(), g.canCreate(), g.canDelete()].join());
    """
    update_set.rule("incident", script)
    ruled.commit(update_set)
    for who in ("newcomer", "agent2", "agent"):
        ruled.insert("incident", {"short_description": "Printer"}, who)
    assert ruled.logged() == ["a,false,false,false,false", "a,true,false,true,false", "a,true,true,true,true"]


def test_a_table_can_be_closed_to_web_services(instance: Instance) -> None:
    """Then nobody can read or write it over REST, not even administrators; scripts can."""
    update_set = UpdateSet()
    update_set.table(TABLE, {"text": "string:100"}, flags={"ws_access": "false"})
    update_set.rule("incident", f"var g = new GlideRecord('{TABLE}'); g.text = 'a'; gs.info('' + !!g.insert());")
    instance.commit(update_set)
    for response in (instance.send("GET", PATH), instance.send("POST", PATH, {"text": "a"})):
        assert response.status_code == 403
        assert response.json()["error"]["detail"] == "Failed API level ACL Validation"
    instance.insert("incident", {"short_description": "Printer"}, "agent")
    assert instance.logged() == ["true"]


def test_a_removed_rule_stops_at_once(ruled: Instance) -> None:
    """Rules are read when they are needed."""
    ruled.insert(TABLE, {"text": "a"}, "agent")
    assert len(ruled.send("GET", PATH, who="agent").json()["result"]) == 1
    [link] = [row for row in ruled.double.rows("sys_user_has_role") if row["sys_created_by"] == "admin"][:1]
    ruled.send("DELETE", f"/api/now/table/sys_user_has_role/{link['sys_id']}")
    assert ruled.send("GET", PATH, who="agent").json()["error"]["message"] == "User Not Authorized"
    [rule] = [
        row for row in ruled.double.rows("sys_security_acl") if row["operation"] == "read" and row["name"] == TABLE
    ]
    ruled.update("sys_security_acl", rule["sys_id"], {"active": "false"})
    assert ruled.send("GET", PATH, who="agent2").json()["result"] == []
