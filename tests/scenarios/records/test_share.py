"""Find a record and share it: the best matches first, and its card only where the sharer can post."""

from typing import Any
from urllib.parse import parse_qs

import pytest

from sandbox.client import MattermostClient
from tests.acts import attachment, choice, default, facts, field, labels, names, opened, row, written
from tests.world import World

Json = dict[str, Any]


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent."""
    agent = world.connected("agent")
    world.servicenow.clear_requests()
    return agent


def share_form(person: MattermostClient, channel: str = "service-desk") -> Json:
    """The form from the app bar."""
    menu = person.press("/channel_header", "ServiceNow", channel=channel)["form"]
    return opened(person.submit(menu, {"action": "share"}, channel=channel))


def offered(person: MattermostClient, form: Json, query: str, values: Json | None = None) -> list[str]:
    """The items of the record field."""
    items = person.look_up(form, "record", query, values, channel="service-desk")["data"]["items"]
    return [item["label"] for item in items]


def choose(person: MattermostClient, form: Json, query: str, **values: Any) -> tuple[Json, Json]:
    """Choose the first record found; returns the form with its preview, and the choice."""
    option = person.look_up(form, "record", query, values, channel="service-desk")["data"]["items"][0]
    answer = person.refresh(form, "record", {**values, "record": option}, channel="service-desk")
    return opened(answer), option


def queries(world: World) -> list[str]:
    """The encoded queries that ServiceNow received."""
    return [parse_qs(entry["query"])["sysparm_query"][0] for entry in world.asked()]


@pytest.mark.parametrize("kind", ["every", "incident"])
def test_a_class_that_isnt_shared_isnt_found_if_servicenow_drops_the_condition(
    world: World, agent: MattermostClient, kind: str
) -> None:
    """A record of a class that extends incident is left out, and the incidents themselves are found."""
    store = world.servicenow.store
    store.insert("u_facility_incident", {"short_description": "Zebra in the lobby", "u_building": "North"}, "admin")
    store.insert("incident", {"short_description": "Zebra in the yard"}, "admin")
    asked = {"every": "task", "incident": "incident"}[kind]
    world.servicenow.fault("class_dropped", f"/api/now/v2/table/{asked}", times=9)
    form = share_form(agent)
    chosen_kind = {"table": {"label": kind, "value": kind}}
    assert [label.partition(": ")[2] for label in offered(agent, form, "zebra", chosen_kind)] == ["Zebra in the yard"]


def test_the_record_types_match_the_design(agent: MattermostClient) -> None:
    """Seven tables, all searched at once unless one is chosen."""
    form = share_form(agent)
    assert labels(form, "table") == [
        "All types",
        "Incident",
        "Problem",
        "Change request",
        "Knowledge article",
        "Task",
        "Change task",
        "Follow-on task",
    ]
    assert default(form, "table") == "every"
    assert names(form) == ["table", "record"]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("INC0010001", "INC0010001: Email is slow in the morning"),
        ("badge reader", "INC0010002: Badge reader at the back door does not open"),
        ("switch in rack", "CHG0030001: Replace the switch in rack 4"),
        ("connect to the vpn", "KB0010001: How to connect to the VPN"),
    ],
)
def test_numbers_and_words_find_records_of_all_tables(agent: MattermostClient, query: str, first: str) -> None:
    """A number searches its table; words search every table."""
    assert offered(agent, share_form(agent), query)[0] == first


def test_a_number_searches_only_its_table(world: World, agent: MattermostClient) -> None:
    """One request goes to the table whose numbers have that prefix; words search tasks and articles."""
    form = share_form(agent)
    world.servicenow.clear_requests()
    offered(agent, form, "CHG0030001")
    assert [entry["path"] for entry in world.asked()] == ["/api/now/v2/table/change_request"]
    world.servicenow.clear_requests()
    offered(agent, form, "vpn")
    assert [entry["path"] for entry in world.asked()] == ["/api/now/v2/table/task", "/api/now/v2/table/kb_knowledge"]
    assert all(query.startswith("123TEXTQUERY321=vpn^") for query in queries(world))
    assert all("sysparm_no_count=true" in entry["query"] for entry in world.asked())


def test_the_exact_number_comes_first_then_active_then_new(world: World, agent: MattermostClient) -> None:
    """An exact match comes before newer numbers that start with it; closed records come last."""
    for number, text in (("INC00100017", "Older"), ("INC00100019", "Newer"), ("INC00100018", "Closed")):
        world.servicenow.advance(60)
        world.administer("POST", "/api/now/table/incident", {"number": number, "short_description": text})
    closed = row(world, "INC00100018")
    done = {"state": "7", "close_code": "Duplicate", "close_notes": "x"}
    world.administer("PATCH", f"/api/now/table/incident/{closed['sys_id']}", done)
    assert offered(agent, share_form(agent), "INC0010001") == [
        "INC0010001: Email is slow in the morning",
        "INC00100019: Newer",
        "INC00100017: Older",
        "INC00100018: Closed",
    ]


def test_words_are_searched_inside_texts_if_the_index_finds_none(world: World, agent: MattermostClient) -> None:
    """The text index comes first; part of a word is found inside short descriptions."""
    form = share_form(agent)
    values = {"table": choice(form, "table", "Incident")}
    world.servicenow.clear_requests()
    assert offered(agent, form, "zzqq", values) == []
    assert [query.split("^")[0] for query in queries(world)] == ["123TEXTQUERY321=zzqq", "short_descriptionLIKEzzqq"]


def test_a_word_that_looks_like_a_number_is_searched_as_a_word(world: World, agent: MattermostClient) -> None:
    """No table has that prefix, so texts are searched."""
    world.administer("POST", "/api/now/table/incident", {"short_description": "Roll out Win11 in the office"})
    assert [label.partition(": ")[2] for label in offered(agent, share_form(agent), "win11")] == [
        "Roll out Win11 in the office"
    ]


@pytest.mark.parametrize("query", ["e", " ", "^"])
def test_a_short_query_sends_nothing(world: World, agent: MattermostClient, query: str) -> None:
    """ServiceNow isn't queried below two characters."""
    form = share_form(agent)
    world.servicenow.clear_requests()
    assert offered(agent, form, query) == []
    assert world.asked() == []


