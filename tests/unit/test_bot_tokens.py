"""Which token the bot uses: the access token, its newest session, or one from a wake-up."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.accounts import BotTokenHealth, Installation
from core.errors import NotVerified, StorageFailed
from core.times import Deadline
from core.upstream_errors import MattermostRefused, MattermostSilent
from mattermost.bot_tokens import BotTokens, NoBotToken
from mattermost.client import MattermostClient
from mattermost.paths import Path

WEBHOOK = "/plugins/com.mattermost.apps/apps/servicenow/webhook/wake-up"


class Framework(MattermostClient):
    """The framework's webhook: which requests it got, and what happens then."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")
        self.asked: list[tuple[str, str, str, object, object]] = []
        self.seconds: list[float] = []
        self.then: Callable[[], object] = lambda: None

    def request(
        self, method: str, path: Path, *, token: str, deadline: Deadline, json: Any = None, params: Any = None
    ) -> Any:
        self.asked.append((method, path.text, token, json, params))
        self.seconds.append(deadline.left())
        return self.then()


class FakeInstallations:
    """`core.storage_ports.Installations` without a disk, which can be full."""

    full = False
    puts = 0

    def __init__(self) -> None:
        self.row: Installation | None = Installation(
            bot_user_id="bot", installed_by="admin", bot_token="stored", bot_token_seen_at=1000.0, webhook_secret="hook"
        )

    def get(self) -> Installation | None:
        return self.row

    def put(self, installation: Installation) -> None:
        if self.full:
            raise StorageFailed("disk full")
        self.puts += 1
        self.row = installation


class Bot:
    """`BotTokens` between the two, at second 1000."""

    def __init__(self, lasting: str = "", wait: float = 0.0) -> None:
        self.now = 1000.0
        self.memory = FakeInstallations()
        self.framework = Framework()
        self.tokens = BotTokens(self.framework, self.memory, lambda: self.now, lasting, wait)

    @property
    def row(self) -> Installation:
        assert self.memory.row is not None
        return self.memory.row

    def change(self, **columns: Any) -> None:
        self.memory.row = replace(self.row, **columns)

    def missing(self, ask: Callable[[], object] | None = None) -> str:
        """Why no token is available."""
        with pytest.raises(NoBotToken) as missing:
            (ask or self.tokens.current)()
        return str(missing.value)


def refuse(status: int) -> Callable[[], object]:
    """Make the framework answer with an error."""

    def answer() -> object:
        raise MattermostRefused("so", status=status)

    return answer


def test_the_access_token_comes_first_until_it_is_rejected() -> None:
    """A rejected one may work again later; until then the health shows it."""
    bot = Bot(lasting="lasting")
    assert bot.tokens.current() == "lasting"
    assert bot.tokens.health() == BotTokenHealth(lasting=True, refused=False, seen_at=1000.0, trouble="")
    bot.tokens.refused("lasting")
    assert bot.tokens.current() == "stored"
    assert bot.tokens.health() == BotTokenHealth(lasting=True, refused=True, seen_at=1000.0, trouble="")
    assert bot.framework.asked == []
    assert Bot().tokens.health() == BotTokenHealth(lasting=False, refused=False, seen_at=1000.0, trouble="")


def test_a_rejected_access_token_is_logged_once(every_log_line: None) -> None:
    """A rejected session, which happens every day, isn't logged."""
    bot = Bot(lasting="lasting")
    for token, lines in (("stored", 0), ("lasting", 1), ("lasting", 0)):
        with capture_logs() as logged:
            bot.tokens.refused(token)
        assert len(logged) == lines


def test_a_session_is_used_for_nine_minutes() -> None:
    """Not if it was rejected, and not if it is from the future, as after a clock was set back."""
    bot = Bot()
    for now in (1000.0, 1539.5):
        bot.now = now
        assert bot.tokens.current() == "stored"
    for now in (1540.0, 999.5):
        bot.now = now
        assert bot.missing() == "the framework did not call back"
    bot.now = 1000.0
    bot.tokens.refused("stored")
    assert bot.missing() == "the framework did not call back"
    bot.change(bot_token="")  # no key opens the stored one anymore
    assert bot.missing() == "the framework did not call back"
    assert len(bot.framework.asked) == 4


