"""Who is told that subscriptions broke, how often, and what is stored about it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from core.outbox import Parked
from core.storage_ports import Stores
from core.subscriptions import Grant, Status
from core.upstream_errors import MattermostRefused, MattermostSilent
from notifications.broken_subscriptions import BrokenSubscriptions
from tests.unit.noticing import ACCOUNT, CHANNEL, GRANT, NOW, OWNER, ManualClock, open_stores

ADMIN, OTHER = "a" * 26, "n" * 26
DAY = 86_400.0
GONE = "Who set it up is gone."


@dataclass
class Bot:
    """The bot's direct messages."""

    told: list[tuple[str, str]] = field(default_factory=list)
    fails: Exception | None = None

    def send_direct_message(self, person_id: str, text: str) -> None:
        if self.fails is not None:
            raise self.fails
        self.told.append((person_id, text))

    def people(self) -> list[str]:
        """Who was told since the last call."""
        found = [person_id for person_id, _ in self.told]
        self.told.clear()
        return found


@dataclass
class Setup:
    """`BrokenSubscriptions` with its own storage."""

    stores: Stores
    moment: ManualClock
    bot: Bot = field(default_factory=Bot)
    administrator: str = ADMIN

    def __post_init__(self) -> None:
        self.owners = self.again()

    def again(self) -> BrokenSubscriptions:
        """The same after a restart."""
        return BrokenSubscriptions(
            grants=self.stores.grants,
            parked=self.stores.parked,
            accounts=self.stores.accounts,
            bot=cast("Any", self.bot),
            clock=self.moment,
            gone=[GONE],
            connect_address="https://app.example/connect",
            administrator=lambda: self.administrator,
        )

    def grant(self, number: int, **more: Any) -> Grant:
        """A stored subscription of the owner's."""
        made = replace(GRANT, **({"sys_id": f"{number:032x}", "name": f"N{number}"} | more))
        self.stores.grants.put(made)
        return made

    def stored(self, grant: Grant) -> Grant:
        """The stored grant."""
        found = self.stores.grants.get(grant.sys_id)
        assert found is not None
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Setup]:
    """Nothing is granted, nobody is connected."""
    moment = ManualClock()
    stores = open_stores(tmp_path, moment)
    yield Setup(stores, moment)
    stores.close()


def parked(number: int, **more: Any) -> Parked:
    """A subscription that no authorized person has asked for."""
    given: dict[str, Any] = {"reason": f"R{number}", "seen_at": NOW}
    return Parked(sys_id=f"{number:032x}", channel_id="", created_by="", updated_by="", **(given | more))


def test_a_broken_subscription_is_marked_and_its_owner_told_once(desk: Setup) -> None:
    """One message for all with the same reason, and one for each owner."""
    desk.owners.notify_owners()
    first, second = desk.grant(1, told_at=5.0, version=3), desk.grant(2, name="")
    theirs, paused = desk.grant(3, owner_id=OTHER), desk.grant(4, status=Status.PAUSED.value)
    unknown = replace(GRANT, sys_id="f" * 32)
    desk.owners.mark([first, second, theirs, paused, unknown], "It is closed.")
    assert desk.stored(first) == replace(first, status="broken", reason="It is closed.", told_at=0.0, version=4)
    assert desk.stored(paused) == paused
    assert desk.stores.grants.get(unknown.sys_id) is None
    desk.owners.mark([first], "Another reason.")
    assert desk.stored(first).reason == "It is closed."
    desk.owners.notify_owners()
    assert desk.bot.told == [
        (
            OWNER,
            "These subscriptions to ServiceNow stopped posting. It is closed.\n"
            f"- **N1**\n- Incident (`{second.sys_id}`)\n"
            "When that is mended, resume them with `/servicenow subscriptions list`.",
        ),
        (
            OTHER,
            "These subscriptions to ServiceNow stopped posting. It is closed.\n- **N3**\n"
            "When that is mended, resume them with `/servicenow subscriptions list`.",
        ),
    ]
    assert desk.stored(first).told_at == NOW
    desk.moment.now += DAY
    desk.owners.notify_owners()
    desk.again().notify_owners()
    assert len(desk.bot.told) == 2


