"""
Each form makes one record, entry, row or file, in whatever order the answers and commits of its submits arrive.

The orders are enumerated: how the first submit's write ends, when it is committed, whether looking for it is
answered, whether the service is restarted in between, and how the submit after the hold ends. Nothing waits: the
double's fault `late` answers 504 at once and commits when the test says so, and clocks are moved.
"""

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from core.subscriptions import TABLE as SUBSCRIPTIONS
from handlers.idempotency import HOLD_SECONDS
from sandbox.client import MattermostClient
from tests.acts import opened
from tests.scenarios.subscriptions import subscribing
from tests.world import World

Json = dict[str, Any]
NUMBER = "INC0010001"
HERE: Json = {"channel": "service-desk"}


@dataclass
class Kind:
    """
    One kind of write.

    Args:
        method, path: Of its request to ServiceNow.
        looks: Prefix of the requests that look for it.
        open: A fresh form; the argument tells it from others.
        count: How many of the argument's are in ServiceNow.
        who: Submits it; `agent` may not read journals as rows.
    """

    method: str
    path: str
    looks: str
    open: Callable[[World, MattermostClient, str], tuple[Json, Json]]
    count: Callable[[World, str], int]
    who: str = "agent"


def from_menu(action: str) -> Callable[[World, MattermostClient, str], tuple[Json, Json]]:
    """Forms of the app bar with a short description."""

    def form(_world: World, agent: MattermostClient, word: str) -> tuple[Json, Json]:
        menu = agent.press("/channel_header", "ServiceNow", **HERE)["form"]
        return opened(agent.submit(menu, {"action": action}, **HERE)), {"short_description": word}

    return form


def journal_form(command: str, element: str) -> Callable[[World, MattermostClient, str], tuple[Json, Json]]:
    """The form of comments or work notes."""

    def form(_world: World, agent: MattermostClient, word: str) -> tuple[Json, Json]:
        return opened(agent.command(command, {"record": NUMBER}, **HERE)), {element: word, "action": "add"}

    return form


def message_form(_world: World, agent: MattermostClient, word: str) -> tuple[Json, Json]:
    """The form of a message's menu."""
    post = agent.say("service-desk", f"{word} {NUMBER}")
    return opened(agent.press("/post_menu", "Add to ServiceNow record", post_id=post["id"], **HERE)), {}


def subscription_form(world: World, agent: MattermostClient, word: str) -> tuple[Json, Json]:
    """The form of a subscription; one with another filter for each word."""
    form = subscribing.opened(agent)
    return form, {"action": "save", "name": word, "text": word}


def titled(table: str) -> Callable[[World, str], int]:
    """Rows by their short description."""
    return lambda world, word: sum(row["short_description"] == word for row in world.servicenow.rows(table))


def entries(element: str) -> Callable[[World, str], int]:
    """Journal entries that hold the word."""

    def count(world: World, word: str) -> int:
        task = next(row for row in world.servicenow.rows("task") if row["number"] == NUMBER)
        found = world.servicenow.store.journal(task["sys_id"], element)
        return sum(bool(re.search(rf"\b{word}\b", entry["value"])) for entry in found)

    return count


TASKS = "/api/now/v2/table/incident"
KINDS = {
    "incident": Kind("POST", TASKS, TASKS, from_menu("incident"), titled("incident")),
    "change": Kind(
        "POST",
        "/api/sn_chg_rest/v1/change/normal",
        "/api/now/v2/table/change_request",
        from_menu("change"),
        titled("change_request"),
    ),
    "comment": Kind("PATCH", TASKS, "/api/now/v2/table/", journal_form("comment", "comments"), entries("comments")),
    "work note": Kind("PATCH", TASKS, "/api/now/v2/table/", journal_form("note", "work_notes"), entries("work_notes")),
    "comment, read as rows": Kind(
        "PATCH", TASKS, "/api/now/v2/table/", journal_form("comment", "comments"), entries("comments"), "admin"
    ),
    "message": Kind("PATCH", TASKS, "/api/now/v2/table/sys_journal_field", message_form, entries("work_notes")),
    "subscription": Kind(
        "POST",
        f"/api/now/v2/table/{SUBSCRIPTIONS}",
        f"/api/now/v2/table/{SUBSCRIPTIONS}",
        subscription_form,
        lambda world, word: sum(row["name"] == word for row in world.servicenow.rows(SUBSCRIPTIONS)),
    ),
}

