"""
Each form makes one record, entry, row or file, in whatever order the answers and commits of its submits arrive.

The orders are enumerated: how the first submit's write ends, when it is committed, whether its lookup is answered,
whether the service is restarted in between, and how the submit after the hold ends. Nothing waits: the double's fault
`late` answers 504 at once and commits when the test says so, and clocks are moved.
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
    """The form of a subscription, with another filter for each word."""
    form = subscribing.opened(agent)
    return form, {"action": "save", "name": word, "text": word}


def with_title(table: str) -> Callable[[World, str], int]:
    """Rows by their short description."""
    return lambda world, word: sum(row["short_description"] == word for row in world.servicenow.rows(table))


def entries(element: str) -> Callable[[World, str], int]:
    """Journal entries that contain the word."""

    def count(world: World, word: str) -> int:
        task = next(row for row in world.servicenow.rows("task") if row["number"] == NUMBER)
        found = world.servicenow.store.journal(task["sys_id"], element)
        return sum(bool(re.search(rf"\b{word}\b", entry["value"])) for entry in found)

    return count


TASKS = "/api/now/v2/table/incident"
KINDS = {
    "incident": Kind("POST", TASKS, TASKS, from_menu("incident"), with_title("incident")),
    "change": Kind(
        "POST",
        "/api/sn_chg_rest/v1/change/normal",
        "/api/now/v2/table/change_request",
        from_menu("change"),
        with_title("change_request"),
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

# How the first write ends, and when it is committed: never, with its answer lost, or this many submits later.
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
    """All orders that differ; a restart alone changes nothing that a timeout doesn't."""
    for first, commit in FIRST:
        for silent, restart in ((False, False), (True, False), (True, True)):
            yield Order(first, commit, silent, restart, "answered")
        if commit == "never":
            yield Order(first, commit, False, False, "lost")
            yield Order(first, commit, False, True, "late")


class Run:
    """One form in one order, with what must hold after each submit."""

    def __init__(self, world: World, agent: MattermostClient, kind: Kind, word: str) -> None:
        self.world, self.agent, self.kind, self.word = world, agent, kind, word
        self.form, self.values = kind.open(world, agent, word)
        self.texts: list[str] = []

    def fault(self, name: str, **more: Any) -> None:
        """Make the next write fail."""
        self.world.servicenow.fault(name, self.kind.path, method=self.kind.method, **more)

    def submit(self) -> tuple[bool, str, int]:
        """Whether it was confirmed, the message, and how many writes were sent."""
        self.world.servicenow.clear_requests()
        answer = self.agent.submit(self.form, self.values, **HERE)
        text = answer.get("text") or answer.get("form", {}).get("header", "")
        writes = len(self.world.asked(method=self.kind.method, path=self.kind.path))
        assert self.kind.count(self.world, self.word) <= 1
        return answer["type"] != "error", text, writes

    def confirmed(self, writes: int) -> None:
        """A submit that is confirmed after this many writes; from then on each one gets the same answer."""
        done, text, sent = self.submit()
        assert (done, sent) == (True, writes), text
        assert self.kind.count(self.world, self.word) == 1
        done, _, sent = self.submit()
        assert (done, sent) == (True, 0)
        assert self.kind.count(self.world, self.word) == 1

    def unconfirmed(self, writes: int) -> None:
        """A submit that says that it might have been saved, and that the form is held."""
        done, text, sent = self.submit()
        assert (done, sent) == (False, writes), text
        assert "may have been saved" in text
        assert "For the next 6 minutes, sending this form again only checks whether it was saved." in text

    def run(self, order: Order) -> None:
        """Run the whole order."""
        self.fault(order.first)
        if order.silent:
            self.world.servicenow.fault("hibernating", self.kind.looks, times=4, method="GET")
        saved = order.commit == "at once"
        if saved and not order.silent:
            return self.confirmed(1)
        self.unconfirmed(1)
        self.world.servicenow.clear_faults()
        if order.restart:
            self.world.restart()
        if order.commit == "before the second submit":
            self.world.servicenow.release()
            saved = True
        if saved:
            return self.confirmed(0)
        self.unconfirmed(0)
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
        self.unconfirmed(1)
        self.unconfirmed(0)
        self.world.servicenow.release()
        return self.confirmed(0)


@pytest.fixture
def agent(world: World) -> MattermostClient:
    """A connected agent who can subscribe."""
    subscribing.install_component(world, "agent")
    return world.connected("agent")


@pytest.mark.parametrize("name", KINDS)
def test_every_order_makes_one(world: World, agent: MattermostClient, name: str) -> None:
    """Whatever is lost, late or repeated: one after the end, never two, and no second write during the hold."""
    kind = KINDS[name]
    person = agent if kind.who == "agent" else world.connected(kind.who)
    for number, order in enumerate(orders()):
        run = Run(world, person, kind, f"w{number}w")
        try:
            run.run(order)
        except AssertionError as error:
            raise AssertionError(f"{name}: {order}: {error}") from error
        world.servicenow.clear_faults()
        world.servicenow.cancel_late()