def test_an_archived_channel_breaks_only_its_subscriptions(desk: Setup) -> None:
    """And nothing else."""
    here, there = desk.grant(1), desk.grant(2, channel_id="d" * 26)
    desk.owners.mark_channel(CHANNEL, "It is archived.")
    assert (desk.stored(here).status, desk.stored(here).reason) == ("broken", "It is archived.")
    assert desk.stored(there) == there


def test_administrators_are_told_instead_of_a_deactivated_owner(desk: Setup) -> None:
    """Nobody is told while there is no administrator; for every other reason the owner is."""
    desk.owners.mark([desk.grant(1)], GONE)
    desk.owners.notify_owners()
    assert desk.bot.people() == [ADMIN]
    desk.administrator = ""
    desk.owners.mark([desk.grant(2)], GONE)
    desk.owners.notify_owners()
    assert desk.bot.people() == []


def test_at_most_twenty_are_named(desk: Setup) -> None:
    """All are marked as told."""
    grants = [desk.grant(number) for number in range(1, 23)]
    desk.owners.mark(grants, "Why.")
    desk.owners.notify_owners()
    [(_, text)] = desk.bot.told
    assert [line for line in text.splitlines() if line.startswith("- ")] == [f"- **N{n}**" for n in range(1, 21)]
    assert {desk.stored(one).told_at for one in grants} == {NOW}


def test_after_a_timeout_of_mattermost_telling_is_retried_at_once(desk: Setup) -> None:
    """Nothing is stored then; a rejected message isn't retried."""
    one = desk.grant(1)
    desk.owners.mark([one], "Why.")
    desk.bot.fails = MattermostSilent("down")
    desk.owners.notify_owners()
    assert desk.stored(one).told_at == 0.0
    desk.bot.fails = None
    desk.owners.notify_owners()
    assert desk.bot.people() == [OWNER]
    desk.owners.mark([desk.grant(2)], "Why.")
    desk.bot.fails = MattermostRefused("no", 403)
    desk.owners.notify_owners()
    desk.bot.fails = None
    desk.owners.notify_owners()
    assert desk.bot.people() == []


def test_subscriptions_broken_elsewhere_are_found_within_a_minute(desk: Setup) -> None:
    """By an earlier process, or by a channel administrator; not those that were told, paused, or deleted by then."""
    desk.grant(1, status="broken", reason="Before.")
    desk.grant(2, status="broken", reason="Before.", told_at=NOW - 1)
    desk.grant(3, status="paused", told_at=1.0)
    desk.grant(4)
    desk.owners.notify_owners()
    assert [text.count("- ") for _, text in desk.bot.told] == [1]
    assert desk.bot.people() == [OWNER]
    for age, found in ((0.0, []), (59.5, []), (60.0, [OWNER])):
        desk.grant(5, status="broken", reason="Later.")
        desk.moment.now = NOW + age
        desk.owners.notify_owners()
        assert desk.bot.people() == found
    desk.grant(6, status="broken", reason="Later.")
    desk.moment.now = NOW - 1000  # a clock that was set back
    desk.owners.notify_owners()
    assert desk.bot.people() == [OWNER]


@pytest.mark.parametrize("now", ["active", "gone", "told"])
def test_a_subscription_fixed_before_the_message_isnt_mentioned(desk: Setup, now: str) -> None:
    """It was resumed, deleted, or told by another process."""
    one = desk.grant(1)
    desk.owners.mark([one], "Why.")
    if now == "gone":
        desk.stores.grants.delete(one.sys_id)
    else:
        desk.stores.grants.put(replace(desk.stored(one), **({"status": now} if now == "active" else {"told_at": NOW})))
    desk.owners.notify_owners()
    assert desk.bot.told == []