# How the first write ends, and when it is committed: never, with its answer lost, or so many submits later.
FIRST = [
    ("202", "never"),
    ("500_after_commit", "at once"),
    ("truncated", "at once"),
    ("late", "never"),
    ("late", "before the second submit"),
    ("late", "before the end of the hold"),
]


@dataclass(frozen=True)
class Order:
    """One order of events."""

    first: str
    commit: str
    silent: bool
    restart: bool
    third: str


def orders() -> Iterator[Order]:
    """All of them that differ; a restart alone changes nothing that silence does not."""
    for first, commit in FIRST:
        for silent, restart in ((False, False), (True, False), (True, True)):
            yield Order(first, commit, silent, restart, "answered")
        if commit == "never":
            yield Order(first, commit, False, False, "lost")
            yield Order(first, commit, False, True, "late")


class Run:
    """One form through one order, with what must hold after each of its submits."""

    def __init__(self, world: World, agent: MattermostClient, kind: Kind, word: str) -> None:
        self.world, self.agent, self.kind, self.word = world, agent, kind, word
        self.form, self.values = kind.open(world, agent, word)
        self.texts: list[str] = []

    def fault(self, name: str, **more: Any) -> None:
        """Let the next write go wrong."""
        self.world.servicenow.fault(name, self.kind.path, method=self.kind.method, **more)

    def submit(self) -> tuple[bool, str, int]:
        """Whether it was confirmed, the words, and how many writes were sent."""
        self.world.servicenow.clear_requests()
        answer = self.agent.submit(self.form, self.values, **HERE)
        text = answer.get("text") or answer.get("form", {}).get("header", "")
        writes = len(self.world.asked(method=self.kind.method, path=self.kind.path))
        assert self.kind.count(self.world, self.word) <= 1
        return answer["type"] != "error", text, writes

    def confirmed(self, writes: int) -> None:
        """A submit that is confirmed after so many writes; from then on each gets the same answer."""
        done, text, sent = self.submit()
        assert (done, sent) == (True, writes), text
        assert self.kind.count(self.world, self.word) == 1
        done, _, sent = self.submit()
        assert (done, sent) == (True, 0)
        assert self.kind.count(self.world, self.word) == 1

    def unsure(self, writes: int) -> None:
        """A submit that says that it may have been saved, and that it is held."""
        done, text, sent = self.submit()
        assert (done, sent) == (False, writes), text
        assert "may have been saved" in text
        assert "For the next 6 minutes, sending this form again only checks whether it was saved." in text

    def go(self, order: Order) -> None:
        """All of it."""
        self.fault(order.first)
        if order.silent:
            self.world.servicenow.fault("hibernating", self.kind.looks, times=4, method="GET")
        saved = order.commit == "at once"
        if saved and not order.silent:
            return self.confirmed(1)
        self.unsure(1)
        self.world.servicenow.clear_faults()
        if order.restart:
            self.world.restart()
        if order.commit == "before the second submit":
            self.world.servicenow.release()
            saved = True
        if saved:
            return self.confirmed(0)
        self.unsure(0)
        if order.commit == "before the end of the hold":
            self.world.advance(HOLD_SECONDS - 60)
            self.world.servicenow.release()
            return self.confirmed(0)
        self.world.advance(HOLD_SECONDS + 1)
        self.world.servicenow.cancel_late()
        if order.third == "answered":
            return self.confirmed(1)
        self.fault("late" if order.third == "late" else "500_after_commit")
        if order.third == "lost":
            return self.confirmed(1)
        self.unsure(1)
        self.unsure(0)
        self.world.servicenow.release()
        return self.confirmed(0)


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent with the right to subscribe."""
    subscribing.install_component(world, "agent")
    return world.connected("agent")


@pytest.mark.parametrize("name", KINDS)
def test_every_order_makes_one(world: World, agent: MattermostClient, name: str) -> None:
    """Whatever is lost, late or repeated: one after the end, never two, and no second write within the hold."""
    kind = KINDS[name]
    person = agent if kind.who == "agent" else world.connected(kind.who)
    for number, order in enumerate(orders()):
        run = Run(world, person, kind, f"w{number}w")
        try:
            run.go(order)
        except AssertionError as error:
            raise AssertionError(f"{name}: {order}: {error}") from error
        world.servicenow.clear_faults()
        world.servicenow.cancel_late()


def when_in_servicenow(world: World, submit: Callable[[], Json], then: Callable[[], object]) -> Json:
    """Submit in a thread, do *then* while ServiceNow holds its write back, and return the answer."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(submit)
        while world.servicenow.armed():
            threading.Event().wait(0.01)
        try:
            then()
        finally:
            world.servicenow.clear_faults()
        return answer.result(30)


