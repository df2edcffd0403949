"""What is reported when someone saves in ServiceNow, with the update set's scripts executed."""

import hashlib
import json

import pytest

from tests.updateset.facts import DELIVERIES, SUBSCRIPTIONS
from tests.updateset.instance import KEY_ID, SECRET, Instance


def test_a_change_is_one_signed_request(instance: Instance) -> None:
    """Path, headers and signature are the design's; the body is ASCII, whatever was typed."""
    instance.subscribe("state")
    incident = instance.incident(short_description="H\u00e9 ${sys_id} \U0001f600")
    instance.save("incident", incident, state="2")
    instance.settle()
    [request] = instance.receiver.requests
    assert request.path == "/webhooks/servicenow"
    assert request.headers["X-ServiceNow-Key"] == KEY_ID
    assert request.headers["Content-Type"] == "application/json"
    assert request.signed_with(SECRET)
    assert not request.signed_with(SECRET + "x")
    assert request.body.isascii()
    assert b"$" not in request.body
    assert request.report["record"]["short_description"] == "H\u00e9 ${sys_id} \U0001f600"


def test_a_report_has_what_the_receiver_needs(instance: Instance) -> None:
    """Every key of the contract, with raw and display values at the time of the save."""
    subscription = instance.subscribe("state, priority ,someday", options="hide_comment,in_channel")
    incident = instance.incident()
    number = next(row["number"] for row in instance.rows("incident") if row["sys_id"] == incident)
    user = next(row for row in instance.rows("sys_user") if row["user_name"] == "agent")
    instance.save("incident", incident, state="2")
    [report] = instance.reports()
    row = next(row for row in instance.rows(SUBSCRIPTIONS) if row["sys_id"] == subscription)
    assert len(report.pop("event_id")) == 32
    assert len(report.pop("occurred_at")) == len("2026-11-24T13:00:00Z")
    assert report == {
        "component": "3.0.0",
        "server_url": instance.receiver.url,
        "record": {
            "table": "incident",
            "sys_id": incident,
            "number": number,
            "short_description": "No mail",
            "class_label": "Incident",
            "state": {"value": "2", "display_value": "In Progress"},
            "priority": {"value": "5", "display_value": "5 - Planning"},
            "assigned_to": {"value": "", "display_value": ""},
            "assignment_group": {"value": "", "display_value": ""},
            "sys_mod_count": 1,
        },
        "events": ["state"],
        "changes": [
            {"field": "state", "label": "State", "old": "New", "new": "In Progress", "old_value": "1", "new_value": "2"}
        ],
        "comments": [],
        "actor": {"sys_id": user["sys_id"], "user_name": "agent", "name": user["name"]},
        "subscriptions": [
            {
                "sys_id": subscription,
                "channel_id": "c" * 26,
                "user_id": "u" * 26,
                "record_type": "incident",
                "record_id": "",
                "filter_digest": "",
                "events": ["state", "priority", "someday"],
                "options": ["hide_comment", "in_channel"],
                "created_by": "agent",
                "updated_by": "agent",
                "updated_on": row["sys_updated_on"],
            }
        ],
        "test": "",
    }


def test_everything_in_one_save_is_one_report(instance: Instance) -> None:
    """Two columns, a comment and a work note saved together are one report, with the comments' headings removed."""
    instance.subscribe("commented")
    incident = instance.incident()
    instance.save("incident", incident, state="2", urgency="1", comments="public\n\ntwo", work_notes="inside")
    [report] = instance.reports()
    assert report["events"] == ["state", "priority", "commented", "work_notes"]
    assert [change["field"] for change in report["changes"]] == ["state", "priority"]
    assert report["comments"] == [
        {"kind": "comments", "text": "public\n\ntwo"},
        {"kind": "work_notes", "text": "inside"},
    ]


def test_two_saves_are_two_reports_with_their_own_values(instance: Instance) -> None:
    """Nothing is read later: although both wait, the first still has what it changed."""
    instance.subscribe("state")
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    instance.save("incident", incident, state="3", hold_reason="1")
    reports = instance.reports()
    changes = sorted((report["changes"][0]["old"], report["changes"][0]["new"]) for report in reports)
    assert changes == [("In Progress", "On Hold"), ("New", "In Progress")]
    assert {report["record"]["sys_mod_count"] for report in reports} == {1, 2}
    assert len({report["event_id"] for report in reports}) == 2


