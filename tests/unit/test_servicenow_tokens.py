"""A person's access token: refreshed once, stored first, and never lost to an ambiguous rejection."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from core.accounts import Account, Tokens
from core.errors import NotConnected, StorageFailed, Suspended
from core.records import Identity
from core.times import Deadline
from core.upstream_errors import CallLimitReached, OAuthRefused, ServiceNowError, TokenRefused, Unanswered
from servicenow.tokens import EARLY_SECONDS, SUSPEND_AFTER, TokenManager

NOW = 1_800_000_000.0
INSTANCE = "https://acme.service-now.com"
CONNECT = "https://chat.example/connect"


@dataclass
class FakeAccounts:
    """Accounts in memory, with the rule about versions of `core.storage_ports.Accounts`."""

    kept: dict[str, Account] = field(default_factory=dict)
    full: bool = False

    def get(self, person_id: str) -> Account | None:
        """What is stored."""
        return self.kept.get(person_id)

    def put(self, account: Account) -> bool:
        """Only a newer version wins."""
        if self.full:
            raise StorageFailed("disk full")
        stored = self.kept.get(account.person_id)
        if stored is not None and stored.version >= account.version:
            return False
        self.kept[account.person_id] = account
        return True

    def delete(self, person_id: str) -> None:
        """Delete it."""
        self.kept.pop(person_id, None)

    def person_of(self, user_sys_id: str) -> str:
        """By the sys_id of the linked user."""
        return next((one.person_id for one in self.kept.values() if one.identity.sys_id == user_sys_id), "")

    def all(self) -> Sequence[Account]:
        """All."""
        return list(self.kept.values())


@dataclass
class FakeOAuth:
    """Answers refreshes with access-1, access-2 … or with an error."""

    client_fingerprint: str = "client-1"
    error: ServiceNowError | None = None
    during: Callable[[], object] = lambda: None
    asked: int = 0

    def refresh(self, tokens: Tokens, deadline: Deadline | None = None) -> Tokens:
        """One refresh."""
        self.asked += 1
        self.during()
        if self.error is not None:
            raise self.error
        return replace(tokens, access_token=f"access-{self.asked}", expires_at=NOW + 1800)


class World:
    """A manager with ann and bob, whose tokens have expired."""

    def __init__(self) -> None:
        self.now = NOW
        self.accounts = FakeAccounts()
        self.oauth = FakeOAuth()
        self.told = 0
        for person in ("ann", "bob"):
            self.connect(person)
        self.restart()

    def restart(self) -> None:
        """A manager as after a start."""
        self.manager = TokenManager(
            self.accounts,
            self.oauth,
            instance=INSTANCE,
            connect_address=CONNECT,
            clock=lambda: self.now,
            on_client_suspect=self._tell,
        )

    def connect(self, person: str, *, life: float = 0.0, version: int = 1, token: str = "access-0") -> None:
        """As if *person* had connected, with a token that lives for *life* seconds."""
        tokens = Tokens(token, "refresh", NOW + life, NOW)
        self.accounts.kept[person] = Account(
            person_id=person,
            instance=INSTANCE,
            tokens=tokens,
            identity=Identity(),
            connected_at=NOW,
            version=version,
        )

    def bearer(self, person: str = "ann") -> str:
        """Ask for a token."""
        return self.manager.bearer(person, Deadline(5))

    def _tell(self) -> None:
        self.told += 1


@pytest.fixture
def world() -> World:
    """A new world for each test."""
    return World()


def test_a_live_token_is_used_unchanged(world: World) -> None:
    """There is no refresh while more than a minute is left."""
    world.connect("ann", life=EARLY_SECONDS + 1)
    assert world.bearer() == "access-0"
    assert world.oauth.asked == 0


def test_an_expiring_token_is_refreshed_and_stored_first(world: World) -> None:
    """It is replaced a minute before it expires; the returned one is on disk, with a new version."""
    world.connect("ann", life=EARLY_SECONDS)
    assert world.bearer() == "access-1"
    stored = world.accounts.kept["ann"]
    assert (stored.tokens.access_token, stored.tokens.refresh_token, stored.version) == ("access-1", "refresh", 2)
    assert world.bearer() == "access-1"
    assert world.oauth.asked == 1


def test_ten_parallel_calls_make_one_refresh(world: World) -> None:
    """Calls during a refresh get its token."""
    waiting = threading.Event()
    world.oauth.during = lambda: waiting.wait(5)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(world.bearer())) for _ in range(10)]
    for thread in threads:
        thread.start()
    waiting.set()
    for thread in threads:
        thread.join(5)
    assert found == ["access-1"] * 10
    assert world.oauth.asked == 1


def test_a_call_doesnt_wait_for_a_refresh_beyond_its_deadline(world: World) -> None:
    """A lookup of three seconds doesn't wait for a refresh of ten."""
    entered, leave = threading.Event(), threading.Event()

    def during() -> None:
        entered.set()
        leave.wait(5)

    world.oauth.during = during
    thread = threading.Thread(target=world.bearer)
    thread.start()
    assert entered.wait(5)
    with pytest.raises(CallLimitReached):
        world.manager.bearer("ann", Deadline(0.0))
    leave.set()
    thread.join(5)


