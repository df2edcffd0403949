"""An update set like the published version 2.1, written by us: one request per change, with the secret in its query."""

import pytest

from tests.contract.servicenow.conftest import Instance, Listener
from tests.contract.servicenow.update_set import UpdateSet

SUBSCRIPTIONS, KEYS = "x_example_subscriptions", "x_example_keys"
PATH = "/plugins/mattermost-plugin-servicenow/api/v1/notification"

RULE = """
    var names = new Names().all();
    function tell(name, extra) { gs.eventQueue('x_example.incident', current, name, extra); }
    if (current.operation() == 'insert') { tell(names.created, ''); return; }
    ['state', 'priority'].forEach(function (name) { if (current[name].changes()) tell(name, current[name]); });
    if (current.comments.changes()) tell(names.commented, gs.getUserID());
    if (current.assigned_to.changes()) tell('assigned_to', gs.getUserID());
"""
NAMES = """
    var Names = Class.create();
    Names.prototype = { initialize: function () {}, type: 'Names',
      all: function () { return { created: 'created', commented: 'commented' }; } };
"""
SENDER = """
    var Sender = Class.create();
    Sender.prototype = {
      initialize: function () {},
      subscribed: function (table, event) {
        var rows = new GlideRecord('x_example_subscriptions');
        rows.addQuery('record_type', table); rows.addQuery('subscription_events', 'CONTAINS', event);
        rows.addQuery('type', 'object'); rows.addQuery('is_active', true); rows.query();
        return rows;
      },
      message: function (row, record, event) {
        var made = { sys_id: row.getValue('sys_id'), record_id: record.getValue('sys_id') };
        made.event_occurred = event.toString();
        ['number', 'short_description'].forEach(function (name) { made[name] = record.getValue(name); });
        ['state', 'priority', 'assigned_to', 'assignment_group'].forEach(function (name) {
          made[name] = record.getDisplayValue(name);
        });
        ['server_url', 'record_type', 'subscription_events', 'type'].forEach(function (name) {
          made[name] = row.getValue(name);
        });
        made.record_type_name = record.sys_class_name.getDisplayValue();
        made.mm_channel_id = row.getValue('channel_id'); made.mm_user_id = row.getValue('user_id');
        return made;
      },
      send: function (message) {
        var key = new GlideRecord('x_example_keys'), request, answer = null;
        if (!key.get('server_url', message.server_url)) { gs.info('no key'); return answer; }
        request = new sn_ws.RESTMessageV2();
        request.setEndpoint(key.server_url + '/plugins/mattermost-plugin-servicenow/api/v1/notification');
        request.setHttpMethod('post');
        request.setRequestHeader('Content-Type', 'application/json');
        request.setRequestHeader('User-Agent', 'ServiceNow');
        request.setRequestBody(JSON.stringify(message)); request.setQueryParameter('secret', key.api_secret);
        try { answer = request.execute(); gs.info('status ' + answer.getStatusCode()); }
        catch (error) { gs.error('failed ' + JSON.stringify(message), error); }
        return answer;
      },
      type: 'Sender'
    };
"""
ACTION = """
    var sender = new Sender(), rows = sender.subscribed(current.sys_class_name, event.parm1);
    while (rows.next()) sender.send(sender.message(rows, current, event.parm1));
"""


@pytest.fixture
def old(instance: Instance, listener: Listener) -> Instance:
    """The set is committed, with one key and one subscription."""
    update_set = UpdateSet()
    role = update_set.role("x_example.user")
    columns = ("channel_id", "user_id", "server_url", "record_type", "record_id", "type")
    subscriptions = dict.fromkeys(columns, "string:255") | {
        "is_active": "boolean",
        "subscription_events": "string:1000",
    }
    update_set.table(SUBSCRIPTIONS, subscriptions, role=role)
    update_set.table(KEYS, {"server_url": "string:255", "api_secret": "string:255"}, role=role)
    update_set.include("Names", NAMES)
    update_set.include("Sender", SENDER)
    update_set.rule("incident", RULE)
    update_set.action("x_example.incident", ACTION)
    instance.commit(update_set)
    instance.grant("x_example.user", "agent")
    instance.insert(KEYS, {"server_url": listener.url, "api_secret": "s&cret"}, "agent")
    row = {"channel_id": "c1", "user_id": "u1", "server_url": listener.url, "is_active": "true", "type": "object"}
    row |= {"record_type": "incident", "subscription_events": "created,state,commented"}
    instance.insert(SUBSCRIPTIONS, row, "agent")
    return instance


def test_its_sixteen_keys_arrive_with_the_secret_in_the_query(old: Instance, listener: Listener) -> None:
    """One request for each subscribed field that changed, with display values at the time of sending."""
    incident = old.insert("incident", {"short_description": "Printer"}, "agent")
    old.settle()
    old.update("incident", incident["sys_id"], {"state": "2", "urgency": "1", "comments": "x"}, "agent")
    old.settle()
    assert {request["path"] for request in listener.requests} == {f"{PATH}?secret=s%26cret"}
    assert {request["headers"]["User-Agent"] for request in listener.requests} == {"ServiceNow"}
    [subscription] = old.double.rows(SUBSCRIPTIONS)
    created, state, commented = listener.bodies()
    assert created == {
        "sys_id": subscription["sys_id"],
        "record_id": incident["sys_id"],
        "event_occurred": "created",
        "number": incident["number"],
        "short_description": "Printer",
        "state": "New",
        "priority": "5 - Planning",
        "assigned_to": "",
        "assignment_group": "",
        "server_url": listener.url,
        "record_type": "incident",
        "record_type_name": "Incident",
        "subscription_events": "created,state,commented",
        "type": "object",
        "mm_channel_id": "c1",
        "mm_user_id": "u1",
    }
    assert (state["event_occurred"], state["state"]) == ("state", "In Progress")
    assert commented["event_occurred"] == "commented"


def test_its_weaknesses_are_reproduced(old: Instance, listener: Listener) -> None:
    """
    A child class matches nothing, an error status isn't a failure, nothing is retried, and an error's text is lost.
    """
    old.insert("u_facility_incident", {"short_description": "Door", "u_building": "A"}, "agent")
    old.settle()
    assert listener.requests == []
    listener.statuses = [500]
    old.insert("incident", {"short_description": "Printer"}, "agent")
    old.settle()
    assert old.logged()[-1] == "status 500"
    listener.stop()
    old.insert("incident", {"short_description": "Printer"}, "agent")
    old.double.advance(86_400)
    old.settle()
    [failed] = old.logged("2")
    assert failed.startswith("failed {")
    assert "ConnectException" not in failed
    assert len(listener.requests) == 1