def test_references_are_reported_by_name(instance: Instance) -> None:
    """An assignment names the group and the person, old and new."""
    instance.subscribe("assigned_to,assignment_group")
    incident = instance.incident()
    group = next(row for row in instance.rows("sys_user_group") if row["name"] == "Network")
    person = next(row for row in instance.rows("sys_user") if row["user_name"] == "agent2")
    instance.save("incident", incident, assignment_group=group["sys_id"], assigned_to=person["sys_id"])
    [report] = instance.reports()
    assert sorted(report["events"]) == ["assigned_to", "assignment_group"]
    assert {change["field"]: (change["old"], change["new"]) for change in report["changes"]} == {
        "assigned_to": ("", person["name"]),
        "assignment_group": ("", "Network"),
    }
    assert report["record"]["assignment_group"] == {"value": group["sys_id"], "display_value": "Network"}


def test_a_new_record_is_only_created(instance: Instance) -> None:
    """Columns filled in a new record aren't changes; its first comment is one."""
    instance.subscribe("created")
    instance.subscribe("state")
    instance.insert("incident", {"short_description": "New", "urgency": "1"})
    instance.insert("incident", {"short_description": "New", "comments": "at once"})
    first, second = instance.reports()
    assert (first["events"], first["changes"], first["comments"]) == (["created"], [], [])
    assert (second["events"], second["comments"]) == (
        ["created", "commented"],
        [{"kind": "comments", "text": "at once"}],
    )
    assert len(first["subscriptions"]) == 1


def test_resolved_reopened_and_closed(instance: Instance) -> None:
    """Each is a separate event beside the change of state."""
    instance.subscribe("resolved,reopened,closed")
    incident = instance.incident()
    done = {"close_code": "Solution provided", "close_notes": "Restarted"}
    for values in ({"state": "2"}, {"state": "6", **done}, {"state": "2"}, {"state": "6", **done}, {"state": "7"}):
        instance.save("incident", incident, "admin", **values)
        instance.settle()
    assert [report["events"] for report in instance.reports()] == [
        ["state", "resolved"],
        ["state", "reopened"],
        ["state", "resolved"],
        ["state", "closed"],
    ]


@pytest.mark.parametrize(
    ("record_type", "told"), [("u_facility_incident", 1), ("incident", 1), ("task", 1), ("problem", 0)]
)
def test_a_subscription_includes_classes_that_extend_its_table(instance: Instance, record_type: str, told: int) -> None:
    """A row of a class below incident is reported to subscriptions to its class, to incident and to task."""
    instance.subscribe("state", record_type=record_type)
    row = instance.insert("u_facility_incident", {"short_description": "A lamp", "u_building": "North"})
    instance.save("u_facility_incident", row, state="2")
    reports = instance.reports()
    assert len(reports) == told
    for report in reports:
        assert report["record"]["table"] == "u_facility_incident"
        assert report["subscriptions"][0]["record_type"] == record_type


def test_a_subscription_to_one_record_matches_only_that_record(instance: Instance) -> None:
    """By its ID, whatever class it was subscribed as."""
    mine, other = instance.incident(), instance.incident()
    instance.subscribe("state", record_type="task", record_id=mine, type="record")
    instance.save("incident", other, state="2")
    instance.save("incident", mine, state="2")
    [report] = instance.reports()
    assert report["record"]["sys_id"] == mine


def test_several_subscriptions_are_one_request(instance: Instance) -> None:
    """It names those that matched, and no others."""
    wanted = {instance.subscribe("state"), instance.subscribe("state,priority", record_type="task")}
    instance.subscribe("priority")
    instance.subscribe("estate,state_of_things")  # a part of a word doesn't match
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    [report] = instance.reports()
    assert {one["sys_id"] for one in report["subscriptions"]} == wanted


@pytest.mark.parametrize(
    "values", [{"is_active": "false"}, {"status": "paused"}, {"status": "broken"}, {"subscription_events": ""}]
)
def test_an_inactive_row_isnt_reported(instance: Instance, values: dict[str, str]) -> None:
    """Inactive, paused, broken, or without events."""
    instance.subscribe(**values)
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    assert instance.reports() == []


@pytest.mark.parametrize(
    "values",
    [
        {"channel_id": ""},
        {"channel_id": "no channel of Mattermost"},
        {"channel_id": "C" * 26},
        {"record_type": "INCIDENT"},
        {"server_url": ""},
    ],
)
def test_a_malformed_row_is_left_out_of_reports(instance: Instance, values: dict[str, str]) -> None:
    """A receiver rejects a report as a whole, and anyone with the role can write a row."""
    instance.subscribe("state", "agent2", **values)
    sound = instance.subscribe("state")
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    [report] = instance.reports()
    assert [one["sys_id"] for one in report["subscriptions"]] == [sound]


def test_a_rows_values_are_cut_to_the_receivers_limits(instance: Instance) -> None:
    """Fifty words of a column, and 64 characters of an ID."""
    words = ",".join(f"w{number}" for number in range(60))
    instance.subscribe(f"state,{words}", options=words, user_id="u" * 200)
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    [report] = instance.reports()
    [subscription] = report["subscriptions"]
    assert len(subscription["events"]) == len(subscription["options"]) == 50
    assert len(subscription["user_id"]) == 64


