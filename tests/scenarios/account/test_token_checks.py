"""Forged bot tokens, which any Mattermost user can send, cost Mattermost and other people almost nothing."""

import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import islice
from typing import Any

import jwt
import pytest
import requests

from core.errors import TooManyRequests
from core.upstream_errors import MattermostSilent
from mattermost.client import MattermostClient as Client
from mattermost.token_owners import TokenOwners
from sandbox.client import PLUGIN, MattermostClient
from tests.world import JWT_SECRET, World

Json = dict[str, Any]
ASKED = "/api/v4/users/me"


def forged_token() -> str:
    """A token with the right shape."""
    return secrets.token_hex(13)


def post_call(world: World, person_id: str, token: str, path: str = "/account/me/submit") -> str:
    """The text of the answer to a call from someone who knows the framework's secret."""
    claims = {"exp": int(world.now()) + 900, "acting_user_id": person_id}
    headers = {"Mattermost-App-Authorization": f"Bearer {jwt.encode(claims, JWT_SECRET, algorithm='HS256')}"}
    user = {"id": person_id, "username": "somebody", "roles": "system_user"}
    body = {"path": path, "context": {"acting_user": user, "bot_access_token": token}}
    answer = requests.post(world.config.app_url + path, json=body, headers=headers, timeout=20)
    assert answer.status_code == 200
    return str(answer.json()["text"])


def me(person: MattermostClient) -> Json:
    """The answer to a genuine call."""
    return person.call({"path": "/account/me/submit", "expand": {"acting_user": "+summary"}})


def checks(world: World) -> int:
    """How many token checks reached Mattermost."""
    return len([one for one in world.mattermost.requests() if one["path"] == ASKED])


def renew_session(world: World) -> None:
    """The framework gives the app a new session of the bot, as after ten idle minutes."""
    registry = world.mattermost.registry
    app = registry.apps["servicenow"]
    world.mattermost.state.sessions.pop(registry.token(app, app.bot_user_id))


@contextmanager
def flood(world: World, person_ids: Iterator[str]) -> Iterator[list[str]]:
    """Send forged tokens from eight threads without a pause; yields their answers."""
    told: list[str] = []
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            told.append(post_call(world, next(person_ids), forged_token()))

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(send) for _ in range(8)]
        try:
            yield told
        finally:
            over.set()
    for one in futures:
        one.result()


class SharedIterator:
    """An iterator that threads can share."""

    def __init__(self, person_ids: list[str]) -> None:
        self._person_ids = person_ids
        self._number = 0
        self._lock = threading.Lock()

    def __iter__(self) -> "SharedIterator":
        return self

    def __next__(self) -> str:
        with self._lock:
            self._number += 1
            return self._person_ids[self._number % len(self._person_ids)]


def test_two_hundred_forged_tokens_hold_no_threads(world: World) -> None:
    """While Mattermost doesn't answer, at most four threads wait for a check. All other calls are rejected at once."""
    agent, requester = world.connected("agent"), world.person("requester")
    me(agent)
    world.mattermost.clear_requests()
    for _ in range(200):
        world.mattermost.fault("slow", ASKED, seconds=60)
    people = [requester.id, *(secrets.token_hex(13) for _ in range(9))]
    with ThreadPoolExecutor(32) as pool:
        futures = [pool.submit(post_call, world, people[number % 10], forged_token()) for number in range(200)]
        done = [one.result() for one in islice(as_completed(futures), 196)]
        assert me(agent)["type"] == "ok"
        world.mattermost.clear_faults()
    assert len([text for text in done if "a lot at once" in text]) >= 190
    assert checks(world) <= 4 + len([text for text in done if "a lot at once" not in text])


def test_a_flood_from_one_person_leaves_the_others_their_checks(world: World) -> None:
    """Forged tokens use up the sender's own two checks per second; the bot's new session is still checked."""
    agent, approver, requester = world.connected("agent"), world.connected("approver"), world.person("requester")
    with flood(world, SharedIterator([requester.id])) as told:
        for person in (agent, approver):
            refused = len(told)
            while len(told) < refused + 30:
                assert me(person)["type"] == "ok"
            renew_session(world)
            assert me(person)["type"] == "ok"
    assert {text.split(" (Reference")[0].split(".")[0] for text in told} == {
        "That was a lot at once",
        "This request could not be verified, so nothing was done",
    }


def test_a_flood_in_many_names_ends_with_a_wake_up(world: World) -> None:
    """Forged users exhaust all checks. The bot's new session then arrives through our webhook, and calls work again."""
    agent = world.connected("agent")
    with flood(world, SharedIterator([secrets.token_hex(13) for _ in range(500)])) as told:
        while len(told) < 30:
            assert me(agent)["type"] == "ok"
        renew_session(world)
        world.mattermost.clear_requests()
        deadline = time.monotonic() + 10
        while (answer := me(agent))["type"] != "ok":
            assert "a lot at once" in answer["text"]
            assert time.monotonic() < deadline
        assert me(agent)["type"] == "ok"
    woken = [one for one in world.mattermost.requests() if one["path"].startswith(f"{PLUGIN}/apps/servicenow/webhook")]
    assert len(woken) <= 1