def test_people_dont_wait_for_each_other(world: World) -> None:
    """Each account has its own lock: bob refreshes while ann's refresh hangs."""
    entered, leave = threading.Event(), threading.Event()

    def during() -> None:
        if not entered.is_set():
            entered.set()
            leave.wait(5)

    world.oauth.during = during
    thread = threading.Thread(target=world.bearer)
    thread.start()
    assert entered.wait(5)
    assert world.bearer("bob")
    leave.set()
    thread.join(5)


def test_a_rejected_token_is_refreshed_once_for_all(world: World) -> None:
    """After a 401 to a live token it is refreshed; calls rejected with the same token get the new one."""
    world.connect("ann", life=1000)
    assert world.manager.renew("ann", "access-0", Deadline(5)) == "access-1"
    assert world.manager.renew("ann", "access-0", Deadline(5)) == "access-1"
    assert world.oauth.asked == 1


def test_a_full_disk_doesnt_stop_the_person(world: World) -> None:
    """The new token works from memory until storage recovers; then the next refresh is stored."""
    world.accounts.full = True
    assert world.bearer() == "access-1"
    assert world.bearer() == "access-1"
    assert world.oauth.asked == 1
    world.accounts.full = False
    world.now += 1800
    assert world.bearer() == "access-2"
    assert world.accounts.kept["ann"].tokens.access_token == "access-2"


def test_a_new_connection_wins_over_a_token_in_memory(world: World) -> None:
    """What couldn't be stored is forgotten once the person reconnects or disconnects."""
    world.accounts.full = True
    world.bearer()
    world.connect("ann", life=1000, version=3, token="new")
    assert world.bearer() == "new"
    world.accounts.delete("ann")
    with pytest.raises(NotConnected):
        world.bearer()


def test_a_rejected_refresh_suspends_and_keeps_the_tokens(world: World) -> None:
    """Nothing is deleted, the person is asked to reconnect, and ServiceNow isn't asked again."""
    world.oauth.error = OAuthRefused("401")
    with pytest.raises(Suspended) as caught:
        world.bearer()
    assert CONNECT in caught.value.user_message
    stored = world.accounts.kept["ann"]
    assert stored.suspended
    assert stored.suspended_client == "client-1"
    assert stored.tokens.refresh_token == "refresh"
    with pytest.raises(Suspended):
        world.bearer()
    assert world.oauth.asked == 1


def test_a_suspended_account_is_retried_with_another_client(world: World) -> None:
    """After the administrator corrected the OAuth client, all connections work again without further action."""
    world.oauth.error = OAuthRefused("401")
    with pytest.raises(Suspended):
        world.bearer()
    world.oauth.error = None
    world.oauth.client_fingerprint = "client-2"
    assert world.bearer() == "access-2"
    assert not world.accounts.kept["ann"].suspended


def test_a_timeout_changes_nothing(world: World) -> None:
    """An unanswered refresh is reported as such, and the account is unchanged."""
    before = world.accounts.kept["ann"]
    world.oauth.error = Unanswered("timeout")
    with pytest.raises(Unanswered):
        world.bearer()
    assert world.accounts.kept["ann"] == before
    world.oauth.error = None
    assert world.bearer() == "access-2"