@pytest.mark.parametrize("query", ["email^NQactive=true", "email^ORsys_idISNOTEMPTY", "javascript:gs.getUserID()"])
def test_typed_text_cant_change_the_query(agent: MattermostClient, query: str) -> None:
    """Separators and scripts are searched as words, and no record contains them."""
    assert offered(agent, share_form(agent), query) == []


def test_at_most_twenty_are_offered_and_the_field_says_so(world: World, agent: MattermostClient) -> None:
    """Twenty of twenty-five are shown, with a hint to type more."""
    for number in range(25):
        world.administer("POST", "/api/now/table/incident", {"short_description": f"Flood in cellar {number}"})
    form = share_form(agent)
    assert len(offered(agent, form, "flood in")) == 20
    assert "type more" in field(form, "record")["description"]


def test_two_records_with_the_same_text_are_both_offered(world: World, agent: MattermostClient) -> None:
    """Labels start with the number, so clients drop neither."""
    for _ in range(2):
        world.administer("POST", "/api/now/table/incident", {"short_description": "Twins"})
    found = offered(agent, share_form(agent), "twins")
    assert len(found) == 2
    assert len(set(found)) == 2


def test_another_type_clears_the_record(agent: MattermostClient) -> None:
    """Changing the type clears the chosen record and its preview."""
    form, option = choose(agent, share_form(agent), "INC0010001")
    values = {"table": choice(form, "table", "Problem"), "record": option}
    again = opened(agent.refresh(form, "table", values, channel="service-desk"))
    assert default(again, "record") is None
    assert names(again) == ["table", "record"]
    assert offered(agent, again, "vpn", {"table": choice(again, "table", "Problem")}) == [
        "PRB0040001: VPN sessions end after an hour"
    ]


