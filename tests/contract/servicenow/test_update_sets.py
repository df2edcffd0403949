"""Loading, previewing and committing an update set (update-set reference §1, §3.1, §5)."""

import json
import os
import time
from pathlib import Path

import pytest

from tests.contract.servicenow.conftest import Instance
from tests.contract.servicenow.update_set import SCOPE, UpdateSet, sys_id

TABLE = "x_example_thing"
RECORDED = Path(__file__).parents[4] / "shared/recorded/servicenow/update_sets.json"
LATER = 4_000_000_000  # recorded after anything done today


def descriptions(instance: Instance, update_set: UpdateSet) -> list[str]:
    """The problems that the preview finds."""
    found = instance.load(update_set)
    assert found["committed"] is not bool(found["problems"])
    return [problem["description"] for problem in found["problems"]]


def test_a_set_creates_tables_columns_labels_and_choices(instance: Instance) -> None:
    """Rows of the new table have its defaults, lengths and choices; the dictionary and the table list include it."""
    update_set = UpdateSet()
    update_set.table(TABLE, {"name": "string:5", "done": "boolean", "state": "integer", "owner": "reference"})
    update_set.column(TABLE, "done", "boolean", default_value="true")
    update_set.column(TABLE, "state", "integer", choice="1")
    update_set.column(TABLE, "owner", "reference", reference="sys_user")
    update_set.choices(TABLE, "state", {"1": "New", "2": "Old"})
    label = f'<sys_documentation element="name" label="Its name" language="en" table="{TABLE}">'
    inner = f"<element>name</element><name>{TABLE}</name><label>Its name</label><language>en</language>"
    inner += f"<sys_id>{sys_id('d')}</sys_id>"
    inner = f'<sys_documentation action="INSERT_OR_UPDATE">{inner}</sys_documentation></sys_documentation>'
    update_set.raw(f"sys_documentation_{TABLE}_name_en", f"<record_update>{label}{inner}</record_update>")
    assert instance.commit(update_set)["log"] == [f"Creating table {TABLE}"]
    given = {"name": "too long", "state": "2", "owner": sys_id("user agent")}
    row = instance.insert(TABLE, given, sysparm_display_value="all")
    assert row["name"]["value"] == "too l"
    assert row["done"]["value"] == "true"
    assert instance.update(TABLE, row["sys_id"]["value"], {"done": False})["done"] == "false"
    assert instance.update(TABLE, row["sys_id"]["value"], {"done": "1"})["done"] == "true"
    assert row["state"] == {"display_value": "Old", "value": "2"}
    meta = instance.send("GET", f"/api/now/ui/meta/{TABLE}").json()["result"]["columns"]
    assert meta["name"]["label"] == "Its name"
    assert meta["state"]["choices"] == [{"value": "1", "label": "New"}, {"value": "2", "label": "Old"}]
    query = {"sysparm_query": f"scope={SCOPE}", "sysparm_fields": "sys_id,scope,name,version"}
    [scope] = instance.send("GET", "/api/now/table/sys_scope", **query).json()["result"]
    assert scope == {"sys_id": update_set.application, "scope": SCOPE, "name": "Example", "version": "1.0.0"}
    named = instance.send("GET", "/api/now/table/sys_db_object", sysparm_query=f"name={TABLE}").json()["result"]
    assert named[0]["sys_scope"]["value"] == update_set.application


def test_a_table_can_extend_one_of_the_instance(instance: Instance) -> None:
    """It has the parent's columns, and its rows are visible through the parent."""
    [task] = instance.send("GET", "/api/now/table/sys_db_object", sysparm_query="name=task").json()["result"]
    update_set = UpdateSet()
    update_set.table("x_example_task", {"x_more": "string"}, extends=task["sys_id"])
    instance.commit(update_set)
    row = instance.insert("x_example_task", {"short_description": "a", "x_more": "b"})
    found = instance.send("GET", f"/api/now/table/task/{row['sys_id']}").json()["result"]
    assert found["sys_class_name"] == "x_example_task"


