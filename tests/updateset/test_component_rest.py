"""The component's REST resources, and who can read and write its tables."""

import pytest

from tests.updateset.facts import DELIVERIES, KEYS, SUBSCRIPTIONS
from tests.updateset.instance import SECRET, Instance, Json

API = "/api/x_830655_mm_std"


def _result(instance: Instance, who: str, path: str) -> Json:
    answer = instance.call(who, "GET", f"{API}/{path}")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()["result"]
    return found


@pytest.mark.parametrize("who", ["admin", "agent", "requester", "newcomer"])
def test_everyone_can_read_the_version(instance: Instance, who: str) -> None:
    """Any signed-in account."""
    assert _result(instance, who, "component/version") == {"version": "3.0.0"}


def test_states_are_in_order_and_only_active(instance: Instance) -> None:
    """Like the old resource, but sorted, without inactive ones, and including inherited choices."""
    states = _result(instance, "agent", "getstates/incident")
    assert states[0] == {"label": "New", "value": "1"}  # type: ignore[index]
    values = [state["value"] for state in states]  # type: ignore[index]
    assert values == ["1", "2", "3", "6", "7", "8"]
    choice = next(
        row
        for row in instance.rows("sys_choice")
        if (row["name"], row["element"], row["value"]) == ("incident", "state", "8")
    )
    instance.double.store.update("sys_choice", choice["sys_id"], {"inactive": "true"}, "admin", "")
    assert "8" not in [state["value"] for state in _result(instance, "agent", "getstates/incident")]  # type: ignore[index]


def test_choices_are_in_the_callers_language_if_translated(instance: Instance) -> None:
    """Untranslated ones remain in English, in their place."""
    user = next(row["sys_id"] for row in instance.rows("sys_user") if row["user_name"] == "agent2")
    instance.double.store.update("sys_user", user, {"preferred_language": "fr"}, "admin", "")
    french = {
        "name": "incident",
        "element": "state",
        "value": "2",
        "label": "En cours",
        "language": "fr",
        "sequence": "2",
    }
    instance.insert("sys_choice", french | {"inactive": "false"}, "admin")
    labels = [state["label"] for state in _result(instance, "agent2", "getstates/incident")]  # type: ignore[index]
    assert labels == ["New", "En cours", "On Hold", "Resolved", "Closed", "Canceled"]
    labels = [state["label"] for state in _result(instance, "agent", "getstates/incident")]  # type: ignore[index]
    assert labels[1] == "In Progress"


def test_a_class_can_redefine_an_inherited_column(instance: Instance) -> None:
    """The nearest definition counts."""
    for name in ("incident", "task"):
        entry = {"name": name, "element": "u_floor", "internal_type": "string", "active": "true"}
        instance.insert("sys_dictionary", entry | {"mandatory": "true" if name == "incident" else "false"}, "admin")
    columns = {column["name"]: column for column in _result(instance, "agent", "component/columns/incident")["columns"]}
    assert columns["u_floor"]["mandatory"] is True


def test_a_table_without_its_own_choices_has_its_parents(instance: Instance) -> None:
    """cert_follow_on_task, which the old resource rejected, has those of task."""
    states = _result(instance, "agent", "getstates/cert_follow_on_task")
    assert states == _result(instance, "agent", "getstates/task")
    assert states


@pytest.mark.parametrize("path", ["getstates/sys_user", "component/columns/sys_user", "component/columns/sc_task"])
def test_other_tables_are_rejected(instance: Instance, path: str) -> None:
    """Only tables that can be shared are allowed."""
    assert instance.call("agent", "GET", f"{API}/{path}").status_code == 400


def test_columns_with_their_choices(instance: Instance) -> None:
    """Own and inherited ones, each once; choices that depend on another column name it."""
    found = _result(instance, "agent", "component/columns/incident")
    assert found["table"] == "incident"
    columns = {column["name"]: column for column in found["columns"]}
    assert len(columns) == len(found["columns"])
    assert columns["short_description"] == {
        "name": "short_description",
        "label": "Short description",
        "type": "string",
        "mandatory": False,
        "max_length": columns["short_description"]["max_length"],
        "reference": "",
        "choices": [],
    }
    assert columns["assignment_group"]["reference"] == "sys_user_group"
    assert columns["urgency"]["choices"][0] == {"label": "1 - High", "value": "1", "dependent_value": ""}
    depends = {choice["dependent_value"] for choice in columns["subcategory"]["choices"]}
    assert depends - {""}