def test_a_rejected_token_is_checked_once(world: World) -> None:
    """A second try costs no check, whoever sends it, until a minute has passed."""
    token, agent, requester = forged_token(), world.person("agent"), world.person("requester")
    world.mattermost.clear_requests()
    for person in (agent, requester, agent, requester, agent):
        assert "could not be verified" in post_call(world, person.id, token)
    assert checks(world) == 1


def test_a_malformed_token_costs_nothing(world: World) -> None:
    """It isn't checked, and the sender's share of checks isn't used."""
    agent = world.person("agent")
    world.mattermost.clear_requests()
    for token in ["", "x", "x" * 25, "x" * 27, "X" * 26, "../" * 9, "x" * 26 + "\n", "\N{SNOWMAN}" * 26] * 5:
        assert "could not be verified" in post_call(world, agent.id, token)
    assert checks(world) == 0
    assert "could not be verified" in post_call(world, agent.id, forged_token())
    assert checks(world) == 1


def test_nothing_is_checked_before_the_installation(empty_world: World) -> None:
    """Before the installation no bot exists that could own a token."""
    empty_world.mattermost.clear_requests()
    for _ in range(5):
        assert "could not be verified" in post_call(empty_world, forged_token(), forged_token())
    assert checks(empty_world) == 0


def test_a_valid_token_is_checked_again_before_it_expires(world: World) -> None:
    """A known session remains known while Mattermost doesn't answer, but no longer than five minutes."""
    owners, timer = owners_of(world)
    token = bot_token(world)
    first = owners.owner(token, asker="agent")
    timer.now += 250
    world.mattermost.fault("500", ASKED)
    assert owners.owner(token, asker="agent") == first
    timer.now += 40
    world.mattermost.clear_requests()
    assert owners.owner(token, asker="agent") == first
    assert checks(world) == 1
    assert owners.owner(token, asker="agent") == first
    assert checks(world) == 1
    timer.now += 301
    world.mattermost.fault("500", ASKED)
    with pytest.raises(MattermostSilent):
        owners.owner(token, asker="agent")


def test_many_calls_with_one_token_share_a_check(world: World) -> None:
    """Single flight: a few calls wait for the answer of the first; the rest are rejected at once."""
    owners, _ = owners_of(world)
    world.mattermost.clear_requests()
    world.mattermost.fault("slow", ASKED, seconds=0.5)

    def ask(number: int) -> str:
        try:
            return owners.owner(bot_token(world), asker=str(number)).user_id
        except TooManyRequests:
            return "refused"

    with ThreadPoolExecutor(40) as pool:
        told = list(pool.map(ask, range(40)))
    assert checks(world) == 1
    assert told.count(world.mattermost.registry.apps["servicenow"].bot_user_id) == 17
    assert told.count("refused") == 23


def test_a_check_from_before_a_reset_isnt_remembered(world: World) -> None:
    """If the app is disabled during a check, the answer counts for that call only."""
    owners, _ = owners_of(world)
    world.mattermost.clear_requests()
    world.mattermost.fault("slow", ASKED, seconds=60)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(owners.owner, bot_token(world), asker="agent")
        while world.mattermost.armed():
            assert not asking.done()
        owners.forget()
        world.mattermost.clear_faults()
        asking.result()
    owners.owner(bot_token(world), asker="agent")
    assert checks(world) == 2


def test_unanswered_checks_are_limited(world: World) -> None:
    """New tokens arrive every second and Mattermost answers no check: the fifth is rejected."""
    owners, timer = owners_of(world)
    for _ in range(8):
        world.mattermost.fault("slow", ASKED, seconds=60)
    with ThreadPoolExecutor(4) as pool:
        for number in range(4):
            timer.now += 10
            pool.submit(owners.owner, forged_token(), asker=str(number))
            while world.mattermost.armed() > 7 - number:
                pass
        timer.now += 10
        with pytest.raises(TooManyRequests, match="are being checked"):
            owners.owner(forged_token(), asker="another")
        world.mattermost.clear_faults()


class ManualTimer:
    """Seconds, set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def owners_of(world: World) -> tuple[TokenOwners, ManualTimer]:
    """A cache of its own, on a clock of its own."""
    timer = ManualTimer()
    return TokenOwners(Client(world.mattermost.url), timer, timer), timer


def bot_token(world: World) -> str:
    """The app's session of its bot."""
    registry = world.mattermost.registry
    app = registry.apps["servicenow"]
    return registry.token(app, app.bot_user_id)
