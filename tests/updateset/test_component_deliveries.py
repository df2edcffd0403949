"""Reports are retried until they are accepted: attempts, their times, final answers, and what happens to a row."""

import time

import pytest

from tests.updateset.facts import DELIVERIES, KEYS
from tests.updateset.instance import KEY_ID, SECRET, Instance, Receiver, receiving

HOUR = 3600


def _changed(instance: Instance) -> None:
    """One change that a subscription matches, with all due events run."""
    instance.subscribe("state")
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    instance.settle()


def test_an_accepted_report_is_done_and_its_body_deleted(instance: Instance) -> None:
    """The row is kept for seven days, without the body."""
    _changed(instance)
    [row] = instance.deliveries()
    assert (row["state"], row["body"], row["attempts"], row["last_status"]) == ("delivered", "", "1", "202")
    instance.advance(2 * HOUR)
    assert len(instance.receiver.requests) == 1


@pytest.mark.parametrize("status", [400, 413])
def test_two_rejections_are_final(instance: Instance, status: int) -> None:
    """The report is never sent again; the row has the reason and keeps the body for inspection."""
    instance.receiver.answer(status, text="subscriptions: not a list")
    _changed(instance)
    [row] = instance.deliveries()
    assert (row["state"], row["last_status"], row["last_error"]) == (
        "dead",
        str(status),
        f"{status}: subscriptions: not a list",
    )
    assert row["body"]
    instance.advance(80 * HOUR)
    assert len(instance.receiver.requests) == 1


@pytest.mark.parametrize("status", [301, 401, 403, 404, 409, 429, 500, 502, 503])
def test_every_other_answer_is_retried(instance: Instance, status: int) -> None:
    """After five seconds, with the same event ID and body and a new signature."""
    instance.receiver.answer(status)
    _changed(instance)
    [row] = instance.deliveries()
    assert (row["state"], row["attempts"], row["last_status"]) == ("queued", "1", str(status))
    instance.advance(3)
    assert len(instance.receiver.requests) == 1
    instance.advance(4)
    first, second = instance.receiver.requests
    assert first.body == second.body
    assert int(second.headers["X-ServiceNow-Timestamp"]) - int(first.headers["X-ServiceNow-Timestamp"]) >= 5
    assert second.signed_with(SECRET)
    [row] = instance.deliveries()
    assert (row["state"], row["attempts"], row["last_error"]) == ("delivered", "2", "")


