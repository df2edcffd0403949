"""Whose session a token is: what is cached and for how long, and what unknown tokens can cost."""

import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import AppError, NotVerified, TooManyRequests
from core.times import Deadline
from core.upstream_errors import MattermostSilent
from mattermost.client import MattermostClient
from mattermost.paths import Path
from mattermost.token_owners import Owner, TokenOwners
from sandbox.mattermost import MattermostDouble
from sandbox.servicenow import ServiceNowDouble

ME = "/api/v4/users/me"


class Cache:
    """`TokenOwners` with its own clock, in front of Mattermost's double."""

    def __init__(self, mattermost: MattermostDouble) -> None:
        mattermost.reset()
        self.mattermost = mattermost
        self.now = 1_000_000.0
        self.owners = TokenOwners(MattermostClient(mattermost.url), self.clock, self.clock)
        agent = mattermost.state.by_username("agent")
        assert agent is not None
        self.agent = str(agent["id"])

    def clock(self) -> float:
        return self.now

    def session(self) -> str:
        """A live session of the agent."""
        return self.mattermost.state.open_session(self.agent)

    def ask(self, token: str, asker: str = "somebody", *, trusted: bool = False, fresh: bool = False) -> Owner:
        return self.owners.owner(token, asker=asker, trusted=trusted, fresh=fresh)

    def asked(self) -> int:
        """How many requests Mattermost got since the last call."""
        count = len([one for one in self.mattermost.requests() if one["path"] == ME])
        self.mattermost.clear_requests()
        return count

    def rejection(self, kind: type[AppError], token: str, asker: str = "somebody", *, trusted: bool = False) -> str:
        """Why a token is rejected."""
        with pytest.raises(kind) as rejection:
            self.ask(token, asker, trusted=trusted)
        assert type(rejection.value) is kind
        return str(rejection.value)


@pytest.fixture
def memory(doubles: tuple[MattermostDouble, ServiceNowDouble]) -> Iterator[Cache]:
    """Empty; no fault remains set."""
    yield Cache(doubles[0])
    doubles[0].clear_faults()


def forged() -> str:
    return secrets.token_hex(13)


def test_the_owner_is_who_mattermost_says(memory: Cache) -> None:
    """A person, a bot, an administrator by the role's exact name."""
    state = memory.mattermost.state
    assert memory.ask(memory.session()) == Owner(memory.agent, is_bot=False, administrator=False)
    bot = str(state.add_user("robot", "Robot", "", bot=True)["id"])
    assert memory.ask(state.open_session(bot), "bot") == Owner(bot, is_bot=True, administrator=False)
    admin = state.by_username("admin")
    assert admin is not None
    for roles, administrates in (("system_user system_admin", True), ("system_admins", False), ("", False)):
        memory.now += 1
        admin["roles"] = roles
        assert memory.ask(state.open_session(admin["id"])) == Owner(admin["id"], False, administrates)


@pytest.mark.parametrize("token", ["", "a" * 25, "a" * 27, "A" * 26, "a" * 26 + "\n", " " + "a" * 26, "ä" * 26])
def test_a_malformed_session_is_never_checked(memory: Cache, token: str) -> None:
    """Whoever vouches for it."""
    for trusted in (False, True):
        assert memory.rejection(NotVerified, token, trusted=trusted) == "no token of Mattermost's shape"
    assert memory.asked() == 0


def test_a_valid_token_is_checked_every_four_minutes(memory: Cache) -> None:
    """Or at once if what is cached isn't enough, or after a reset."""
    token = memory.session()
    for passed, asked in ((0.0, 1), (239.5, 0), (0.5, 1), (239.5, 0)):
        memory.now += passed
        assert memory.ask(token).user_id == memory.agent
        assert memory.asked() == asked
    assert memory.ask(token, fresh=True).user_id == memory.agent
    assert memory.asked() == 1
    memory.owners.forget()
    memory.ask(token)
    assert memory.asked() == 1