def test_the_newest_session_is_stored_and_used() -> None:
    """Each call carries one; the same one isn't written again."""
    bot = Bot()
    bot.now = 1500.0
    bot.tokens.refused("newest")
    bot.tokens.seen("newest")
    assert bot.tokens.current() == "newest"
    assert (bot.row.bot_token, bot.row.bot_token_seen_at, bot.memory.puts) == ("newest", 1500.0, 1)
    bot.now = 2000.0
    bot.tokens.seen("newest")
    assert (bot.row.bot_token_seen_at, bot.memory.puts) == (1500.0, 1)
    assert bot.tokens.health().seen_at == 2000.0
    bot.now = 2539.5
    assert bot.tokens.current() == "newest"
    assert bot.row.webhook_secret == "hook"


def test_a_session_stored_later_by_another_process_is_newer() -> None:
    """The later one of the seen and the stored session counts."""
    bot = Bot()
    bot.tokens.seen("seen")
    bot.change(bot_token="later", bot_token_seen_at=1001.0)
    bot.now = 1002.0
    assert bot.tokens.current() == "later"


def test_a_full_disk_blocks_no_session() -> None:
    """It is used from memory; turning the app on or off reports the error to the administrator."""
    bot = Bot()
    bot.memory.full = True
    bot.tokens.seen("newest")
    bot.now = 1001.0
    bot.tokens.seen("newest")
    assert bot.tokens.current() == "newest"
    assert bot.row.bot_token == "stored"
    with pytest.raises(StorageFailed):
        bot.tokens.turn(on=False)
    with pytest.raises(StorageFailed):
        bot.tokens.webhook_secret("other")
    with pytest.raises(StorageFailed):
        bot.tokens.install(bot.row)


def test_without_an_installation_there_is_no_bot() -> None:
    """Nothing is stored or checked for it, and the service isn't ready."""
    bot = Bot()
    assert bot.tokens.bot_user_id == "bot"
    for check in bot.tokens.checks.values():
        check()
    pinned, bot.memory.row = bot.row, None
    assert bot.missing(lambda: bot.tokens.bot_user_id) == "not installed in Mattermost yet"
    assert bot.missing(bot.tokens.checks["installation"]) == "not installed in Mattermost yet"
    assert bot.missing() == "no webhook secret of the framework is known"
    assert bot.missing(bot.tokens.checks["bot token"]) == "no webhook secret of the framework is known"
    assert bot.tokens.turned_off_at == 0.0
    assert bot.tokens.health().seen_at == 0.0
    bot.tokens.turn(on=False)
    bot.tokens.webhook_secret("other")
    with pytest.raises(NotVerified, match="not in the bot's name"):
        bot.tokens.check_wake_up("bot", "secret=hook")
    bot.tokens.seen("newest")
    bot.tokens.checks["bot token"]()
    assert (bot.memory.row, bot.memory.puts, bot.framework.asked) == (None, 0, [])
    assert bot.tokens.current() == "newest"
    bot.tokens.install(pinned)
    assert bot.row == pinned
    assert list(bot.tokens.checks) == ["installation", "bot token"]


def test_a_wake_up_brings_the_newest_session() -> None:
    """The framework gets its secret and no session, and calls back; the session in that call is used."""
    bot = Bot()
    bot.framework.then = lambda: bot.tokens.seen("woken")
    bot.now = 5000.0
    assert bot.tokens.current() == "woken"
    assert bot.framework.asked == [("POST", WEBHOOK, "", {}, {"secret": "hook"})]
    assert 9 < bot.framework.seconds[0] <= 10
    bot.tokens.renew()
    assert len(bot.framework.asked) == 2


def test_a_wake_up_waits_for_the_call() -> None:
    """It arrives on another thread, shortly after the framework's answer."""
    bot = Bot(wait=20.0)
    bot.now = 5000.0
    answered = threading.Event()
    bot.framework.then = answered.set
    with ThreadPoolExecutor(1) as pool:
        waking = pool.submit(bot.tokens.current)
        assert answered.wait(20)
        assert not waking.done()
        bot.tokens.seen("woken")
        assert waking.result(20) == "woken"


