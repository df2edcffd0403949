"""GlideRecord and its elements work in scripts as on the platform (update-set reference §4.5)."""

import pytest

from tests.contract.servicenow.conftest import Instance
from tests.contract.servicenow.update_set import UpdateSet

ON_INSERT = {"action_update": "false"}


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("typeof current.state", "object"),
        ("!!current.assignment_group", "true"),
        ("current.assignment_group.nil()", "true"),
        ("current.state == 1", "true"),
        ("current.state === '1'", "false"),
        ("current.state + ''", "1"),
        ("JSON.stringify({ state: current.state })", '{"state":{}}'),
        ("current.getValue('state') === '1'", "true"),
        ("current.getValue('assignment_group') === null", "true"),
        ("current.getDisplayValue('assignment_group') === ''", "true"),
        ("current.getValue('no_such_column')", "null"),
        ("current.no_such_column", "undefined"),
        ("current.getValue('active')", "1"),
        ("current.active", "true"),
        ("current.active == true", "true"),
        ("current.made_sla == false", "false"),
        ("current.state.getDisplayValue()", "New"),
        ("current.getDisplayValue('opened_by')", "Amir Agent"),
        ("current.opened_by.user_name", "agent"),
        ("current.opened_by.manager.name", ""),
        ("current.opened_by.getRefRecord().getValue('user_name')", "agent"),
        ("current.opened_by.getReferenceTable()", "sys_user"),
        ("current.sys_class_name.getDisplayValue()", "Incident"),
        ("current.short_description.getLabel()", "Short description"),
        ("current.getElement('urgency').getName()", "urgency"),
        (
            "current.getTableName() + current.getRecordClassName() + current.getClassDisplayValue()",
            "incidentincidentIncident",
        ),
        ("current.getUniqueValue() === String(current.sys_id)", "true"),
        ("current.isValidField('state') + ' ' + current.isValidField('nothing')", "true false"),
        ("current.isNewRecord() + ' ' + current.isValidRecord() + ' ' + current.isValid()", "false true true"),
        ("current.getLink().split('=')[0]", "incident.do?sys_id"),
        ("current instanceof GlideRecord", "true"),
        ("'state' in current", "true"),
        ("current.operation()", "insert"),
        ("previous", "null"),
        ("current.urgency.changes()", "true"),
        ("current.assignment_group.changes()", "false"),
        ("new GlideRecord('no_such_table').isValid()", "false"),
    ],
)
def test_a_record_and_its_elements(instance: Instance, expression: str, says: str) -> None:
    """Fields are objects that compare and concatenate as text; getValue gives text or null."""
    assert instance.says(f"gs.info('' + ({expression}));") == [says]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("g.addQuery('user_name', 'AGENT')", "agent"),
        ("g.addQuery('user_name', 'CONTAINS', 'GENT2')", "agent2"),
        ("g.addQuery('user_name', 'IN', 'agent,admin')", "admin,agent"),
        ("g.addQuery('user_name', 'IN', ['agent', 'admin'])", "admin,agent"),
        ("g.addQuery('user_name', 'agent').addOrCondition('user_name', 'admin')", "admin,agent"),
        ("g.addQuery('active', true); g.addQuery('user_name', 'agent')", "agent"),
        ("g.addQuery('active', 1); g.addQuery('user_name', 'agent')", "agent"),
        ("g.addEncodedQuery('user_nameSTARTSWITHreq^ORuser_name=approver')", "approver,requester"),
        ("g.addEncodedQuery('user_name=agent^NQuser_name=admin'); g.addQuery('first_name', 'Ada')", "admin"),
        ("g.addNotNullQuery('manager')", "requester"),
        (
            "g.addNullQuery('manager'); g.addQuery('user_name', 'STARTSWITH', 'a'); g.addActiveQuery()",
            "abel.tuter,admin,agent,agent2,approver",
        ),
        ("g.addQuery('manager.user_name', 'approver')", "requester"),
        ("g.addQuery('user_name', 'a^ORuser_name=admin')", ""),
        ("g.addQuery('manager', null); g.addQuery('user_name', 'requester')", ""),
        ("g.addQuery('user_name', 'STARTSWITH', 'agent'); g.setLimit(1)", "agent"),
        ("g.addQuery('user_name', 'STARTSWITH', 'a'); g.chooseWindow(1, 3)", "admin,agent"),
    ],
)
def test_queries(instance: Instance, query: str, says: str) -> None:
    """Conditions are joined by AND and ignore case; a value remains a value, whatever it contains."""
    script = f"var g = new GlideRecord('sys_user'); {query}; g.orderBy('user_name'); g.query(); var found = [];"
    assert instance.says(f"{script} while (g.next()) found.push('' + g.user_name); gs.info(found.join());") == [says]


