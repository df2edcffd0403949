"""A record with hostile text is shown in every place that shows records; a Markdown parser checks the result."""

from collections.abc import Iterator
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from sandbox.client import MattermostClient
from tests.acts import act, attachment, field, opened, row
from tests.scenarios.plain.test_plain_cards import set_version
from tests.world import World

Json = dict[str, Any]
NUMBER = "INC0010001"
JUDGE = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HARMLESS = {
    "paragraph_open", "paragraph_close", "inline", "text", "text_special", "softbreak", "strong_open", "strong_close",
    "link_open", "link_close", "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close",
    "blockquote_open", "blockquote_close", "em_open", "em_close",
}  # fmt: skip
OURS: tuple[str, ...] = ()
TEXTS = (
    "[x](http://evil.example) ![i](http://evil.example/i.png) <b>b</b> `code` @all @here ~town-square",
    "\u202eevil \u200f\u2066turned :tada: \U0001f389 https://evil.example | a | b |",
    "# Head\n\n```\ncode\n- item\n> quote\n===",
    "word " * 1600,
)


def tokens(text: str) -> Iterator[Token]:
    """All tokens, including inline ones."""
    for token in JUDGE.parse(text):
        yield token
        yield from token.children or []


def check(world: World, text: str) -> None:
    """The record's text has no effect: every link is ours, nobody is mentioned, no text direction changes."""
    found = list(tokens(text))
    assert {token.type for token in found} <= HARMLESS, text
    addresses = [str(token.attrs["href"]) for token in found if token.type == "link_open"]
    assert all(one.startswith(world.servicenow.url) for one in addresses), text
    rest = text
    for word in OURS:
        rest = rest.replace(word, "")
    for sign in "@~":
        assert all(part.startswith("\u200b") for part in rest.split(sign)[1:]), text
    assert not set("\u202e\u200f\u2066") & set(text), text
    assert len(text) <= 16_383


@pytest.fixture(params=TEXTS, ids=["marks", "signs", "blocks", "long"])
def agent(world: World, request: pytest.FixtureRequest) -> MattermostClient:
    """A connected agent; the record, its group and its journal contain the hostile text."""
    text = str(request.param)
    sys_id = row(world, NUMBER)["sys_id"]
    group = world.servicenow.rows("sys_user_group")[0]["sys_id"]
    world.administer("PATCH", f"/api/now/table/sys_user_group/{group}", {"name": text[:80]})
    columns = {"short_description": text[:160], "assignment_group": group, "comments": text[:3900]}
    world.administer("PATCH", f"/api/now/table/incident/{sys_id}", columns)
    return world.connected("agent")


def test_sharing_viewing_and_commenting(world: World, agent: MattermostClient) -> None:
    """Preview, answer, card, view, entries and confirmation."""
    form = opened(agent.command("share", {"record": NUMBER}, channel="service-desk"))
    check(world, field(form, "preview")["description"])
    assert "\u202e" not in field(form, "record")["value"]["label"]
    check(world, agent.submit(form, {}, channel="service-desk")["text"])
    card = attachment(world.mattermost.posts_in("service-desk")[-1])
    for one in card["fields"]:
        check(world, one["value"])
    assert "\n" not in card["title"] + card["fallback"]
    check(world, opened(agent.command("view", {"record": NUMBER}))["header"])
    form = opened(act(agent, NUMBER, "comment"))
    check(world, field(form, "entries")["description"])
    check(world, opened(agent.submit(form, {"comments": "Seen", "action": "add"}))["header"])


@pytest.mark.parametrize("version", ["9.11.0", "11.6.0"])
def test_dialogs_lines_and_warnings(world: World, agent: MattermostClient, version: str) -> None:
    """The text above a dialog's fields, a warning about someone else's change, and the line in the thread."""
    set_version(world, version)
    form = opened(agent.command("share", {"record": NUMBER}, channel="service-desk"))
    agent.submit(form, {}, channel="service-desk")
    post = world.mattermost.posts_in("service-desk")[-1]
    comment = agent.press_action(post["id"], "Comment").dialog
    assert comment is not None
    check(world, comment.form["introduction_text"])
    state = agent.press_action(post["id"], "State").dialog
    assert state is not None
    sys_id = row(world, NUMBER)["sys_id"]
    world.administer("PATCH", f"/api/now/table/incident/{sys_id}", {"description": "Worse"})
    answer = agent.submit_dialog(state, {"state": "2"})
    check(world, answer["error"] if version == "9.11.0" else answer["form"]["introduction_text"])
    assign = agent.press_action(post["id"], "More…", "assign").dialog
    assert assign is not None
    assert agent.submit_dialog(assign, {"assignment_group": "Network"}) == {}
    thread = agent.get(f"/api/v4/posts/{post['id']}/thread")["posts"].values()
    [line] = [one["message"] for one in thread if one["root_id"]]
    check(world, line)
    check(world, agent.press_action(post["id"], "More…", "refresh").texts[0])