@pytest.mark.parametrize("name", ["incident", "change", "comment", "subscription"])
def test_a_second_submit_during_the_first_waits_for_nothing(world: World, agent: MattermostClient, name: str) -> None:
    """While ServiceNow still works on the first, the second is told so; later it gets the first one's answer."""
    run = Run(world, agent, KINDS[name], "held")
    run.fault("slow", seconds=30)
    second: list[tuple[bool, str, int]] = []
    answer = when_in_servicenow(
        world, lambda: agent.submit(run.form, run.values, **HERE), lambda: second.append(run.submit())
    )
    assert answer["type"] != "error", answer
    assert second[0][::2] == (False, 0)
    assert "being saved" in second[0][1]
    run.confirmed(0)


@pytest.mark.parametrize("name", ["incident", "change"])
def test_a_commit_beyond_every_limit_is_told(world: World, agent: MattermostClient, name: str) -> None:
    """
    The first write appears after the hold, between the look and the second write: the person gets both numbers.

    The card shows the older one; deleting records is not ours to do.
    """
    run = Run(world, agent, KINDS[name], "beyond")
    run.fault("late")
    run.unsure(1)
    world.advance(HOLD_SECONDS + 1)
    run.fault("slow", seconds=30)
    answer = when_in_servicenow(
        world, lambda: agent.submit(run.form, run.values, **HERE), lambda: world.servicenow.release()
    )
    table = {"incident": "incident", "change": "change_request"}[name]
    older, younger = [row["number"] for row in world.servicenow.rows(table) if row["short_description"] == "beyond"]
    first, _, rest = answer["text"].partition("\n\n")
    assert f"Created [{older}](" in first
    assert "ServiceNow saved this 2 times" in rest
    assert f"Also created: [{younger}](" in rest
    [card] = [post for post in world.mattermost.posts_in("service-desk") if post["props"].get("attachments")]
    assert card["props"]["attachments"][0]["title"].startswith(older)


@pytest.mark.parametrize("who", ["agent", "admin"])
def test_an_entry_committed_beyond_every_limit_is_told(world: World, agent: MattermostClient, who: str) -> None:
    """The same with a comment: it can't be taken back, so the person is told that it is there twice."""
    person = agent if who == "agent" else world.connected("admin")
    run = Run(world, person, KINDS["comment"], "beyond")
    run.fault("late")
    run.unsure(1)
    world.advance(HOLD_SECONDS + 1)
    run.fault("slow", seconds=30)
    answer = when_in_servicenow(
        world, lambda: person.submit(run.form, run.values, **HERE), lambda: world.servicenow.release()
    )
    assert "ServiceNow saved this entry twice" in opened(answer)["header"]
    assert KINDS["comment"].count(world, "beyond") == 2


def test_a_row_that_its_creator_may_not_read_is_never_inserted_again(world: World, agent: MattermostClient) -> None:
    """403 after the insert, and nothing to be found: the same form only looks from then on, for as long as it lives."""
    run = Run(world, agent, KINDS["incident"], "hidden")
    run.fault("403_after_insert")
    for hours in (0, 1, 10):
        world.advance(hours * 3600)
        world.servicenow.fault("empty_acl", TASKS, times=10, method="GET")
        done, text, writes = run.submit()
        assert (done, writes) == (False, 0 if hours else 1)
        assert "before you send it again. Sending this form again only checks whether it was saved." in text
        world.servicenow.clear_faults()
    run.confirmed(0)


@pytest.mark.parametrize("name", ["incident", "comment"])
def test_what_was_edited_after_a_lost_answer_is_not_claimed(world: World, agent: MattermostClient, name: str) -> None:
    """The first text was saved late and the form was edited: the answer says which of the two ServiceNow has."""
    run = Run(world, agent, KINDS[name], "original")
    run.fault("late")
    run.unsure(1)
    world.servicenow.release()
    text = {"incident": "short_description", "comment": "comments"}[name]
    answer = agent.submit(run.form, {**run.values, text: "edited"}, **HERE)
    told = answer.get("text") or opened(answer)["header"]
    assert "ServiceNow has what you sent first. What you changed after that was not saved." in told
    assert (KINDS[name].count(world, "original"), KINDS[name].count(world, "edited")) == (1, 0)