def test_the_preview_shows_the_tables_fields(agent: MattermostClient) -> None:
    """Tasks and articles have their own fields; empty ones are N/A."""
    form, _ = choose(agent, share_form(agent), "INC0010001")
    preview = field(form, "preview")["description"]
    assert "Email is slow in the morning" in preview
    assert "- State: New\n- Priority: 4 \\- Low\n- Assigned to: N/A\n- Assignment group: N/A" in preview
    form, _ = choose(agent, share_form(agent), "connect to the vpn")
    preview = field(form, "preview")["description"]
    assert [line.split(":")[0] for line in preview.splitlines()[2:]] == [
        "- Knowledge base",
        "- Workflow",
        "- Category",
        "- Author",
    ]
    assert "- Workflow: Published" in preview


def test_sharing_reads_the_record_once_and_posts_its_card(world: World, agent: MattermostClient) -> None:
    """One read after the search; the bot's card has the sharer's name and note; the answer is private."""
    form, option = choose(agent, share_form(agent), "INC0010003")
    world.servicenow.clear_requests()
    answer = agent.submit(form, {"record": option, "note": "Please **look**, @all"}, channel="service-desk")
    assert answer["type"] == "ok", answer
    incident = row(world, "INC0010003")
    assert [entry["path"] for entry in world.asked()] == [f"/api/now/v2/table/incident/{incident['sys_id']}"]
    card = world.mattermost.posts_in("service-desk")[-1]
    assert world.mattermost.state.users[card["user_id"]]["username"] == "servicenow"
    headline, _, note = card["message"].partition("\n\n")
    link = attachment(card)["title_link"]
    assert headline == f"Amir Agent shared [INC0010003]({link}): VPN drops every hour"
    assert attachment(card)["title"] == "INC0010003: VPN drops every hour"
    assert facts(card)["State"] == "New"
    assert attachment(card)["footer"].startswith("Incident | ")
    assert note.startswith("> Please \\*\\*look\\*\\*, @\u200ball")
    assert "INC0010003" in answer["text"]
    assert "Service Desk" in answer["text"]


def test_a_changes_card_has_its_own_fields(world: World, agent: MattermostClient) -> None:
    """Type, risk, planned times and approval; times are marked as UTC."""
    form, option = choose(agent, share_form(agent), "CHG0030002")
    agent.submit(form, {"record": option}, channel="service-desk")
    shown = facts(world.mattermost.posts_in("service-desk")[-1])
    assert list(shown) == [
        "State",
        "Priority",
        "Assigned to",
        "Assignment group",
        "Type",
        "Risk",
        "Planned start",
        "Planned end",
        "Approval",
    ]
    assert shown["Type"] == "Normal"
    assert shown["Planned start"].endswith(" UTC")
    assert shown["Approval"] == "Requested"


def test_an_articles_card_has_its_own_fields(world: World, agent: MattermostClient) -> None:
    """Knowledge articles have four."""
    form, option = choose(agent, share_form(agent), "connect to the vpn")
    agent.submit(form, {"record": option}, channel="service-desk")
    card = world.mattermost.posts_in("service-desk")[-1]
    assert list(facts(card)) == ["Knowledge base", "Workflow", "Category", "Author"]
    assert attachment(card)["footer"].startswith("Knowledge article | ")


def test_a_person_gets_it_as_a_direct_message(world: World, agent: MattermostClient) -> None:
    """A chosen person wins over the default channel; the card is the sharer's own post."""
    form, option = choose(agent, share_form(agent), "INC0010001")
    requester = world.person("requester")
    person = {"label": "requester", "value": requester.id}
    answer = agent.submit(form, {"record": option, "person": person}, channel="service-desk")
    assert answer["type"] == "ok", answer
    assert answer["text"].endswith(" with Rosa Requester.")
    [post] = [p for p in world.mattermost.state.posts.values() if p["props"].get("attachments")]
    channel = world.mattermost.state.channels[post["channel_id"]]
    assert channel["type"] == "D"
    assert set(channel["name"].split("__")) == {agent.id, requester.id}
    assert attachment(post)["title"].startswith("INC0010001")


@pytest.mark.parametrize("channel", ["operations", "archive"])
def test_nothing_is_shared_where_the_sharer_cant_post(world: World, agent: MattermostClient, channel: str) -> None:
    """A channel that the sharer isn't in, or that is archived, is rejected at the field, and no card is posted."""
    form, option = choose(agent, share_form(agent), "INC0010001")
    target = next(one for one in world.mattermost.state.channels.values() if one["name"] == channel)
    where = {"label": channel, "value": target["id"]}
    answer = agent.submit(form, {"record": option, "channel": where}, channel="service-desk")
    assert answer["type"] == "error"
    assert set(answer["data"]["errors"]) == {"channel"}
    assert "Nothing was shared" in answer["text"]
    assert not [p for p in world.mattermost.state.posts.values() if p["props"].get("attachments")]