def test_pauses_between_attempts_grow(instance: Instance) -> None:
    """5 seconds, 30 seconds, a minute, then twice as long each time, an hour at most."""
    expected = [5, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    for _ in expected:
        instance.receiver.answer(503)
    _changed(instance)
    for tries, seconds in enumerate(expected, 1):
        instance.advance(seconds - 3)
        assert len(instance.receiver.requests) == tries
        instance.advance(5)
        assert len(instance.receiver.requests) == tries + 1
    assert instance.deliveries()[0]["state"] == "delivered"


def test_a_report_is_given_up_after_72_hours(instance: Instance) -> None:
    """The last attempt is at most an hour before; the row says so and is listed as dead."""
    for _ in range(200):
        instance.receiver.answer(500)
    _changed(instance)
    for _ in range(71):
        instance.advance(HOUR)
    assert instance.deliveries()[0]["state"] == "queued"
    instance.advance(2 * HOUR)
    assert instance.deliveries()[0]["state"] == "dead"
    sent = len(instance.receiver.requests)
    instance.advance(10 * HOUR)
    assert len(instance.receiver.requests) == sent


def test_a_refused_connection_is_retried(instance: Instance) -> None:
    """The report is kept, and arrives once the receiver listens."""
    with receiving() as gone:
        url = gone.url
    row = next(row["sys_id"] for row in instance.rows(KEYS))
    instance.save(KEYS, row, "admin", server_url=url)
    instance.subscribe("state", server_url=url)
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    [delivery] = instance.deliveries()
    assert (delivery["state"], delivery["last_status"]) == ("queued", "0")
    assert delivery["last_error"].startswith("No answer")


@pytest.mark.parametrize(("status", "header"), [(429, "600"), (503, "600")])
def test_retry_after_is_kept(instance: Instance, status: int, header: str) -> None:
    """The retry comes when the receiver said, not after five seconds."""
    instance.receiver.answer(status, {"Retry-After": header})
    _changed(instance)
    instance.advance(300)
    assert len(instance.receiver.requests) == 1
    instance.advance(310)
    assert len(instance.receiver.requests) == 2
    assert instance.deliveries()[0]["state"] == "delivered"


def test_a_rotation_in_the_wrong_order_loses_nothing(instance: Instance) -> None:
    """Rejected with 401 while only the receiver has the new secret; signed with it once the instance has it."""
    instance.receiver.answer(401, text="bad_mac")
    _changed(instance)
    key = next(row["sys_id"] for row in instance.rows(KEYS))
    instance.call("admin", "DELETE", f"/api/now/table/{KEYS}/{key}")
    instance.make_key("another secret, of more than thirty-two characters")
    instance.advance(65)
    refused, taken = instance.receiver.requests
    assert refused.signed_with(SECRET)
    assert taken.signed_with("another secret, of more than thirty-two characters")


def test_without_a_key_nothing_is_sent_or_queued(instance: Instance) -> None:
    """A row of the old plugin alone has an api_secret, which signs nothing; the log says so once."""
    key = next(row["sys_id"] for row in instance.rows(KEYS))
    instance.save(KEYS, key, "admin", key_id="", api_secret="old plugin")
    _changed(instance)
    assert instance.receiver.requests == []
    assert instance.rows(DELIVERIES) == []
    assert len([line for line in instance.log() if "no signing key" in line]) == 1


def test_reports_wait_for_a_missing_key(instance: Instance) -> None:
    """What is queued remains queued until there is a key again."""
    instance.receiver.answer(500)
    _changed(instance)
    key = next(row["sys_id"] for row in instance.rows(KEYS))
    instance.save(KEYS, key, "admin", key_id="")
    instance.advance(65)
    assert len(instance.receiver.requests) == 1
    instance.save(KEYS, key, "admin", key_id=KEY_ID)
    instance.advance(125)
    assert len(instance.receiver.requests) == 2


def test_two_servers_get_a_report_each(instance: Instance, receiver: Receiver) -> None:
    """One that is down doesn't delay the other; each gets only its own subscriptions."""
    with receiving() as second:
        instance.insert(KEYS, {"server_url": second.url, "key_id": "k2", "signing_secret": "s" * 32}, "admin")
        instance.subscribe("state", server_url=second.url)
        receiver.answer(503)
        _changed(instance)
        [ours], [theirs] = receiver.requests, second.requests
        assert theirs.signed_with("s" * 32)
        assert ours.report["event_id"] != theirs.report["event_id"]
        assert [one["sys_id"] for one in ours.report["subscriptions"]] != [
            one["sys_id"] for one in theirs.report["subscriptions"]
        ]
        assert sorted(row["state"] for row in instance.deliveries()) == ["delivered", "queued"]


def test_an_interrupted_change_is_reported_at_the_next_event(instance: Instance) -> None:
    """A stored change that was never reported is sent with the next one, once."""
    instance.subscribe("state")
    incident = instance.incident()
    instance.load(lambda xml: xml.replace(b"Reports().process(String(event.parm1))", b"Missing(event.parm1)"))
    instance.save("incident", incident, state="2")
    assert instance.reports() == []
    assert [row["state"] for row in instance.deliveries()] == ["captured"]
    instance.load()
    instance.advance(180)
    instance.save("incident", incident, state="3", hold_reason="1")
    assert len(instance.reports()) == 2
    assert [row["state"] for row in instance.deliveries()] == ["delivered", "delivered"]


def test_a_change_interrupted_after_sending_isnt_sent_again(instance: Instance) -> None:
    """Processing it a second time creates the same event IDs, which already exist."""
    instance.load(lambda xml: xml.replace(b"kept.deleteRecord();", b""))
    _changed(instance)
    assert sorted(row["state"] for row in instance.deliveries()) == ["captured", "captured", "delivered"]
    instance.load()
    instance.advance(180)
    assert [row["state"] for row in instance.deliveries()] == ["delivered"]
    assert len(instance.receiver.requests) == 1


def test_a_failing_row_blocks_no_other(instance: Instance) -> None:
    """It is retried later, logged by its ID, and given up after 72 hours; the rows behind it are sent."""
    instance.load(lambda xml: xml.replace(b"Reports().process(String(event.parm1))", b"Missing(event.parm1)"))
    _changed(instance)
    broken = [row["sys_id"] for row in instance.deliveries()]
    for sys_id in broken:
        instance.double.store.update(DELIVERIES, sys_id, {"body": "no JSON"}, "system", "")
    instance.load()
    instance.receiver.answer(500)
    instance.advance(180)
    instance.insert("incident", {"short_description": "Another"})
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    assert len(instance.reports()) == 1
    states = {row["sys_id"]: row["state"] for row in instance.deliveries()}
    assert {states.pop(sys_id) for sys_id in broken} == {"captured"}
    assert list(states.values()) == ["queued"]
    assert all(any(sys_id in line for line in instance.log()) for sys_id in broken)
    instance.advance(65)
    assert "delivered" in {row["state"] for row in instance.deliveries()}
    for _ in range(2):
        instance.advance(73 * HOUR)
        instance.insert("incident", {"short_description": "Another"})
    states = {row["sys_id"]: row["state"] for row in instance.deliveries()}
    assert {states[sys_id] for sys_id in broken} == {"dead"}


def test_rows_with_lost_events_are_sent_with_later_ones(instance: Instance) -> None:
    """The platform can lose scheduled events; each later change sends ten due rows."""
    instance.subscribe("state")
    incident = instance.incident()
    for number in range(12):
        instance.receiver.answer(500)
        instance.save("incident", incident, state="1" if number % 2 else "2")
    instance.settle()
    instance.double.runtime.events.clear()
    instance.advance(65)
    assert len(instance.receiver.requests) == 12
    instance.insert("incident", {"short_description": "Another"})
    assert len(instance.reports()) == 22
    instance.insert("incident", {"short_description": "Another"})
    reports = instance.reports()
    assert len(reports) == 24
    assert len({report["event_id"] for report in reports}) == 12


def _hurry(instance: Instance) -> None:
    """The component's timeout becomes a fifth of a second."""
    long, short = b"TIMEOUT_MILLISECONDS: 10000", b"TIMEOUT_MILLISECONDS: 200"
    instance.load(lambda xml: xml.replace(long, short).replace(b"SLOW_MILLISECONDS: 5000", b"SLOW_MILLISECONDS: 100"))


def test_a_server_that_doesnt_answer_delays_once(instance: Instance) -> None:
    """After one timeout no other row is sent there for a minute; then all arrive."""
    _hurry(instance)
    instance.receiver.awake.clear()
    began = time.monotonic()
    _changed(instance)
    assert time.monotonic() - began < 4  # the receiver would hold the connection for 5 seconds
    [row] = instance.deliveries()
    assert (row["state"], row["last_status"], row["last_error"]) == ("queued", "0", "No answer in time")
    instance.save("incident", instance.receiver.requests[0].report["record"]["sys_id"], state="1")
    assert len(instance.reports()) == 1
    instance.receiver.awake.set()
    instance.advance(65)
    assert [row["state"] for row in instance.deliveries()] == ["delivered", "delivered"]
    assert len(instance.receiver.requests) == 3


def test_rows_for_a_server_that_never_answers_are_given_up(instance: Instance) -> None:
    """Even those that weren't attempted because another one had just timed out."""
    _hurry(instance)
    instance.receiver.awake.clear()
    _changed(instance)
    instance.save("incident", instance.receiver.requests[0].report["record"]["sys_id"], state="1")
    instance.settle()
    instance.advance(73 * HOUR)
    assert [row["state"] for row in instance.deliveries()] == ["dead", "dead"]
    assert len(instance.receiver.requests) == 2


def test_a_key_without_its_secret_signs_nothing(instance: Instance) -> None:
    """The row waits for the secret."""
    key = next(row["sys_id"] for row in instance.rows(KEYS))
    instance.call("admin", "DELETE", f"/api/now/table/{KEYS}/{key}")
    instance.insert(KEYS, {"server_url": instance.receiver.url, "key_id": KEY_ID}, "admin")
    _changed(instance)
    assert instance.receiver.requests == []
    [row] = instance.deliveries()
    assert (row["state"], row["last_error"]) == ("queued", "No signing key for this server_url")


def test_a_trailing_slash_in_an_address_is_ignored(instance: Instance) -> None:
    """The path is appended once."""
    url = instance.receiver.url + "/"
    instance.insert(KEYS, {"server_url": url, "key_id": "k2", "signing_secret": "s" * 32}, "admin")
    instance.subscribe("state", server_url=url)
    incident = instance.incident()
    instance.save("incident", incident, state="2")
    instance.settle()
    [request] = instance.receiver.requests
    assert request.path == "/webhooks/servicenow"
    assert request.report["server_url"] == url


def test_old_rows_are_deleted_in_batches(instance: Instance) -> None:
    """Delivered ones after 7 days, dead ones after 30; at most fifty of each per event."""
    instance.subscribe("state")
    incident = instance.incident()
    for number in range(60):
        instance.save("incident", incident, state="1" if number % 2 else "2")
    instance.receiver.answer(400)
    instance.save("incident", incident, state="2")
    assert len(instance.deliveries()) == 61
    instance.advance(6 * 24 * HOUR)
    instance.save("incident", incident, state="1")
    assert len(instance.deliveries()) == 62
    instance.advance(2 * 24 * HOUR)
    assert len(instance.deliveries()) == 12
    instance.save("incident", incident, state="2")
    assert sorted(row["state"] for row in instance.deliveries()) == ["dead", "delivered", "delivered"]
    instance.advance(24 * 24 * HOUR)
    instance.save("incident", incident, state="1")
    assert [row["state"] for row in instance.deliveries()] == ["delivered"]