@pytest.mark.parametrize("who", ["agent", "admin"])
def test_an_older_entry_with_the_same_text_is_not_taken_for_the_new_one(
    world: World, agent: MattermostClient, who: str
) -> None:
    """Mine of an hour ago, and somebody else's of now, are not what this form wrote; read as text and as rows."""
    admin = world.connected("admin")
    person, other = (agent, admin) if who == "agent" else (admin, agent)
    person.command("comment", {"record": NUMBER, "comments": "ping"})
    world.advance(3600)
    other.command("comment", {"record": NUMBER, "comments": "ping"})
    run = Run(world, person, Kind("PATCH", TASKS, "", journal_form("comment", "comments"), lambda *_: 0), "ping")
    run.fault("202")
    run.unsure(1)
    world.advance(HOLD_SECONDS + 1)
    done, text, writes = run.submit()
    assert (done, writes) == (True, 1), text
    assert KINDS["comment"].count(world, "ping") == 3


def attachments(world: World) -> list[str]:
    """The names of all files."""
    return [row["file_name"] for row in world.servicenow.rows("sys_attachment")]


def with_file(agent: MattermostClient, content: bytes = b"stack") -> Json:
    """A message that names a record and has a file."""
    channel_id = agent.channel("service-desk")
    ids = [agent.upload(channel_id, "trace.txt", content)]
    post: Json = agent.post("/api/v4/posts", {"channel_id": channel_id, "message": f"Log {NUMBER}", "file_ids": ids})
    return post


def add_message(agent: MattermostClient, post: Json) -> str:
    """Add the message to the record; the answer's words."""
    form = opened(agent.press("/post_menu", "Add to ServiceNow record", post_id=post["id"], **HERE))
    answer = agent.submit(form, {}, **HERE)
    assert answer["type"] == "ok", answer
    assert agent.submit(form, {}, **HERE)["text"] == answer["text"]
    return str(answer["text"])


def test_a_message_that_is_added_again_attaches_its_file_once(world: World, agent: MattermostClient) -> None:
    """By name and content: another file of the same name is attached, the same one is not."""
    post = with_file(agent)
    assert "1 file attached." in add_message(agent, post)
    assert "1 file was already attached." in add_message(agent, post)
    assert attachments(world) == ["trace.txt"]
    assert "1 file attached." in add_message(agent, with_file(agent, b"other"))
    assert attachments(world) == ["trace.txt", "trace.txt"]


@pytest.mark.parametrize(
    ("fault", "told"),
    [("500_after_commit", "1 file attached."), ("truncated", "1 file attached."), ("late", "ServiceNow did not say")],
)
def test_a_file_whose_answer_is_lost_is_attached_once(
    world: World, agent: MattermostClient, fault: str, told: str
) -> None:
    """It is looked for, or said to be unsure; the same form sends it never again, and another form finds it."""
    post = with_file(agent)
    world.servicenow.fault(fault, "/api/now/attachment/file", method="POST")
    assert told in add_message(agent, post)
    assert len(world.asked(method="POST", path="/api/now/attachment/file")) == 1
    world.servicenow.release()
    assert "1 file was already attached." in add_message(agent, post)
    assert attachments(world) == ["trace.txt"]


@pytest.mark.parametrize("fault", ["500_after_commit", "down"])
def test_a_shared_card_is_posted_once(world: World, agent: MattermostClient, fault: str) -> None:
    """Mattermost posted it and failed to say so, or did not post it: the form, sent again, ends with one card."""
    menu = agent.press("/channel_header", "ServiceNow", **HERE)["form"]
    form = opened(agent.submit(menu, {"action": "share"}, **HERE))
    record = agent.look_up(form, "record", NUMBER, {}, **HERE)["data"]["items"][0]
    form = opened(agent.refresh(form, "record", {"record": record}, **HERE))
    world.mattermost.fault("500" if fault == "down" else fault, "/api/v4/posts", method="POST", times=2)
    failed = agent.submit(form, {"record": record}, **HERE)
    assert (failed["type"], "Mattermost" in failed["text"]) == ("error", True), failed
    world.mattermost.clear_faults()
    world.restart()
    world.advance(120)
    answer = agent.submit(form, {"record": record}, **HERE)
    assert answer["type"] == "ok", answer
    cards = [post for post in world.mattermost.posts_in("service-desk") if post["props"].get("attachments")]
    assert len(cards) == 1