def test_exactly_one_destination_is_required(agent: MattermostClient) -> None:
    """Neither channel nor person, or both, is an error at the field."""
    form, option = choose(agent, share_form(agent), "INC0010001")
    neither = agent.submit(form, {"record": option, "channel": None}, channel="service-desk")
    assert "channel" in neither["data"]["errors"]
    person = {"label": "agent", "value": agent.id}
    other = {"label": "Town Square", "value": agent.channel("town-square")}
    both = agent.submit(form, {"record": option, "person": person, "channel": other}, channel="service-desk")
    assert "person" in both["data"]["errors"]


def test_one_form_shares_once(world: World, agent: MattermostClient) -> None:
    """Submitted twice, it posts one card."""
    form, option = choose(agent, share_form(agent), "INC0010001")
    first = agent.submit(form, {"record": option}, channel="service-desk")
    second = agent.submit(form, {"record": option}, channel="service-desk")
    assert first["text"] == second["text"]
    assert len(world.mattermost.posts_in("service-desk")) == 1


def test_a_typed_number_opens_the_form_with_its_preview(world: World, agent: MattermostClient) -> None:
    """The record is chosen, and the channel is the current one; one press shares it."""
    form = opened(agent.command("share", {"record": "inc0010002"}, channel="service-desk"))
    assert default(form, "record").startswith("incident.")
    assert default(form, "channel") == agent.channel("service-desk")
    assert agent.submit(form, {}, channel="service-desk")["type"] == "ok"
    assert attachment(world.mattermost.posts_in("service-desk")[-1])["title"].startswith("INC0010002")


def test_typed_words_with_several_matches_list_them(agent: MattermostClient) -> None:
    """The form opens and lists them; without text it opens empty."""
    form = opened(agent.command("share", {"record": "vpn"}, channel="service-desk"))
    assert "INC0010003" in form["header"]
    assert "PRB0040001" in form["header"]
    assert default(form, "record") is None
    assert "header" not in opened(agent.command("share", {}, channel="service-desk"))


def test_a_record_that_the_sharer_cant_see_isnt_shared(world: World, agent: MattermostClient) -> None:
    """An agent found it, and someone without access submits it: the answer gives the reason, and nothing is posted."""
    _, option = choose(agent, share_form(agent), "INC0010001")
    requester = world.connected("requester")
    assert offered(requester, share_form(requester), "INC0010001") == []
    form, mine = choose(requester, share_form(requester), "INC0010003")
    assert mine["label"].startswith("INC0010003")
    answer = requester.submit(form, {"record": option}, channel="service-desk")
    assert answer["type"] == "error"
    assert "may not see it" in answer["data"]["errors"]["record"]
    assert world.mattermost.posts_in("service-desk") == []


def test_a_class_that_isnt_shared_is_neither_found_nor_shared(world: World, agent: MattermostClient) -> None:
    """A child class of incident appears in searches and cards only after an administrator adds its table."""
    made = world.administer(
        "POST", "/api/now/table/u_facility_incident", {"short_description": "Secret leak", "u_building": "B1"}
    ).json()["result"]
    form = share_form(agent)
    assert offered(agent, form, "secret leak") == []
    assert offered(agent, form, "secret leak", {"table": choice(form, "table", "Incident")}) == []
    form, _ = choose(agent, form, "INC0010001")
    smuggled = {"label": "x", "value": f"incident.{made['sys_id']}"}
    answer = agent.submit(form, {"record": smuggled}, channel="service-desk")
    assert "SHARED_TABLES" in answer["text"]
    world.restart(shared_tables=("u_facility_incident",))
    assert offered(agent, share_form(agent), "secret leak") == [f"{made['number']}: Secret leak"]
    assert "U facility incident" in labels(share_form(agent), "table")