@pytest.mark.parametrize("status", ["", "active"])
def test_old_rows_count_as_active(instance: Instance, status: str) -> None:
    """In rows of version 2.1 all new columns are empty, which means the default."""
    instance.subscribe("state", status=status)
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    [report] = instance.reports()
    assert report["subscriptions"][0]["options"] == []
    assert report["subscriptions"][0]["filter_digest"] == ""


def test_more_than_200_subscriptions_are_several_reports(instance: Instance) -> None:
    """Each has its own event ID, and nobody is left out or named twice."""
    subscriptions = {instance.subscribe("state") for _ in range(201)}
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    reports = instance.reports()
    assert sorted(len(report["subscriptions"]) for report in reports) == [1, 200]
    assert {one["sys_id"] for report in reports for one in report["subscriptions"]} == subscriptions
    assert len({report["event_id"] for report in reports}) == 2


def test_a_knowledge_article_is_reported_by_its_workflow_state(instance: Instance) -> None:
    """An article isn't a task: it has its own rule, and its state is the workflow's."""
    instance.subscribe("state,closed", record_type="kb_knowledge")
    article = instance.insert("kb_knowledge", {"short_description": "How to", "workflow_state": "draft"}, "admin")
    instance.save("kb_knowledge", article, "admin", workflow_state="published")
    instance.save("kb_knowledge", article, "admin", workflow_state="retired")
    published, retired = instance.reports()
    assert published["record"]["table"] == "kb_knowledge"
    assert published["record"]["state"]["value"] == "published"
    assert published["record"]["priority"] == {"value": "", "display_value": ""}
    assert published["changes"][0]["field"] == "workflow_state"
    assert (published["events"], retired["events"]) == (["state"], ["state", "closed"])


def test_without_a_subscription_nothing_happens(instance: Instance) -> None:
    """No row and no event; a change that is none of the events does nothing either."""
    incident = instance.incident()
    instance.save("incident", incident, state="2", comments="text")
    instance.subscribe("state")
    instance.save("incident", incident, description="More")
    instance.settle()
    assert instance.rows(DELIVERIES) == instance.rows("sysevent") == []


def test_a_change_without_a_matching_subscription_leaves_no_row(instance: Instance) -> None:
    """Someone subscribed to something else in the table: what was stored for it is deleted."""
    instance.subscribe("priority")
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    assert instance.reports() == []
    assert instance.deliveries() == []


def test_a_save_never_fails_because_of_the_component(instance: Instance) -> None:
    """If a script throws, people can still save, and the log has a line with the record's ID."""
    instance.subscribe("state")
    incident = instance.incident()
    instance.load(lambda xml: xml.replace(b"VERSION: '3.0.0'", b"VERSION: missing.name"))
    instance.save("incident", incident, state="2")
    assert next(row["state"] for row in instance.rows("incident") if row["sys_id"] == incident) == "2"
    assert instance.reports() == []
    assert any(incident in line for line in instance.log())


def test_a_property_turns_it_off_and_on(instance: Instance) -> None:
    """It is one system property; the scripts aren't changed."""
    instance.subscribe("state")
    incident = instance.incident()
    switch = instance.insert("sys_properties", {"name": "x_830655_mm_std.enabled", "value": "false"}, "admin")
    instance.save("incident", incident, state="2")
    assert instance.reports() == []
    instance.save("sys_properties", switch, "admin", value="true")
    instance.save("incident", incident, state="3", hold_reason="1")
    assert len(instance.reports()) == 1


def test_the_log_has_only_ids(instance: Instance) -> None:
    """Neither the secret nor people's text, whether the report is accepted or rejected."""
    instance.subscribe("state,commented", filter_query="short_descriptionLIKEzebra")
    incident = instance.incident(short_description="zebra")
    for status in (202, 401, 400):
        instance.receiver.answer(status, text="giraffe")
        instance.save("incident", incident, comments=f"elephant {status}")
        instance.settle()
    lines = [*instance.log(), *(json.dumps(row) for row in instance.rows("sys_outbound_http_log"))]
    assert any("401" in line for line in lines)
    for line in lines:
        for word in (SECRET, "elephant", "zebra", "giraffe"):
            assert word not in line
    assert all("webhooks/servicenow?" not in line for line in lines)


def test_a_filter_is_reported_by_its_digest(instance: Instance) -> None:
    """So the receiver can tell whether the row still has the granted filter."""
    query = "priority=5^short_descriptionLIKEm\u00e4il"
    instance.subscribe("state", filter_query=query)
    incident = instance.incident(short_description="No M\u00c4IL today")
    instance.save("incident", incident, state="2")
    [report] = instance.reports()
    assert report["subscriptions"][0]["filter_digest"] == hashlib.sha256(query.encode()).hexdigest()