def test_columns_need_the_role_and_the_status_an_administrator(instance: Instance) -> None:
    """403 with what is missing."""
    refused = instance.call("requester", "GET", f"{API}/component/columns/incident")
    assert refused.status_code == 403
    assert "x_830655_mm_std.user" in refused.json()["error"]["detail"]
    assert instance.call("agent", "GET", f"{API}/component/status").status_code == 403


def test_the_status_counts_waiting_reports(instance: Instance) -> None:
    """Queued and dead, the oldest waiting one, and the result of the last attempt."""
    empty = {"version": "3.0.0", "queued": 0, "dead": 0, "oldest_queued": "", "last_status": 0, "last_error": ""}
    assert _result(instance, "admin", "component/status") == empty
    instance.subscribe("state")
    incident = instance.incident()
    for state, status in (("2", 400), ("1", 503)):
        instance.advance(5)
        instance.receiver.answer(status, text="why")
        instance.save("incident", incident, state=state)
        instance.settle()
    found = _result(instance, "admin", "component/status")
    oldest = next(row["sys_created_on"] for row in instance.rows(DELIVERIES) if row["state"] == "queued")
    assert found == {
        "version": "3.0.0",
        "queued": 1,
        "dead": 1,
        "oldest_queued": oldest,
        "last_status": 503,
        "last_error": "503: why",
    }


def _test(instance: Instance, who: str, **asked: str) -> tuple[int, Json]:
    body = {"server_url": instance.receiver.url, "nonce": "nonce-1", **asked}
    answer = instance.call(who, "POST", f"{API}/component/test", body)
    return answer.status_code, answer.json()


def test_an_administrator_sends_a_test_report(instance: Instance) -> None:
    """A report without a record is sent as usual, signed, with the nonce."""
    status, answer = _test(instance, "admin")
    assert status == 202
    [report] = instance.reports()
    assert instance.receiver.requests[0].signed_with(SECRET)
    assert report["event_id"] == answer["result"]["event_id"]
    assert report["test"] == "nonce-1"
    assert report["record"] is None
    assert report["subscriptions"] == report["events"] == report["changes"] == report["comments"] == []
    assert report["actor"]["user_name"] == "admin"


@pytest.mark.parametrize("who", ["agent", "admin"])
def test_a_subscription_is_tested_with_its_newest_matching_record(instance: Instance, who: str) -> None:
    """By its creator or an administrator: only that record and that subscription are reported."""
    found = {}
    for text in ("printer", "mail", "Mail again", "printer again"):
        found[text] = instance.incident(short_description=text)
        instance.advance(5)
    subscription = instance.subscribe("state", filter_query="short_descriptionLIKEmail")
    instance.subscribe("state")
    status, _ = _test(instance, who, subscription=subscription)
    assert status == 202
    [report] = instance.reports()
    assert report["record"]["sys_id"] == found["Mail again"]
    assert [one["sys_id"] for one in report["subscriptions"]] == [subscription]
    assert report["events"] == []


def test_who_cant_test(instance: Instance) -> None:
    """Only administrators test the connection, and only creators and administrators a subscription."""
    subscription = instance.subscribe("state")
    assert _test(instance, "agent")[0] == 403
    assert _test(instance, "agent2", subscription=subscription)[0] == 403
    assert instance.reports() == []


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"nonce": ""}, 400),
        ({"nonce": "x" * 65}, 400),
        ({"server_url": ""}, 400),
        ({"server_url": "https://elsewhere.example"}, 400),
        ({"subscription": "no id"}, 400),
        ({"subscription": "0" * 32}, 404),
    ],
)
def test_an_impossible_test_is_rejected(instance: Instance, asked: dict[str, str], status: int) -> None:
    """With the reason; a server without a key is never contacted."""
    assert _test(instance, "admin", **asked)[0] == status
    assert instance.rows(DELIVERIES) == []