def test_an_unknown_column_in_a_query_is_dropped(instance: Instance) -> None:
    """The rest of the query runs and returns every row; with the property set, it returns none."""
    script = "var g = new GlideRecord('sys_user_role'); g.addQuery('nothing', 'x'); g.query();"
    script += "gs.info('' + (g.getRowCount() > 2));"
    check = "gs.info(g.isValidEncodedQuery('nothing=x') + ' ' + g.isValidEncodedQuery('name=x'));"
    assert instance.says(script + check) == ["true", "false true"]
    instance.insert("sys_properties", {"name": "glide.invalid_query.returns_no_rows", "value": "true"})
    instance.insert("incident", {"short_description": "Printer"}, "agent")
    assert instance.logged()[2] == "false"


def test_elements_follow_the_record(instance: Instance) -> None:
    """An element that was kept shows the record's current row."""
    script = """
        var g = new GlideRecord('sys_user'), kept = [], texts = [];
        g.addQuery('user_name', 'STARTSWITH', 'agent'); g.orderBy('user_name'); g.query();
        while (g.next()) { kept.push(g.user_name); texts.push(String(g.user_name)); }
        gs.info(kept.join() + ' ' + texts.join());
    """
    assert instance.says(script) == ["agent2,agent2 agent,agent2"]


def test_get_finds_by_id_column_and_display_value(instance: Instance) -> None:
    """`get` returns whether it found a record, and leaves the record invalid otherwise."""
    script = """
        var g = new GlideRecord('sys_user'), one = g.get('user_name', 'agent'), id = g.getUniqueValue();
        var two = new GlideRecord('sys_user').get(id), three = new GlideRecord('sys_user').get('Amir Agent');
        var four = g.get('user_name', 'nobody');
        gs.info([one, two, three, four, g.isValidRecord()].join());
    """
    assert instance.says(script) == ["true,true,true,false,false"]


def test_scripts_write_rows(instance: Instance) -> None:
    """Insert, update, delete; a rejected write returns null and a reason; writes are made as the script's user."""
    script = """
        if (current.short_description == 'Made') return;
        var g = new GlideRecord('incident');
        g.newRecord(); var fresh = g.isNewRecord() + ' ' + g.state;
        g.initialize(); g.short_description = 'Made'; g.setValue('urgency', 2);
        g.assigned_to.setDisplayValue('Aiko Agent');
        var id = g.insert();
        g.comments = 'first'; g.state = 2; var updated = g.update() === id;
        g.state = 6; var refused = g.update();
        var why = g.getLastErrorMessage().slice(0, 16);
        gs.info([fresh, g.getDisplayValue('assigned_to'), g.priority, updated, refused, why].join('|'));
        var h = new GlideRecord('incident'); h.get(id);
        gs.info(h.state + ' ' + h.sys_created_by + ' ' + h.comments.getJournalEntry(1).split('\\n')[1]);
        gs.info(h.deleteRecord() + ' ' + new GlideRecord('incident').get(id));
    """
    policy = "has been refused due to the table's cross-scope access policy"
    made = instance.says(script)
    assert made == ["true 1|Aiko Agent|4|true||Operation Failed", "2 agent first", "false true"]
    assert instance.logged("2")[-1] == f"Delete operation against 'incident' from scope 'x_example' {policy}"


def test_setting_an_unknown_column_does_nothing(instance: Instance) -> None:
    """A misspelled field is lost silently, as on the platform."""
    script = (
        "current.shortdescription = 'x'; gs.info('' + current.shortdescription + current.getValue('shortdescription'));"
    )
    assert instance.says(script) == ["undefinednull"]


def test_rows_come_in_pages_and_in_order(instance: Instance) -> None:
    """A long result is read completely; sorting can be descending, and numbers sort by value."""
    for number in range(60):
        instance.double.store.insert("cmdb_ci", {"name": f"x{number:02d}", "asset_tag": str(number)}, "system")
    script = """
        var g = new GlideRecord('cmdb_ci'), seen = [];
        g.addNotNullQuery('asset_tag'); g.orderByDesc('asset_tag'); g.query();
        while (g.hasNext()) { g.next(); seen.push(g.getValue('asset_tag')); }
        gs.info(seen.length + ' ' + seen[0] + ' ' + seen[50] + ' ' + seen[59] + ' ' + g.getRowCount());
    """
    assert instance.says(script) == ["60 59 9 0 60"]