def test_a_token_stored_by_another_process_is_used(world: World) -> None:
    """A rejection is compared with what is stored now: a newer token there is used."""
    world.oauth.error = OAuthRefused("401")
    world.oauth.during = lambda: world.connect("ann", life=1000, version=2, token="theirs")
    assert world.bearer() == "theirs"
    assert not world.accounts.kept["ann"].suspended


def test_a_lost_race_uses_the_token_that_won(world: World) -> None:
    """Write-if-newer: the second one returns what is stored."""
    world.oauth.during = lambda: world.connect("ann", life=1000, version=2, token="theirs")
    assert world.bearer() == "theirs"


@pytest.mark.parametrize("error", [None, OAuthRefused("401")])
def test_a_disconnect_during_a_refresh_wins(world: World, error: ServiceNowError | None) -> None:
    """Neither a successful nor a rejected refresh restores a deleted account."""
    world.oauth.error = error
    world.oauth.during = lambda: world.accounts.delete("ann")
    with pytest.raises(NotConnected):
        world.bearer()
    assert "ann" not in world.accounts.kept


def test_only_rejections_over_minutes_suspend(world: World) -> None:
    """
    401s to fresh tokens are temporary at first; they suspend after `SUSPEND_AFTER`, unless the person reconnected in
    the meantime.
    """
    token = world.bearer()
    for seconds in (0, SUSPEND_AFTER - 1):
        world.now = NOW + seconds
        assert type(world.manager.refused_again("ann", token)) is TokenRefused
        assert not world.accounts.kept["ann"].suspended
    world.connect("ann", life=1000, version=9, token="new")
    world.now = NOW + SUSPEND_AFTER
    assert type(world.manager.refused_again("ann", token)) is Suspended
    assert world.bearer() == "new"
    world.manager.refused_again("ann", "new")
    world.now += SUSPEND_AFTER
    assert type(world.manager.refused_again("ann", "new")) is Suspended
    assert world.accounts.kept["ann"].suspended


@pytest.mark.parametrize("between", ["an accepted call", "a day"])
def test_unrelated_rejections_dont_suspend(world: World, between: str) -> None:
    """An accepted call, or a long time, between two 401s starts a new series."""
    token = world.bearer()
    world.manager.refused_again("ann", token)
    if between == "an accepted call":
        world.manager.accepted("ann")
        world.now += SUSPEND_AFTER
    else:
        world.now += 86_400
    assert type(world.manager.refused_again("ann", token)) is TokenRefused
    assert not world.accounts.kept["ann"].suspended


def test_tokens_are_sent_to_no_other_instance(world: World) -> None:
    """Another `SERVICENOW_URL` suspends everyone without sending it anything."""
    account = world.accounts.kept["ann"]
    world.accounts.kept["ann"] = replace(account, instance="https://old.service-now.com")
    with pytest.raises(Suspended):
        world.bearer()
    assert world.oauth.asked == 0


def test_without_an_account_there_is_no_token(world: World) -> None:
    """The answer is a link to connect."""
    with pytest.raises(NotConnected) as caught:
        world.bearer("eve")
    assert CONNECT in caught.value.user_message


def test_two_consecutive_rejections_point_at_the_client(world: World) -> None:
    """Two people before their hundredth day, no success in between: administrators are told once."""
    world.connect("cid")
    world.oauth.error = OAuthRefused("401")
    for person, told in (("ann", 0), ("bob", 1), ("cid", 1)):
        with pytest.raises(Suspended):
            world.bearer(person)
        assert world.told == told


def test_a_success_between_two_rejections_clears_the_client(world: World) -> None:
    """Then each rejection concerns only that person."""
    world.connect("cid")
    for person, error in (("ann", OAuthRefused("401")), ("bob", None), ("cid", OAuthRefused("401"))):
        world.oauth.error = error
        if error is None:
            world.bearer(person)
        else:
            with pytest.raises(Suspended):
                world.bearer(person)
    assert world.told == 0


def test_the_hundredth_day_doesnt_count(world: World) -> None:
    """Refresh tokens that expired say nothing about the client."""
    world.now += 100 * 86400 + 1
    world.oauth.error = OAuthRefused("401")
    for person in ("ann", "bob"):
        with pytest.raises(Suspended):
            world.bearer(person)
    assert world.told == 0
    assert all(account.suspended for account in world.accounts.all())