@pytest.mark.parametrize(
    "values",
    [
        {"filter_query": "short_description=nothing like it"},
        {"filter_query": "caller_id=javascript:gs.getUserID()"},
        {"filter_query": "no_such_column=1"},
        {"record_type": "sys_user"},
        {"channel_id": "no channel of Mattermost"},
        {"record_type": "no_such_table"},
    ],
)
def test_a_subscription_without_a_match_cant_be_tested(instance: Instance, values: dict[str, str]) -> None:
    """404; a table that is neither a task nor knowledge is never queried."""
    instance.incident()
    subscription = instance.subscribe("state", **values)
    assert _test(instance, "agent", subscription=subscription)[0] == 404


def test_a_test_reveals_no_hidden_records(instance: Instance) -> None:
    """No filter reveals what others' records or hidden columns contain; own records are found among them."""
    instance.give_role("requester")
    own = instance.insert("incident", {"short_description": "secret plan"}, "requester")
    instance.advance(5)
    instance.incident(short_description="secret plan", urgency="1")
    hidden = instance.subscribe("state", "requester", filter_query="short_descriptionLIKEsecret^urgency=1")
    assert _test(instance, "requester", subscription=hidden)[0] == 404
    assert _test(instance, "admin", subscription=hidden)[0] == 202
    for unread in ("work_notesISNOTEMPTY^ORwork_notesISEMPTY", "caller_id.user_name=requester"):
        column = instance.subscribe("state", "requester", filter_query=unread)
        assert _test(instance, "requester", subscription=column)[0] == 404
    seen = instance.subscribe("state", "requester", filter_query="short_descriptionLIKEsecret")
    assert _test(instance, "requester", subscription=seen)[0] == 202
    assert instance.reports()[-1]["record"]["sys_id"] == own


def test_only_the_creator_and_administrators_change_a_subscription(instance: Instance) -> None:
    """Everyone with the role can read and create; others can't change or delete; without the role, nothing."""
    subscription = instance.subscribe("state")
    path = f"/api/now/table/{SUBSCRIPTIONS}/{subscription}"
    assert instance.call("agent2", "GET", path).status_code == 200
    assert instance.call("agent2", "PATCH", path, {"channel_id": "stolen"}).status_code == 403
    assert instance.call("agent2", "DELETE", path).status_code == 403
    assert instance.call("newcomer", "POST", f"/api/now/table/{SUBSCRIPTIONS}", {"name": "x"}).status_code == 403
    assert instance.call("agent", "PATCH", path, {"name": "mine"}).status_code == 200
    assert instance.call("admin", "PATCH", path, {"name": "ours"}).status_code == 200
    assert instance.call("agent", "DELETE", path).status_code == 204


def test_only_administrators_have_access_to_keys(instance: Instance) -> None:
    """People with the role can't see, change or create any; nobody can read a secret."""
    key = next(row["sys_id"] for row in instance.rows(KEYS))
    path = f"/api/now/table/{KEYS}"
    listed = instance.call("agent", "GET", path)
    assert listed.status_code == 403 or listed.json()["result"] == []
    assert instance.call("agent", "GET", f"{path}/{key}").status_code in {403, 404}
    assert instance.call("agent", "PATCH", f"{path}/{key}", {"key_id": "x"}).status_code in {403, 404}
    assert instance.call("agent", "POST", path, {"key_id": "x"}).status_code == 403
    assert SECRET not in instance.call("admin", "GET", f"{path}/{key}").text


def test_only_the_component_writes_deliveries(instance: Instance) -> None:
    """An administrator can read them; others can't even do that."""
    instance.subscribe("state")
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    [row] = instance.deliveries()
    path = f"/api/now/table/{DELIVERIES}/{row['sys_id']}"
    assert instance.call("admin", "PATCH", path, {"state": "queued"}).status_code == 403
    assert instance.call("admin", "DELETE", path).status_code == 403
    assert instance.call("admin", "POST", f"/api/now/table/{DELIVERIES}", {"state": "queued"}).status_code == 403
    assert instance.call("agent", "GET", path).status_code in {403, 404}