def test_an_owner_without_a_connection_is_asked_to_connect_once_a_day(desk: Setup) -> None:
    """Once for all subscriptions; those that are broken or another person's don't count."""
    one, two = desk.grant(1), desk.grant(2)
    desk.grant(3, status="broken", told_at=NOW - 1)
    desk.grant(4, owner_id=OTHER, told_at=NOW - 1)
    desk.owners.ask_to_connect(one)
    desk.owners.ask_to_connect(two)
    assert desk.bot.told == [
        (
            OWNER,
            "Your ServiceNow account is not connected, so notifications of **N1** only say that a record changed. "
            "[Connect](https://app.example/connect) to get full notifications again.",
        )
    ]
    assert desk.bot.people() == [OWNER]
    assert (desk.stored(one), desk.stored(two)) == (replace(one, told_at=NOW), two)
    for age, people in ((DAY - 0.5, []), (DAY, [OWNER]), (-5.0, [OWNER])):
        desk.moment.now = NOW + age
        desk.owners.ask_to_connect(desk.stored(two))
        assert desk.bot.people() == people


def test_an_owner_whose_connection_ended_is_asked_to_connect_once_a_day(desk: Setup) -> None:
    """The account stores it, not its grants."""
    one = desk.grant(1, told_at=NOW)
    desk.stores.accounts.put(ACCOUNT)
    desk.owners.ask_to_connect(one)
    [(person, text)] = desk.bot.told
    assert (person, text.partition(",")[0]) == (OWNER, "Your ServiceNow connection has ended")
    assert desk.stores.accounts.get(OWNER) == replace(ACCOUNT, suspension_told_at=NOW, version=2)
    assert desk.stored(one) == one
    for age, times in ((0.0, 1), (DAY - 0.5, 1), (DAY, 2)):
        desk.moment.now = NOW + age
        desk.owners.ask_to_connect(one)
        assert len(desk.bot.told) == times


def test_an_owner_whose_grant_was_deleted_can_still_be_asked(desk: Setup) -> None:
    """The grant was deleted while its notice waited."""
    desk.owners.ask_to_connect(GRANT)
    assert desk.bot.people() == [OWNER]


def test_administrators_are_told_once_a_day_of_parked_rows(desk: Setup) -> None:
    """Of those that matched since; at most twenty by name."""
    desk.stores.parked.put([parked(1), parked(2, told_at=NOW - DAY, seen_at=NOW - DAY)])
    desk.owners.notify_owners()
    assert desk.bot.told == [
        (
            ADMIN,
            "These rows of ServiceNow's subscriptions table were not set up through this app, so nothing of them is "
            f"posted:\n- `{1:032x}`: R1\n"
            "Their owners can set them up with `/servicenow subscriptions add`; rows that nobody knows should be "
            "deleted in ServiceNow.",
        )
    ]
    assert {one.sys_id[-1]: one.told_at for one in desk.stores.parked.all()} == {"1": NOW, "2": NOW - DAY}
    desk.bot.told.clear()
    desk.stores.parked.put([parked(3, seen_at=NOW + 1)])
    for age in (0.0, DAY - 0.5):
        desk.moment.now = NOW + age
        desk.owners.notify_owners()
        assert desk.bot.told == []
    desk.moment.now = NOW + DAY
    desk.stores.parked.put([parked(number, seen_at=NOW + 2) for number in range(3, 23)])
    desk.owners.notify_owners()
    [(_, text)] = desk.bot.told
    assert (text.count("\n- `"), "more" in text) == (20, False)
    desk.bot.told.clear()
    desk.moment.now = NOW + 2 * DAY
    desk.stores.parked.put([parked(number, seen_at=desk.moment.now) for number in range(3, 26)])
    desk.owners.notify_owners()
    [(_, text)] = desk.bot.told
    assert (text.count("\n- `"), "\n- and 3 more\n" in text) == (20, True)
    assert {one.told_at for one in desk.stores.parked.all() if int(one.sys_id, 16) > 2} == {desk.moment.now}


def test_a_timeout_is_raised_if_administrators_cant_be_told(desk: Setup) -> None:
    """The worker logs it; a rejection is ignored."""
    desk.stores.parked.put([parked(1)])
    desk.bot.fails = MattermostSilent("down")
    with pytest.raises(MattermostSilent):
        desk.owners.notify_owners()
    desk.bot.fails = MattermostRefused("no", 403)
    desk.moment.now += DAY
    desk.stores.parked.put([parked(1, seen_at=desk.moment.now)])
    desk.owners.notify_owners()