def test_a_known_token_survives_a_timeout_for_five_minutes(memory: Cache) -> None:
    """It is checked each time then; after a reset a timeout is cached for two seconds, like any other."""
    token = memory.session()
    owner = memory.ask(token)
    memory.mattermost.fault("500", ME, times=3)
    memory.asked()
    for passed in (240.0, 59.5):
        memory.now += passed
        assert memory.ask(token) == owner
        assert memory.asked() == 1
    assert memory.ask(token, fresh=True) == owner
    memory.asked()
    for passed, asked in ((0.5, 0), (1.0, 0), (0.5, 1)):
        memory.now += passed
        if asked:
            assert memory.ask(token) == owner
        else:
            assert memory.rejection(MattermostSilent, token).startswith("asked a moment ago: ")
        assert memory.asked() == asked


def test_a_known_token_that_is_rejected_is_forgotten(memory: Cache) -> None:
    """Mattermost's rejection counts at once and for a minute."""
    token = memory.session()
    memory.ask(token)
    del memory.mattermost.state.sessions[token]
    memory.now += 240
    assert memory.rejection(NotVerified, token).startswith("token refused: ")
    memory.asked()
    for passed, asked in ((0.0, 0), (59.5, 0), (0.5, 1)):
        memory.now += passed
        words = memory.rejection(NotVerified, token)
        assert words.startswith("refused before: ") is not asked
        assert memory.asked() == asked


def test_a_reset_forgets_everything(memory: Cache) -> None:
    """Valid, rejected, and unanswered tokens."""
    good, bad, silent = memory.session(), forged(), memory.session()
    memory.ask(good)
    memory.rejection(NotVerified, bad)
    memory.mattermost.fault("500", ME)
    memory.rejection(MattermostSilent, silent, "another")
    memory.asked()
    memory.now += 1
    memory.owners.forget()
    memory.ask(good)
    memory.rejection(NotVerified, bad)
    memory.ask(silent, "another")
    assert memory.asked() == 3


def test_a_person_has_two_checks_per_second_and_all_together_five(memory: Cache) -> None:
    """Known and vouched-for tokens don't count, and a second later all checks are available again."""
    known = memory.session()
    memory.ask(known)
    memory.now += 1
    for number in range(2):
        memory.rejection(NotVerified, forged(), "one")
        memory.rejection(NotVerified, forged(), "two")
        assert memory.asked() == 2 + (number == 0)
    for asker in ("one", "two"):
        assert memory.rejection(TooManyRequests, forged(), asker) == "too many unknown tokens of one person"
    memory.rejection(NotVerified, forged(), "three")
    for asker in ("three", "four"):
        assert memory.rejection(TooManyRequests, forged(), asker) == "too many unknown tokens"
    assert memory.rejection(TooManyRequests, forged(), "one") == "too many unknown tokens of one person"
    memory.asked()
    assert memory.ask(known).user_id == memory.agent
    assert memory.ask(known, fresh=True).user_id == memory.agent
    assert memory.rejection(NotVerified, forged(), trusted=True).startswith("token refused")
    assert memory.asked() == 2
    memory.now += 0.5
    memory.rejection(TooManyRequests, forged(), "one")
    memory.now += 0.5
    memory.rejection(NotVerified, forged(), "one")


def test_a_clock_that_is_set_back_blocks_nobody(memory: Cache) -> None:
    """Checks in the future aren't in the last second."""
    for _ in range(2):
        memory.rejection(NotVerified, forged())
    memory.now -= 3600
    memory.rejection(NotVerified, forged())


class Held(MattermostClient):
    """The client, whose requests wait until they are released, each when it arrived."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.arrived = threading.Semaphore(0)
        self.go = threading.Event()
        self.failing: Callable[[], BaseException] | None = None
        self.seconds: list[float] = []

    def request(self, method: str, path: Path, *, token: str, deadline: Deadline, **rest: object) -> object:
        self.seconds.append(deadline.left())
        self.arrived.release()
        assert self.go.wait(20)
        if self.failing is not None:
            raise self.failing()
        return {"id": token, "roles": None}


@pytest.fixture
def held() -> Iterator[Held]:
    """No request is left behind."""
    client = Held("http://127.0.0.1:1")
    yield client
    client.go.set()


def test_at_most_four_unknown_tokens_are_checked_at_once(held: Held) -> None:
    """However slowly; vouched-for tokens don't count, and an answer frees a slot."""
    now = [0.0]
    owners = TokenOwners(held, lambda: now[0], lambda: now[0])
    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(owners.owner, forged(), asker="bot", trusted=True)]
        assert held.arrived.acquire(timeout=20)
        for _ in range(4):
            futures.append(pool.submit(owners.owner, forged(), asker="one"))
            assert held.arrived.acquire(timeout=20)
            now[0] += 1
        with pytest.raises(TooManyRequests, match="too many unknown tokens are being checked"):
            owners.owner(forged(), asker="two")
        held.go.set()
        for one in futures:
            one.result()
    for _ in range(5):
        now[0] += 1
        owners.owner(forged(), asker="two")
    assert all(4 < seconds <= 5 for seconds in held.seconds)