def while_held_back(world: World, submit: Callable[[], Json], then: Callable[[], object]) -> Json:
    """Submit in a thread, call *then* while ServiceNow holds back its write, and return the answer."""
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
def test_a_second_submit_during_the_first_is_answered_at_once(world: World, agent: MattermostClient, name: str) -> None:
    """While ServiceNow still works on the first, the second is told so; later it gets the first one's answer."""
    run = Run(world, agent, KINDS[name], "held")
    run.fault("slow", seconds=30)
    second: list[tuple[bool, str, int]] = []
    answer = while_held_back(
        world, lambda: agent.submit(run.form, run.values, **HERE), lambda: second.append(run.submit())
    )
    assert answer["type"] != "error", answer
    assert second[0][::2] == (False, 0)
    assert "being saved" in second[0][1]
    run.confirmed(0)


@pytest.mark.parametrize("name", ["incident", "change"])
def test_a_commit_after_every_limit_is_reported(world: World, agent: MattermostClient, name: str) -> None:
    """
    The first write appears after the hold, between the lookup and the second write: the person gets both numbers. The
    card shows the older one, because the app doesn't delete records.
    """
    run = Run(world, agent, KINDS[name], "beyond")
    run.fault("late")
    run.unconfirmed(1)
    world.advance(HOLD_SECONDS + 1)
    run.fault("slow", seconds=30)
    answer = while_held_back(
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
def test_an_entry_committed_after_every_limit_is_reported(world: World, agent: MattermostClient, who: str) -> None:
    """The same with a comment: it can't be deleted, so the person is told that it was added twice."""
    person = agent if who == "agent" else world.connected("admin")
    run = Run(world, person, KINDS["comment"], "beyond")
    run.fault("late")
    run.unconfirmed(1)
    world.advance(HOLD_SECONDS + 1)
    run.fault("slow", seconds=30)
    answer = while_held_back(
        world, lambda: person.submit(run.form, run.values, **HERE), lambda: world.servicenow.release()
    )
    assert "ServiceNow saved this entry twice" in opened(answer)["header"]
    assert KINDS["comment"].count(world, "beyond") == 2


def test_a_row_that_its_creator_cant_read_is_never_inserted_again(world: World, agent: MattermostClient) -> None:
    """403 after the insert, and the lookup finds nothing: from then on the same form only looks."""
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
def test_an_edit_after_a_lost_answer_isnt_confirmed(world: World, agent: MattermostClient, name: str) -> None:
    """The first text was saved late and the form was edited: the answer says which of the two ServiceNow has."""
    run = Run(world, agent, KINDS[name], "original")
    run.fault("late")
    run.unconfirmed(1)
    world.servicenow.release()
    text = {"incident": "short_description", "comment": "comments"}[name]
    answer = agent.submit(run.form, {**run.values, text: "edited"}, **HERE)
    told = answer.get("text") or opened(answer)["header"]
    assert "ServiceNow has what you sent first. What you changed after that was not saved." in told
    assert (KINDS[name].count(world, "original"), KINDS[name].count(world, "edited")) == (1, 0)


@pytest.mark.parametrize("who", ["agent", "admin"])
def test_an_older_entry_with_the_same_text_isnt_taken_for_the_new_one(
    world: World, agent: MattermostClient, who: str
) -> None:
    """
    My entry of an hour ago, and someone else's current one, aren't what this form wrote; read as text and as rows.
    """
    admin = world.connected("admin")
    person, other = (agent, admin) if who == "agent" else (admin, agent)
    person.command("comment", {"record": NUMBER, "comments": "ping"})
    world.advance(3600)
    other.command("comment", {"record": NUMBER, "comments": "ping"})
    run = Run(world, person, Kind("PATCH", TASKS, "", journal_form("comment", "comments"), lambda *_: 0), "ping")
    run.fault("202")
    run.unconfirmed(1)
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
    """Add the message to the record; returns the answer's text."""
    form = opened(agent.press("/post_menu", "Add to ServiceNow record", post_id=post["id"], **HERE))
    answer = agent.submit(form, {}, **HERE)
    assert answer["type"] == "ok", answer
    assert agent.submit(form, {}, **HERE)["text"] == answer["text"]
    return str(answer["text"])


def test_a_message_added_again_attaches_its_file_once(world: World, agent: MattermostClient) -> None:
    """Files are compared by name and content: another file with the same name is attached, the same one isn't."""
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
    """It is looked up, or reported as unconfirmed; the same form never sends it again, and another form finds it."""
    post = with_file(agent)
    world.servicenow.fault(fault, "/api/now/attachment/file", method="POST")
    assert told in add_message(agent, post)
    assert len(world.asked(method="POST", path="/api/now/attachment/file")) == 1
    world.servicenow.release()
    assert "1 file was already attached." in add_message(agent, post)
    assert attachments(world) == ["trace.txt"]


@pytest.mark.parametrize("fault", ["500_after_commit", "down"])
def test_a_shared_card_is_posted_once(world: World, agent: MattermostClient, fault: str) -> None:
    """Mattermost posted it and its answer was lost, or it wasn't posted: the form, sent again, ends with one card."""
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
