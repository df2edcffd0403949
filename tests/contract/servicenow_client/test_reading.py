"""Reading and lookups: what is retried and what isn't."""

from urllib.parse import parse_qs

import pytest

from core.upstream_errors import Broken, Busy, Dropped, Hibernating, Misdirected, ServiceNowError
from tests.contract.servicenow_client.world import INSERT, World


@pytest.mark.parametrize(
    ("kind", "error", "asked"),
    [
        *(("429", None, 2), ("429_bare", None, 2), ("truncated", None, 2)),
        *(("hibernating", Hibernating, 1), ("html_login", Misdirected, 1), ("500", Broken, 1), ("202", Dropped, 1)),
    ],
)
def test_reads_are_retried_if_that_helps(
    world: World, kind: str, error: type[ServiceNowError] | None, asked: int
) -> None:
    """A temporary error is retried at most twice; others are raised at once."""
    client = world.client()
    world.double.fault(kind, "/api/now/v2/table/incident")
    since = world.clock()
    if error is None:
        assert client.find_created("incident", INSERT, since) is None
        asked += 1  # the lookup takes two reads
    else:
        with pytest.raises(error):
            client.find_created("incident", INSERT, since)
    assert len(world.asked("GET", "/api/now/v2/table/incident")) == asked


def test_reads_are_retried_at_most_twice(world: World) -> None:
    """Then the error is raised."""
    client = world.client()
    world.double.fault("429_bare", "/api/now/v2/table/incident", times=10)
    with pytest.raises(Busy):
        client.find_created("incident", INSERT, world.clock())
    assert len(world.asked("GET", "/api/now/v2/table/incident")) == 3


def test_a_pause_longer_than_the_call_isnt_waited_for(world: World) -> None:
    """ServiceNow asks for a minute; the person is told instead."""
    client = world.client()
    world.double.fault("429", "/api/now/v2/table/incident", seconds=60)
    with pytest.raises(Busy):
        client.find_created("incident", INSERT, world.clock())
    assert len(world.asked("GET", "/api/now/v2/table/incident")) == 1


def test_lookups_arent_retried(world: World) -> None:
    """The next key sends another anyway."""
    client = world.client(seconds=3)
    world.double.fault("429_bare", "/api/now/v2/table/sys_user_group")
    with pytest.raises(Busy):
        client.find_groups("net")
    assert len(world.double.requests()) == 1


def test_people_groups_and_items_are_found_by_a_few_letters(world: World) -> None:
    """By any part of the name, or the start of user name or email; labels tell people apart."""
    client = world.client("requester")
    assert [option.label for option in client.find_users("agen")] == ["Aiko Agent (agent2)", "Amir Agent (agent)"]
    assert [option.label for option in client.find_users("abel.t")] == ["Abel Tuter (abel.tuter)"]
    assert [option.label for option in client.find_groups("DATA")] == ["Database"]
    assert "VPN gateway" in [option.label for option in client.find_configuration_items("vpn")]
    assert client.find_users("nobody of this name") == []
    sent = parse_qs(world.double.requests()[0]["query"])
    assert (sent["sysparm_limit"], sent["sysparm_no_count"]) == (["20"], ["true"])
    assert sent["sysparm_fields"] == ["sys_id,name,user_name"]


@pytest.mark.parametrize(
    "typed", ["zz^ORactive=false", "zz^NQactive=true", "^", "javascript:gs.getUserID()", "zz\n^ORsys_idISNOTEMPTY"]
)
def test_typed_text_cant_extend_a_lookup(world: World, typed: str) -> None:
    """No text gets around the conditions."""
    assert world.client().find_users(typed) == []


def test_people_with_the_same_name_are_both_offered(world: World) -> None:
    """
    Clients drop a second option with the same label, so both show the end of their sys_id: the name alone matches
    neither.
    """
    world.double.store.insert("sys_user_group", {"name": "Network", "sys_id": "0" * 26 + "abcdef"}, "system")
    labels = [option.label for option in world.client().find_groups("network")]
    own = next(one["sys_id"] for one in world.double.rows("sys_user_group") if one["name"] == "Network")
    assert sorted(labels) == sorted([f"Network · {own[-6:]}", "Network · abcdef"])
