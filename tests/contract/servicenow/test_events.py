"""Events, their script actions, and the requests these send (update-set reference §4.5; API reference §11.3, §11.4)."""

import threading

import pytest

from tests.contract.servicenow.conftest import Instance, Listener
from tests.contract.servicenow.update_set import UpdateSet
from tests.ports import ReservedPort

EVENT = "x_example.changed"
QUEUE = f"gs.eventQueue('{EVENT}', current, 'one', gs.getUserID());"


def send(url: str, more: str = "") -> str:
    """A script that posts and logs the answer."""
    return f"""
        var m = new sn_ws.RESTMessageV2();
        m.setEndpoint('{url}/path?a=1'); m.setHttpMethod('post');
        m.setRequestHeader('Content-Type', 'application/json');
        m.setQueryParameter('secret', current.number); m.setRequestBody('{{"text": "Gr\\u00fc\\u00dfe"}}'); {more}
        try {{
          var r = m.execute();
          var length = r.getHeader('content-length');
          gs.info([r.getStatusCode(), r.getBody(), length, r.haveError(), r.getErrorCode()].join());
        }} catch (e) {{ gs.info('thrown ' + e.getMessage()); }}
    """


def test_an_event_runs_its_actions_in_the_background(instance: Instance) -> None:
    """They get name, record, parameters and user, and run in order, as the system, with `current` read again."""
    update_set = UpdateSet()
    update_set.rule("incident", QUEUE)
    script = (
        "gs.info([event.name == undefined, event.parm1, event.user_name, gs.getUserName(), current.number].join());"
    )
    update_set.action(EVENT, f"gs.info('second {{0}}', event.parm2); {script}", "b", order="200")
    update_set.action(
        EVENT, "gs.info('first ' + current.getTableName() + ' ' + current.state.changes());", "a", order="100"
    )
    update_set.action(EVENT, "gs.info('off');", "c", active="false")
    update_set.action(EVENT, "gs.info('kept back');", "d", condition_script="event.parm1 == 'two'")
    update_set.action(EVENT, "gs.info('let through');", "e", condition_script="event.parm1 == 'one'", order="300")
    update_set.action("x_example.other", "gs.info('other');")
    instance.commit(update_set)
    incident = instance.insert("incident", {"short_description": "Printer"}, "agent")
    instance.settle()
    user = incident["opened_by"]["value"]
    assert instance.logged() == [
        "first incident false",
        f"second {user}",
        f"false,one,agent,system,{incident['number']}",
        "let through",
    ]
    [event] = instance.double.rows("sysevent")
    assert (event["state"], event["table"], event["instance"]) == ("processed", "incident", incident["sys_id"])


def test_events_keep_their_order_and_see_the_newest_record(instance: Instance, listener: Listener) -> None:
    """A slow action delays the queue; the next one reads the record as it is then, or none if it was deleted."""
    update_set = UpdateSet()
    update_set.rule("incident", "gs.eventQueue('x_example.changed', current, current.short_description, '');")
    script = "gs.info(event.parm1 + ' ' + (current ? current.short_description : 'gone'));"
    update_set.action(EVENT, f"{script} if (event.parm1 == 'First') {{ {send(listener.url)} }}")
    instance.commit(update_set)
    listener.held.clear()
    first = instance.insert("incident", {"short_description": "First"}, "agent")
    assert listener.arrived.wait(10)
    instance.update("incident", first["sys_id"], {"short_description": "Second"}, "agent")
    instance.update("incident", first["sys_id"], {"short_description": "Third"}, "agent")
    other = instance.insert("incident", {"short_description": "Other"}, "agent")
    instance.send("DELETE", f"/api/now/table/incident/{other['sys_id']}")
    listener.held.set()
    instance.settle()
    assert [line for line in instance.logged() if "," not in line] == [
        "First First",
        "Second Third",
        "Third Third",
        "Other gone",
    ]


def test_a_scheduled_event_waits_for_its_time(instance: Instance) -> None:
    """Nothing happens before; advancing the clock runs it. A record can be given by its ID alone."""
    update_set = UpdateSet()
    script = """
        var at = new GlideDateTime(); at.addSeconds(3600);
        gs.eventQueueScheduled('x_example.changed', current.getUniqueValue(), 'later', '', at);
    """
    update_set.rule("incident", script)
    update_set.action(EVENT, "gs.info(event.parm1 + ' ' + current.number);")
    instance.commit(update_set)
    incident = instance.insert("incident", {"short_description": "Printer"}, "agent")
    instance.settle()
    instance.double.advance(3500)
    instance.settle()
    assert instance.logged() == []
    assert instance.double.rows("sysevent")[0]["state"] == "ready"
    instance.double.advance(101)
    instance.settle()
    assert instance.logged() == [f"later {incident['number']}"]


def test_an_action_that_throws_is_its_events_error(instance: Instance) -> None:
    """It is logged, the event is in error, and the next event runs."""
    update_set = UpdateSet()
    update_set.rule("incident", QUEUE)
    update_set.action(EVENT, "if (current.short_description == 'Bad') throw new Error('no'); gs.info('fine');")
    instance.commit(update_set)
    for text in ("Bad", "Good"):
        instance.insert("incident", {"short_description": text}, "agent")
    instance.settle()
    assert [row["state"] for row in instance.double.rows("sysevent")] == ["error", "processed"]
    assert instance.logged() == ["fine"]
    assert instance.logged("2") == ["Evaluator: Error: no"]