@pytest.mark.parametrize("failing", [None, NotVerified, MattermostSilent, RuntimeError])
def test_sixteen_calls_wait_for_one_check(held: Held, failing: type[Exception] | None) -> None:
    """The seventeenth is rejected at once; all get the one answer, and afterwards as many can wait again."""
    owners, token = TokenOwners(held), forged()
    waiting = threading.Semaphore(0)

    def ask() -> object:
        waiting.release()
        try:
            return owners.owner(token, asker="one", trusted=True)
        except (NotVerified, MattermostSilent, RuntimeError) as error:
            return type(error)

    if failing is not None:
        held.failing = lambda: failing("so")
    for _ in range(2):
        held.go.clear()
        with ThreadPoolExecutor(17) as pool:
            futures = [pool.submit(ask)]
            assert held.arrived.acquire(timeout=20)
            futures += [pool.submit(ask) for _ in range(16)]
            while owners._waiting < 16:
                assert not futures[0].done()
            with pytest.raises(TooManyRequests, match="too many wait"):
                owners.owner(token, asker="one", trusted=True)
            held.go.set()
            answers = {one.result() for one in futures}
        assert answers == {failing or Owner(token, is_bot=False, administrator=False)}
        assert owners._waiting == 0
        owners.forget()
    assert len(held.seconds) == 2


def test_waiting_for_a_check_times_out(held: Held) -> None:
    """After two seconds; the check itself continues."""
    owners, token = TokenOwners(held), forged()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(owners.owner, token, asker="one")
        assert held.arrived.acquire(timeout=20)
        with pytest.raises(MattermostSilent, match="another one's question"):
            owners.owner(token, asker="two")
        assert owners._waiting == 0
        held.go.set()
        assert asking.result().user_id == token


def test_a_known_token_is_renewed_by_one_caller(held: Held) -> None:
    """The others use what is cached, unless that isn't enough for them."""
    now = [0.0]
    owners, token = TokenOwners(held, lambda: now[0], lambda: now[0]), forged()
    held.go.set()
    known = owners.owner(token, asker="one")
    held.go.clear()
    now[0] = 240.0
    assert held.arrived.acquire(timeout=20)
    with ThreadPoolExecutor(2) as pool:
        asking = pool.submit(owners.owner, token, asker="one")
        assert held.arrived.acquire(timeout=20)
        assert owners.owner(token, asker="two") is known
        fresh = pool.submit(owners.owner, token, asker="two", fresh=True)
        while owners._waiting == 0:
            assert not fresh.done()
        held.go.set()
        assert asking.result() is fresh.result() is not known
    assert len(held.seconds) == 2


@pytest.mark.parametrize("failing", [None, NotVerified, MattermostSilent])
def test_an_answer_from_before_a_reset_isnt_cached(held: Held, failing: type[Exception] | None) -> None:
    """It counts once."""
    owners, token = TokenOwners(held), forged()
    if failing is not None:
        held.failing = lambda: failing("so")
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(owners.owner, token, asker="one", trusted=True)
        assert held.arrived.acquire(timeout=20)
        owners.forget()
        held.go.set()
        assert asking.exception() is None if failing is None else isinstance(asking.exception(), failing)
    held.failing = None
    assert owners.owner(token, asker="one", trusted=True).user_id == token
    assert len(held.seconds) == 2


@pytest.mark.parametrize("user", [None, [], "x", {}, {"id": ""}, {"id": None, "roles": "system_admin"}])
def test_an_answer_without_a_user_is_a_rejection(user: object) -> None:
    """Whatever Mattermost answers instead of a user."""

    class Odd(MattermostClient):
        def request(self, method: str, path: Path, **rest: object) -> object:
            return user

    with pytest.raises(NotVerified, match="token of nobody"):
        TokenOwners(Odd("http://127.0.0.1:1")).owner(forged(), asker="one")