@pytest.mark.parametrize("table", ["sys_user", "u_facility_incident", "sn_hr_core_case"])
def test_a_table_that_isnt_shared_isnt_read(world: World, agent: MattermostClient, table: str) -> None:
    """A record that no form offers is rejected by its table's name, before any request to ServiceNow."""
    sys_id = world.servicenow.rows("sys_user")[0]["sys_id"]
    form, _ = choose(agent, share_form(agent), "INC0010001")
    smuggled = {"label": "x", "value": f"{table}.{sys_id}"}
    world.servicenow.clear_requests()
    for answer in (
        agent.submit(form, {"record": smuggled}, channel="service-desk"),
        agent.command("view", {"record": f"{table}.{sys_id}"}, channel="service-desk"),
    ):
        assert "SHARED_TABLES" in answer["text"]
    assert world.asked() == []


def test_links_lead_to_the_workspace_if_set(world: World, agent: MattermostClient) -> None:
    """Records open in the workspace; articles, which it doesn't support, open in the classic frame."""
    world.restart(record_links="workspace")
    for query, path in (("INC0010001", "/now/sow/record/incident/"), ("connect to the vpn", "/nav_to.do?uri=kb_")):
        form, option = choose(agent, share_form(agent), query)
        agent.submit(form, {"record": option}, channel="service-desk")
        assert path in attachment(world.mattermost.posts_in("service-desk")[-1])["title_link"]


def test_a_timeout_shares_nothing_and_is_reported(world: World, agent: MattermostClient) -> None:
    """The form remains open and works as soon as ServiceNow does."""
    form, option = choose(agent, share_form(agent), "INC0010001")
    world.servicenow.fault("hibernating", "/api/now/v2/table/incident")
    answer = agent.submit(form, {"record": option}, channel="service-desk")
    assert answer["type"] == "error"
    assert "asleep" in answer["text"]
    assert world.mattermost.posts_in("service-desk") == []
    assert agent.submit(form, {"record": option}, channel="service-desk")["type"] == "ok"


def test_sharing_requires_a_connected_account(world: World, agent: MattermostClient) -> None:
    """The command isn't offered; an open form is answered with a link to connect."""
    form, option = choose(agent, share_form(agent), "INC0010001")
    agent.command("disconnect")
    answer = agent.submit(form, {"record": option}, channel="service-desk")
    assert answer["type"] == "error"
    assert "oauth2/remote/connect" in answer["text"]
    assert "servicenow share" not in agent.entries("/command")


def test_it_works_in_a_direct_message(world: World, agent: MattermostClient) -> None:
    """The current conversation is the default, although no list of channels contains it."""
    requester = world.person("requester")
    direct = agent.post("/api/v4/channels/direct", [agent.id, requester.id])["id"]
    form = opened(agent.command("share", {"record": "INC0010001"}, channel_id=direct))
    assert field(form, "channel")["value"] == {"label": "This conversation", "value": direct}
    assert agent.submit(form, {}, channel_id=direct)["type"] == "ok"
    [post] = [one for one in world.mattermost.state.posts.values() if one["props"].get("attachments")]
    assert (post["channel_id"], post["user_id"]) == (direct, agent.id)


ODD: list[Any] = [
    "incident.zz",
    "incident.",
    ".",
    "incident." + "A" * 32,
    "sys_user." + "a" * 32,
    {"label": "x", "value": "incident.zz"},
    [{"label": "x", "value": "incident.zz"}],
    {"label": "x", "value": "incident." + "0" * 32},
    True,
    "../../incident",
]


@pytest.mark.parametrize("kind", ["form", "refresh", "submit"])
def test_an_invalid_record_is_rejected_with_a_message(world: World, agent: MattermostClient, kind: str) -> None:
    """A value that no lookup offered is searched for, and the answer says what is wrong with it."""
    expand = {"acting_user": "+summary", "channel": "summary", "acting_user_access_token": "all"}
    for record in ODD:
        answer = agent.call({"path": f"/record/share/{kind}", "expand": expand}, values={"record": record})
        said = str(answer.get("text", "")) + str(answer.get("form", {}).get("header", ""))
        words = ("finds no record", "at least two letters", "no such record", "Records of this kind")
        assert any(one in said for one in words) or (record is True and answer["type"] == "form"), (record, answer)
    assert written(world) == []
