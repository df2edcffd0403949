"""The web client's own cleanup (mattermost-redux) removes nothing from our menus and forms."""

import copy
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from core.calls import Values
from core.fields import Form, Option
from core.menus import UserStatus
from core.records import Choice, Column
from core.subscriptions import Status
from core.tables import TABLES, shared_tables, table_of
from forms.account.menu import menu_form
from forms.records.assign import assign_form
from forms.records.change import change_form
from forms.records.comments import COMMENT, NOTE, comments_form
from forms.records.incident import incident_form
from forms.records.mandatory import mandatory_fields
from forms.records.priority import priority_form
from forms.records.share import share_form
from forms.records.state import STATE, StateOptions, state_form
from forms.records.view import view_form
from forms.subscriptions.edit import ADD, EDIT, subscription_form
from forms.subscriptions.list import ListFilter, confirm_delete_form, detail_form, list_form
from handlers import capabilities  # noqa: F401 - registers the handlers that menus lead to
from handlers.commands import menus_of
from mattermost.apps_bindings import write_bindings
from mattermost.apps_forms import write_form

CLIENT = Path(__file__).parent.parent / "web_client"

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(
        shutil.which("node") is None or not (CLIENT / "node_modules" / "mattermost-redux").is_dir(),
        reason="needs Node.js and the client's code (scripts/node)",
    ),
]


def cleaned(bindings: list[dict[str, Any]], forms: list[dict[str, Any]]) -> dict[str, Any]:
    """Bindings and forms after the client's cleanup."""
    done = subprocess.run(
        ["node", "clean.js"],
        cwd=CLIENT,
        input=json.dumps({"bindings": bindings, "forms": forms}),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def leaves(bindings: list[dict[str, Any]]) -> list[str]:
    """Labels of all clickable entries, in order."""
    found: list[str] = []
    for binding in bindings:
        found += leaves(binding["bindings"]) if binding.get("bindings") else [binding["label"]]
    return found


def with_app(bindings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bindings as the client receives them: the plugin adds the app's ID to each."""
    bindings = copy.deepcopy(bindings)
    for binding in bindings:
        binding["app_id"] = "servicenow"
    return bindings


@pytest.mark.parametrize("administrator", [False, True])
@pytest.mark.parametrize(
    ("configured", "linked", "connected"),
    [(False, False, False), (True, False, False), (True, True, False), (True, True, True)],
)
def test_the_client_keeps_menu_entries(configured: bool, linked: bool, connected: bool, administrator: bool) -> None:
    """People see every entry that we send, whatever their user status is."""
    user_status = UserStatus(configured=configured, linked=linked, connected=connected, administrator=administrator)
    written = with_app(write_bindings(menus_of(user_status, table_of("incident").base_columns)))
    kept = cleaned(written, [])["bindings"]
    assert sorted(leaves(kept)) == sorted(leaves(written))
    assert leaves(written)


def record_forms(values: Values) -> list[Form]:
    """The forms of records, with all of their optional fields."""
    choices = (Choice("Duplicate", "Duplicate"), Choice("duplicate ", "x"))
    columns = {name: Column(name, name, choices=choices) for name in ("close_code", "risk", "impact", "urgency")}
    states = [Option("New", "1"), Option("Resolved", "6")]
    about = StateOptions(path=STATE, table="incident", number="INC0010001", states=states, columns=columns)
    offered = table_of("incident").offer("1")
    record = Values({"record": Option("INC0010001: x", f"incident.{'0' * 32}")})
    demanded = [Column("u_floor", "Floor", type="string", max_length=40), Column("u_day", "Day", type="glide_date")]
    return [
        share_form(shared_tables(("u_own",)), record, preview="x", state="s"),
        view_form("INC0010001", "Incident", "x", [*offered.buttons, *offered.more], "s"),
        *(
            comments_form(path, "INC0010001", "x", values, work_notes=True, older=True, state="s")
            for path in (COMMENT, NOTE)
        ),
        state_form(about, Values({"state": "6"}), state="s"),
        assign_form("INC0010001", values, state="s"),
        priority_form("INC0010001", columns, values, state="s"),
        change_form(columns, Values({"type": "standard"}), zone="UTC", state="s", conflict="x"),
        Form(path="x", title="x", fields=mandatory_fields(demanded, values, ())),
    ]


def test_the_client_keeps_form_fields() -> None:
    """It keeps every field and option, even choices with unusual labels."""
    choices = tuple(Choice(label, str(n)) for n, label in enumerate(("A b", "A  b", "ä", "*bold*", "1", "A b")))
    columns = {name: Column(name, name, choices=choices) for name in ("impact", "urgency", "category", "subcategory")}
    values = Values({"category": "1", "short_description": "x"})
    forms = [
        write_form(incident_form(columns, values, state="s")),
        write_form(menu_form([Option("Create incident", "incident")], "Connected.", "s")),
        *map(write_form, record_forms(values)),
    ]
    after = cleaned([], forms)["forms"]
    for before, kept in zip(forms, after, strict=True):
        assert [field["name"] for field in kept["fields"]] == [field["name"] for field in before["fields"]]
        for one, other in zip(before["fields"], kept["fields"], strict=True):
            assert other.get("options") == one.get("options")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kind", ["record", "table"])
def test_the_client_keeps_subscription_form_fields(table: str, kind: str) -> None:
    """This holds for the add, edit, list, detail and delete forms of every table and kind."""
    choices = tuple(Choice(label, str(n)) for n, label in enumerate(("A b", "A  b", "ä", "*bold*", "1", "A b")))
    columns = {name: Column(name, name, choices=choices) for name in ("priority", "category")}
    tables = {name: table.label for name, table in TABLES.items()}
    values = Values({"table": table, "kind": kind, "category": "1", "priority": "2", "filter": "priority=1"})
    picks = [Option(f"{number}. Urgent", str(number) * 32) for number in range(1, 10)]
    written = [
        write_form(subscription_form(tables, columns, values, path=path, state="s", fresh=True, header="**Test:**"))
        for path in (ADD, EDIT)
    ]
    written.append(
        write_form(list_form(ListFilter(table=table), tables, ["line"], picks, state="s", previous=True, further=True))
    )
    written += [write_form(detail_form(["line"], status, state="s", listed=True, several=True)) for status in Status]
    written.append(write_form(confirm_delete_form("Urgent", "channel", state="s")))
    for before, kept in zip(written, cleaned([], written)["forms"], strict=True):
        assert [one["name"] for one in kept["fields"]] == [one["name"] for one in before["fields"]]
        for one, other in zip(before["fields"], kept["fields"], strict=True):
            assert other.get("options") == one.get("options")
            assert other.get("value") == one.get("value")