def test_a_table_in_another_format_has_no_storage(instance: Instance) -> None:
    """
    Rows without the handler's format, or no row for the table itself: committed silently, and no table is created.
    """
    update_set = UpdateSet()
    update_set.record("sys_db_object", sys_id("t1"), {"name": "x_example_one", "label": "One"})
    column = {"name": "x_example_one", "element": "", "internal_type": "collection"}
    update_set.record("sys_dictionary", sys_id("c1"), column)
    update_set.record("sys_db_object", sys_id("t2"), {"name": "x_example_two", "label": "Two"})
    update_set.column("x_example_two", "name", "string")
    found = instance.commit(update_set)
    assert found["log"] == []
    for table in ("x_example_one", "x_example_two"):
        response = instance.send("GET", f"/api/now/table/{table}")
        assert response.status_code == 400
        assert response.json()["error"]["message"] == f"Invalid table {table}"


def test_an_upgrade_keeps_rows_and_skips_what_would_lose_data(instance: Instance) -> None:
    """
    New columns are empty in old rows, and lengths can increase; another type or a shorter length is logged and skipped.
    """
    first = UpdateSet("One")
    first.table(TABLE, {"name": "string:10", "short": "string:10", "unused": "string:10"})
    instance.commit(first)
    row = instance.insert(TABLE, {"name": "0123456789", "short": "abc"})
    second = UpdateSet("Two", recorded=LATER)
    second.table(TABLE, {"name": "integer", "short": "string:2", "unused": "integer", "added": "boolean"})
    second.column(TABLE, "added", "boolean", default_value="true")
    log = instance.commit(second)["log"]
    assert log == [
        f"Skipped: type of {TABLE}.name stays string, not integer: there is data",
        f"Skipped: length of {TABLE}.short stays 10, not 2: there is data",
    ]
    kept = instance.send("GET", f"/api/now/table/{TABLE}/{row['sys_id']}").json()["result"]
    assert kept == row | {"added": ""}
    third = UpdateSet("Three", recorded=LATER + 60)
    third.table(TABLE, {"name": "string:20"})
    third.column(TABLE, "unused", "integer", action="DELETE")
    instance.commit(third)
    grown = instance.update(TABLE, row["sys_id"], {"name": "x" * 30})
    assert grown["name"] == "x" * 20
    assert "unused" not in grown


def test_a_record_matched_by_name_keeps_the_instances_id(instance: Instance) -> None:
    """An existing role is kept, and the set's rules require it."""
    own = instance.insert("sys_user_role", {"name": "x_example.user"})
    instance.grant("x_example.user", "agent")
    update_set = UpdateSet()
    update_set.table(TABLE, {"name": "string"}, role=update_set.role("x_example.user"))
    instance.commit(update_set)
    roles = [row["sys_id"] for row in instance.double.rows("sys_user_role") if row["name"] == "x_example.user"]
    assert roles == [own["sys_id"]]
    assert instance.insert(TABLE, {"name": "a"}, "agent")["name"] == "a"


def test_tables_closed_to_sets_are_logged(instance: Instance) -> None:
    """Users' roles and unknown tables are rejected; unknown columns are dropped silently."""
    update_set = UpdateSet()
    update_set.record("sys_user_has_role", sys_id("h"), {"user": sys_id("user agent"), "role": sys_id("role admin")})
    update_set.record("x_nobody_knows", sys_id("n"), {"name": "n"})
    update_set.record("sys_script_include", sys_id("i"), {"name": "Kept", "misspelt": "x"})
    log = instance.commit(update_set)["log"]
    assert len([line for line in log if line.startswith("Refused:")]) == 2
    assert "misspelt" not in instance.double.row("sys_script_include", sys_id("i"))