def test_a_failed_wake_up_shows_its_reason_until_a_call_arrives() -> None:
    """No secret, rejected, no call, a session that was rejected before, or a timeout."""
    bot = Bot()
    bot.now = 5000.0
    check = bot.tokens.checks["bot token"]

    def again() -> None:
        bot.tokens.seen("woken")
        bot.tokens.refused("woken")

    def silent() -> None:
        raise MattermostSilent("silent")

    reasons: list[tuple[Callable[[], object], str]] = [
        (refuse(403), "wake-up refused: so"),
        (lambda: None, "the framework did not call back"),
        (again, "the framework's newest session is refused"),
    ]
    for then, reason in reasons:
        bot.framework.then = then
        assert bot.missing() == reason
        assert bot.missing(check) == reason
        assert bot.tokens.health().trouble == reason
    bot.framework.then = silent
    with pytest.raises(MattermostSilent, match="silent"):
        bot.tokens.renew()
    assert bot.missing(check) == "silent"
    bot.change(webhook_secret="")
    assert bot.missing() == "no webhook secret of the framework is known"
    bot.tokens.seen("woken")
    check()
    assert bot.tokens.health().trouble == ""


def test_a_bot_without_a_token_is_logged_once(every_log_line: None) -> None:
    """Until a call arrives."""
    bot = Bot()
    bot.now = 5000.0
    for _ in range(2):
        for lines in (1, 0):
            with capture_logs() as logged:
                bot.missing()
            assert len(logged) == lines
        bot.tokens.seen("woken")
        bot.now += 1000.0


def test_while_the_app_is_off_there_is_no_token() -> None:
    """Not even the access token, and no wake-up; the time when it was first turned off is kept."""
    bot = Bot(lasting="lasting")
    bot.tokens.turn(on=True)
    assert bot.memory.puts == 0
    bot.tokens.turn(on=False)
    bot.now = 1001.0
    bot.tokens.turn(on=False)
    assert bot.tokens.turned_off_at == bot.row.turned_off_at == 1000.0
    assert bot.missing() == "an administrator turned the app off"
    bot.tokens.turn(on=True)
    assert (bot.tokens.turned_off_at, bot.memory.puts) == (0.0, 2)
    assert bot.tokens.current() == "lasting"
    assert bot.framework.asked == []


@pytest.mark.parametrize(
    ("named", "query", "stored", "words"),
    [
        ("bot", "secret=hook", "hook", ""),
        ("bot", "a=b&secret=hook&secret=other", "hook", ""),
        ("agent", "secret=hook", "hook", "not in the bot's name"),
        ("", "secret=hook", "hook", "not in the bot's name"),
        ("bot", "secret=", "", "not in the bot's name"),
        ("bot", "", "", "not in the bot's name"),
        ("bot", "", "hook", "another secret"),
        ("bot", "secret=hoo", "hook", "another secret"),
        ("bot", "secret=%C3%A4", "hook", "another secret"),
        ("bot", "Secret=hook", "hook", "another secret"),
    ],
)
def test_a_webhook_call_is_verified(named: str, query: str, stored: str, words: str) -> None:
    """It is in the bot's name and has the secret that only the framework and the app know."""
    bot = Bot()
    bot.change(webhook_secret=stored)
    if not words:
        bot.tokens.check_wake_up(named, query)
        return
    with pytest.raises(NotVerified) as refused:
        bot.tokens.check_wake_up(named, query)
    assert str(refused.value) == f"webhook: {words}"


def test_a_new_webhook_secret_is_stored() -> None:
    """The known one isn't written again."""
    bot = Bot()
    bot.tokens.webhook_secret("hook")
    assert bot.memory.puts == 0
    bot.tokens.webhook_secret("other")
    assert (bot.row.webhook_secret, bot.row.bot_token, bot.memory.puts) == ("other", "stored", 1)


def test_the_framework_says_whether_the_app_is_enabled() -> None:
    """
    A disabled or unknown app is rejected with 403 or 404; another rejection says nothing about it, and a timeout is
    passed on.
    """
    bot = Bot()
    for status, refuses in ((403, True), (404, True), (400, False), (401, False)):
        bot.framework.then = refuse(status)
        assert bot.tokens.framework_refuses() is refuses
    bot.framework.then = lambda: None
    assert bot.tokens.framework_refuses() is False
    assert set(map(repr, bot.framework.asked)) == {repr(("HEAD", WEBHOOK, "", None, None))}
    assert all(4 < seconds <= 5 for seconds in bot.framework.seconds)