def test_a_token_is_used_until_a_minute_before_it_expires(world: World) -> None:
    """Exact to the second."""
    world.connect("ann", life=60.5)
    assert world.bearer() == "access-0"
    world.connect("ann", life=60.0)
    assert world.bearer() == "access-1"


def test_rejections_within_half_an_hour_belong_together_and_suspend_after_three_minutes(world: World) -> None:
    """Then the next one starts a new series, even for an account deleted in the meantime."""
    for first, second, kind in ((0, 180.0, Suspended), (10_000, 1800.0, Suspended), (20_000, 1800.5, TokenRefused)):
        world.now = NOW + first
        assert type(world.manager.refused_again("ann", "another token")) is TokenRefused
        world.now += second
        assert type(world.manager.refused_again("ann", "another token")) is kind
        assert not world.accounts.kept["ann"].suspended
    world.now += 180
    world.accounts.delete("ann")
    assert type(world.manager.refused_again("ann", "access-0")) is Suspended
    assert type(world.manager.refused_again("ann", "access-0")) is TokenRefused


def test_a_suspension_ends_with_the_next_refresh(world: World) -> None:
    """Nothing of it remains; a live token from before it isn't used."""
    tokens = Tokens("access-0", "refresh", NOW + 1000, NOW)
    account = replace(world.accounts.kept["ann"], tokens=tokens, suspended=True, suspended_client="another client")
    world.accounts.kept["ann"] = account
    assert world.bearer() == "access-1"
    stored = world.accounts.kept["ann"]
    assert (stored.suspended, stored.suspended_client, stored.version) == (False, "", 2)
    world.accounts.kept["ann"] = replace(stored, suspended_client="client-1")
    assert world.bearer() == "access-1"


def test_an_unstored_token_is_forgotten_with_its_account(world: World) -> None:
    """After a disconnect, and if another process stored a version as new, its token is no longer used."""
    world.accounts.full = True
    assert world.bearer() == "access-1"
    world.accounts.delete("ann")
    with pytest.raises(NotConnected):
        world.bearer()
    world.connect("ann", life=1000, token="again")
    assert world.bearer() == "again"
    assert world.bearer("bob") == "access-2"
    world.connect("bob", life=1000, version=2, token="theirs")
    assert world.bearer("bob") == "theirs"


def test_after_a_rejected_refresh_the_rejected_token_isnt_used(world: World) -> None:
    """Neither the same account's token, whatever its lifetime, nor a newer one that has expired."""
    world.oauth.error = OAuthRefused("401")
    world.connect("ann", life=1000)
    with pytest.raises(Suspended):
        world.manager.renew("ann", "access-0", Deadline(5))
    assert (world.accounts.kept["ann"].suspended, world.accounts.kept["ann"].version) == (True, 2)
    world.oauth.during = lambda: world.connect("bob", version=2, token="ended")
    with pytest.raises(Suspended):
        world.bearer("bob")


def test_administrators_hear_about_the_client_once_between_two_successes(world: World) -> None:
    """However many people are rejected; a successful refresh and two more rejections make another message."""
    for person in ("cid", "dan", "eve", "fay", "gus"):
        world.connect(person)
    for person, error, told in (
        ("ann", OAuthRefused("401"), 0),
        ("bob", OAuthRefused("401"), 1),
        ("cid", OAuthRefused("401"), 1),
        ("dan", OAuthRefused("401"), 1),
        ("eve", None, 1),
        ("fay", OAuthRefused("401"), 1),
        ("gus", OAuthRefused("401"), 2),
    ):
        world.oauth.error = error
        if error is None:
            world.bearer(person)
        else:
            with pytest.raises(Suspended):
                world.bearer(person)
        assert world.told == told


def test_the_last_second_of_the_hundredth_day_doesnt_count_either(world: World) -> None:
    """A refresh token expires at that moment, not after it."""
    world.now += 100 * 86400
    world.oauth.error = OAuthRefused("401")
    for person in ("ann", "bob"):
        with pytest.raises(Suspended):
            world.bearer(person)
    assert world.told == 0