def test_a_missing_reference_is_a_problem(instance: Instance) -> None:
    """If neither instance nor set has it; names instead of IDs count as missing, roles aren't checked."""
    update_set = UpdateSet()
    update_set.record(
        "sys_ws_operation", sys_id("o"), {"web_service_definition": "things", "enforce_acl": sys_id("none")}
    )
    update_set.record(
        "sys_security_acl_role", sys_id("l"), {"sys_security_acl": sys_id("no"), "sys_user_role": "nobody"}
    )
    missing = "Could not find a record in {} for column {} referenced in this update"
    assert descriptions(instance, update_set) == [
        missing.format("sys_ws_definition", "web_service_definition"),
        missing.format("sys_security_acl", "enforce_acl"),
        missing.format("sys_security_acl", "sys_security_acl"),
    ]
    [problem, *_] = instance.double.rows("sys_update_preview_problem")
    assert (problem["type"], problem["status"]) == ("error", "")
    assert (problem["missing_item_table"], problem["missing_item"]) == ("sys_ws_definition", "things")


def test_a_scope_by_name_or_twice_fails_every_update(instance: Instance) -> None:
    """Each update that names the scope has the same problem, even with a separate row for the scope."""
    update_set = UpdateSet()
    update_set.record("sys_script_include", sys_id("i"), {"name": "I", "sys_scope": SCOPE})
    assert descriptions(instance, update_set) == [
        "Could not find a record in sys_scope for column sys_scope referenced in this update"
    ]
    instance.double.reset()
    twice = UpdateSet()
    twice.record("sys_scope", twice.application, {"scope": SCOPE, "name": "Example"})
    for name in "ABC":
        twice.include(name, f"var {name} = 1;")
    assert len(descriptions(instance, twice)) == 3


def test_another_scopes_update_cant_be_committed(instance: Instance) -> None:
    """The error is the platform's, with both IDs."""
    update_set = UpdateSet("Mixed")
    document = '<record_update table="sys_script_include"><sys_script_include action="INSERT_OR_UPDATE">'
    document += f"<sys_id>{sys_id('i')}</sys_id><name>I</name></sys_script_include></record_update>"
    update_set.raw("x", document, application="global")
    assert descriptions(instance, update_set) == [
        "Cannot commit Update Set 'Mixed' because: Update scope id 'global' is different than update set scope id "
        f"'{update_set.application}'"
    ]


def test_a_newer_local_change_collides(instance: Instance) -> None:
    """What an administrator changed or deleted after the build; an older change and the same set again don't."""
    first = UpdateSet("One")
    first.include("A", "var A = 1;")
    first.include("B", "var B = 1;")
    instance.commit(first)
    instance.update("sys_script_include", sys_id("include A"), {"active": "false"})
    instance.send("DELETE", f"/api/now/table/sys_script_include/{sys_id('include B')}")
    again = UpdateSet("Two")
    again.include("A", "var A = 2;")
    again.include("B", "var B = 2;")
    assert descriptions(instance, again) == ["Found a local update that is newer than this one"] * 2
    instance.send("DELETE", f"/api/now/table/sys_remote_update_set/{again.sys_id}")
    later = UpdateSet("Three", recorded=LATER)
    later.include("A", "var A = 3;")
    assert instance.commit(later)["problems"] == []


def test_two_loaded_sets_with_the_same_update(instance: Instance) -> None:
    """While one isn't committed, the other reports it; afterwards it doesn't."""
    first, second = UpdateSet("One"), UpdateSet("Two")
    for update_set in (first, second):
        update_set.include("A", "var A = 1;")
    assert instance.load(first, commit="no")["committed"] is False
    assert set(descriptions(instance, second)) == {
        "This update is in another retrieved update set that is not committed: One"
    }
    instance.double.update_sets.commit(first.sys_id)
    assert instance.double.update_sets.preview(second.sys_id) == []


def test_deleting_a_table_with_rows_is_a_problem(instance: Instance) -> None:
    """It is a problem of its own kind; an empty table is none, and its storage is kept."""
    first = UpdateSet("One")
    first.table(TABLE, {"name": "string"})
    instance.commit(first)
    row = instance.insert(TABLE, {"name": "a"})
    second = UpdateSet("Two")
    second.record("sys_db_object", sys_id(f"table {TABLE}"), {"name": TABLE}, action="DELETE")
    assert descriptions(instance, second) == [f"Table to be deleted has data: {TABLE}"]
    instance.send("DELETE", f"/api/now/table/{TABLE}/{row['sys_id']}")
    assert instance.double.update_sets.preview(second.sys_id) == []