def test_many_rows_are_updated_and_deleted(instance: Instance) -> None:
    """`updateMultiple` and `deleteMultiple` change the query's rows in a table of their own scope."""
    update_set = UpdateSet()
    update_set.table("x_example_thing", {"name": "string", "tag": "string"})
    script = """
        var g, h;
        function things() { return new GlideRecord('x_example_thing'); }
        ['P1', 'P2', 'Q1'].forEach(function (name) { g = things(); g.name = name; g.insert(); });
        g = things(); g.addQuery('name', 'STARTSWITH', 'P'); g.setValue('tag', 'P'); g.updateMultiple();
        h = things(); h.addQuery('tag', 'P'); h.query(); gs.info(h.getRowCount());
        h.deleteMultiple(); h = things(); h.query(); h.next(); gs.info(h.getRowCount() + h.name);
    """
    update_set.rule("incident", script)
    instance.commit(update_set)
    instance.insert("incident", {"short_description": "Printer"}, "agent")
    assert instance.logged() == ["2", "1Q1"]


def test_changes_on_update(instance: Instance) -> None:
    """In an after rule `changes()` compares with the previous row; journals change when an entry was added."""
    update_set = UpdateSet()
    script = """
        gs.info([current.state.changes(), current.state.changesFrom(1), current.state.changesTo(2),
          current.urgency.changes(), current.comments.changes(), current.work_notes.changes(), previous.state,
          previous.getDisplayValue('state'),
          current.operation(), current.state.changesTo(3)].join());
    """
    update_set.rule("incident", script, action_insert="false")
    instance.commit(update_set)
    incident = instance.insert("incident", {"short_description": "Printer"}, "agent")
    instance.update("incident", incident["sys_id"], {"state": "2", "work_notes": "looked"}, "agent")
    assert instance.logged() == ["true,true,true,false,false,true,1,New,update,false"]


def test_the_newest_journal_entry_has_its_heading(instance: Instance) -> None:
    """`getJournalEntry(1)` gives the newest with time, name and label; -1 gives all, newest first."""
    update_set = UpdateSet()
    script = "gs.info(current.comments.getJournalEntry(1)); gs.info(current.comments.getJournalEntry(-1));"
    update_set.rule("incident", script, action_insert="false")
    instance.commit(update_set)
    incident = instance.insert("incident", {"short_description": "Printer", "comments": "first"}, "requester")
    instance.update("incident", incident["sys_id"], {"comments": "second\nline"}, "agent")
    newest, every = instance.logged()
    stamp, _, rest = newest.partition(" - ")
    assert rest == "Amir Agent (Comments)\nsecond\nline\n\n"
    assert len(stamp) == len("2026-11-24 12:00:00")
    assert every.startswith(newest)
    assert every.endswith("Rosa Requester (Comments)\nfirst\n\n")


def test_display_values_are_in_the_sessions_language(instance: Instance) -> None:
    """A rule runs as the person who saves: in German for the German agent."""
    update_set = UpdateSet()
    update_set.rule("incident", "gs.info(current.getDisplayValue('state') + ' ' + gs.getSession().getLanguage());")
    instance.commit(update_set)
    instance.insert("incident", {"short_description": "Printer"}, "agent2")
    assert instance.logged() == ["Neu de"]


def test_encrypted_columns(instance: Instance) -> None:
    """A password2 column accepts display values, decrypts in scripts, and is ciphertext over REST for everyone."""
    update_set = UpdateSet()
    update_set.table("x_example_key", {"name": "string", "secret": "password2:255"})
    script = """
        var g = new GlideRecord('x_example_key'); g.get('name', 'rest');
        gs.info(g.secret.getDecryptedValue() + ' ' + g.getDisplayValue('secret'));
        var h = new GlideRecord('x_example_key'); h.name = 'script'; h.secret.setDisplayValue('typed'); h.insert();
        h.get('name', 'script'); gs.info(h.secret.getDecryptedValue());
        h.setValue('secret', 'raw'); h.update(); gs.info('' + h.secret.getDecryptedValue());
        try { g.name.getDecryptedValue(); } catch (e) { gs.info(e.getMessage()); }
    """
    update_set.rule("incident", script)
    instance.commit(update_set)
    row = instance.insert("x_example_key", {"name": "rest", "secret": "shh"}, sysparm_input_display_value="true")
    assert row["secret"] not in {"", "shh"}
    instance.update("x_example_key", row["sys_id"], {"secret": "lost"})
    instance.insert("incident", {"short_description": "Printer"}, "agent")
    assert instance.logged() == ["shh ********", "typed", "null", "getDecryptedValue is for password2 columns"]
    for mode in ("true", "false", "all"):
        shown = instance.send("GET", f"/api/now/table/x_example_key/{row['sys_id']}", sysparm_display_value=mode).text
        assert "shh" not in shown
        assert "lost" not in shown