def test_an_unsupported_action_doesnt_stop_the_queue(instance: Instance) -> None:
    """It is logged, and the next one runs."""
    update_set = UpdateSet()
    update_set.rule(
        "incident", "gs.info('x');", when="async", filter_condition="opened_atMORETHANdue_date@day@before@1"
    )
    update_set.rule("incident", QUEUE, "queue", order="200")
    update_set.action(EVENT, "var g = new GlideRecord('incident'); g.addEncodedQuery('opened_atON'); g.query();", "bad")
    update_set.action(EVENT, "gs.info('fine');", "good", order="200")
    instance.commit(update_set)
    instance.insert("incident", {"short_description": "Printer"}, "agent")
    instance.settle()
    assert instance.logged() == ["fine"]
    assert len([line for line in instance.logged("2") if line.startswith("The sandbox does not do this:")]) == 2


def test_parameters_are_cut(instance: Instance) -> None:
    """At 255 characters."""
    update_set = UpdateSet()
    update_set.rule("incident", "gs.eventQueue('x_example.changed', current, new Array(400).join('x'), '');")
    update_set.action(EVENT, "gs.info('' + event.parm1.length);")
    instance.commit(update_set)
    instance.insert("incident", {"short_description": "Printer"}, "agent")
    instance.settle()
    assert instance.logged() == ["255"]


def test_a_reset_forgets_events_and_update_sets(instance: Instance, listener: Listener) -> None:
    """Nothing of the set runs afterwards, not even the rest of a running script."""
    update_set = UpdateSet()
    update_set.table("x_example_thing", {"name": "string"})
    update_set.rule("incident", QUEUE)
    update_set.action(EVENT, f"{send(listener.url)} gs.info('after');")
    instance.commit(update_set)
    listener.held.clear()
    instance.insert("incident", {"short_description": "Printer"}, "agent")
    assert listener.arrived.wait(10)
    threading.Timer(0.2, listener.held.set).start()
    instance.double.reset()
    instance.settle()
    instance.insert("incident", {"short_description": "Printer"}, "agent")
    instance.settle()
    assert instance.double.rows("syslog") == []
    assert instance.double.rows("sysevent") == []
    assert instance.send("GET", "/api/now/table/x_example_thing").status_code == 400
    assert len(listener.requests) == 1


def test_what_a_script_sends_arrives(instance: Instance, listener: Listener) -> None:
    """Method, query, headers and UTF-8 body; an error status doesn't throw; the log has everything except the query."""
    listener.statuses = [200, 503]
    update_set = UpdateSet()
    update_set.rule("incident", QUEUE)
    update_set.action(EVENT, send(listener.url) + send(listener.url))
    instance.commit(update_set)
    incident = instance.insert("incident", {"short_description": "Printer"}, "agent")
    instance.settle()
    assert instance.logged() == ["200,ok,2,false,0", "503,ok,2,true,0"]
    request = listener.requests[0]
    assert request["path"] == f"/path?a=1&secret={incident['number']}"
    assert request["headers"]["Content-Type"] == "application/json"
    assert request["headers"]["User-Agent"] == "ServiceNow/1.0"
    assert listener.bodies()[0] == {"text": "Grüße"}
    logged = instance.double.rows("sys_outbound_http_log")
    assert [(row["method"], row["path"], row["response_status"]) for row in logged] == [
        ("POST", "/path", "200"),
        ("POST", "/path", "503"),
    ]
    assert all(incident["number"] not in str(row) for row in logged)


def test_a_refused_connection_throws_and_a_timeout_is_an_answer(instance: Instance, listener: Listener) -> None:
    """A timeout, which the script set, is status 0 with error code 1."""
    with ReservedPort() as closed:
        nobody = f"http://127.0.0.1:{closed.number}"
        update_set = UpdateSet()
        update_set.rule("incident", QUEUE)
        update_set.action(EVENT, send(nobody) + send(listener.url, "m.setHttpTimeout(200);"))
        instance.commit(update_set)
        listener.held.clear()
        instance.insert("incident", {"short_description": "Printer"}, "agent")
        instance.settle()
        listener.held.set()
    thrown, answer = instance.logged()
    assert thrown.startswith("thrown java.net.ConnectException")
    assert answer == "0,,,true,1"
    assert [row["response_status"] for row in instance.double.rows("sys_outbound_http_log")] == ["0", "0"]


@pytest.mark.parametrize("url", ["http://example.com", "https://10.0.0.1", "http://[2001:db8::1]", "nonsense"])
def test_other_machines_arent_contacted(instance: Instance, url: str) -> None:
    """The sandbox connects only to this machine: any other host is unreachable."""
    update_set = UpdateSet()
    update_set.rule("incident", send(url))
    instance.commit(update_set)
    instance.insert("incident", {"short_description": "Printer"}, "agent")
    [line] = instance.logged()
    assert line.startswith("thrown java.net.")