def test_the_same_file_again_appends(instance: Instance) -> None:
    """Its updates are added to the existing set, which is loaded again (measured)."""
    update_set = UpdateSet()
    update_set.include("A", "var A = 1;")
    counts = [instance.commit(update_set)["loaded"] for _ in range(3)]
    assert counts == [2, 4, 6]
    assert len(instance.double.rows("sys_remote_update_set")) == 1
    assert len(instance.double.rows("sys_script_include")) == 1


def test_a_set_inside_a_local_set_imports_nothing(instance: Instance) -> None:
    """Updates with a filled `update_set` aren't part of the retrieved set."""
    update_set = UpdateSet()
    xml = update_set.xml().replace(b"<update_set/></sys_update_xml>", b"<update_set>x</update_set></sys_update_xml>")
    xml = xml.replace(b"<update_set></update_set></sys_update_xml>", b"<update_set>x</update_set></sys_update_xml>")
    assert instance.load(xml)["loaded"] == 0


@pytest.mark.skipif(not RECORDED.exists(), reason=f"no recordings at {os.path.relpath(RECORDED)}")
def test_a_sets_life_is_as_recorded(instance: Instance) -> None:
    """
    Loaded with its counts, previewed, unchanged by a PATCH of its state, rejected as a row, deleted with its parts.
    """
    entries = {entry["what"].split(":")[0]: entry for entry in json.loads(RECORDED.read_text())}
    update_set = UpdateSet()
    instance.double.update_sets.load(update_set.xml())
    path = f"/api/now/table/sys_remote_update_set/{update_set.sys_id}"
    loaded = entries["Retrieved set right after the upload"]
    fields = loaded["request"]["query"]["sysparm_fields"]
    row = instance.send("GET", path, sysparm_fields=fields).json()["result"]
    assert set(row) == set(loaded["response"]["body"]["result"])
    assert (row["state"], row["summary"], row["inserted"]) == ("loaded", "1", "1")
    instance.double.update_sets.preview(update_set.sys_id)
    problems = entries["Preview problems of type error"]
    query = f"remote_update_set={update_set.sys_id}^type=error"
    found = instance.send("GET", "/api/now/table/sys_update_preview_problem", sysparm_query=query)
    assert found.json() == problems["response"]["body"]
    patched = entries["PATCH of state (previewed or committing) is answered 200 and changes nothing"]
    assert instance.send("PATCH", path, {"state": "committing"}).status_code == patched["response"]["status"]
    assert instance.double.row("sys_remote_update_set", update_set.sys_id)["state"] == "previewed"
    refused = entries["POST of a whole export to the table"]
    posted = instance.send("POST", "/api/now/table/sys_remote_update_set", {"name": "x"})
    assert posted.status_code == refused["response"]["status"]
    deleted = entries["DELETE of the retrieved set"]
    assert instance.send("DELETE", path).status_code == deleted["response"]["status"]
    assert instance.double.rows("sys_update_xml") == []


def test_local_sets_cant_be_deleted(instance: Instance) -> None:
    """403, even for an administrator (recorded)."""
    instance.commit(UpdateSet())
    [local] = instance.double.rows("sys_update_set")
    assert local["state"] == "complete"
    assert instance.send("DELETE", f"/api/now/table/sys_update_set/{local['sys_id']}").status_code == 403


def test_a_large_table_is_listed_quickly(instance: Instance) -> None:
    """Access rules aren't evaluated again for each row."""
    update_set = UpdateSet()
    update_set.table(TABLE, {"name": "string"}, role=update_set.role("x_example.user"))
    instance.commit(update_set)
    instance.grant("x_example.user", "agent")
    for number in range(2000):
        instance.double.store.insert(TABLE, {"name": str(number)}, "system")
    began = time.process_time()
    assert len(instance.send("GET", f"/api/now/table/{TABLE}", who="agent").json()["result"]) == 2000
    assert time.process_time() - began < 1
