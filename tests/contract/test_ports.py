"""The ports that need a disk: one suite for every storage."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from core.accounts import Account, FormResult, Installation, SignIn, Tokens
from core.errors import StillWorking
from core.records import Identity
from core.subscriptions import Grant, Status
from tests.contract.storing import DAY, NEW, NOW, OLD, Moment, Open


def account(person_id: str = "ann", version: int = 1, access_token: str = "access-1") -> Account:
    """An account as `connect` stores it."""
    return Account(
        person_id=person_id,
        instance="https://acme.service-now.com",
        tokens=Tokens(access_token, "refresh-1", NOW + 1800, NOW),
        identity=Identity("1" * 32, "abel.tuter", "Abel Tuter", "abel@example.com", "Europe/Berlin", "de"),
        connected_at=NOW,
        version=version,
    )


def result(form_id: str = "form", stored_at: float = NOW) -> FormResult:
    """What one submit left behind."""
    return FormResult(form_id, "ann", "incident", "1" * 32, "INC0010001", "Created INC0010001", stored_at)


def test_settings_are_replaced_whole_and_survive_a_restart(open_: Open) -> None:
    """By name; what was never set is empty."""
    settings = open_().settings
    assert settings.get("instance") == {}
    settings.put("instance", {"url": "https://acme.service-now.com", "client_secret": "hidden"})
    settings.put("instance", {"url": "https://other.service-now.com"})
    settings.put("keys", {"keys": [1, 2]})
    assert settings.get("instance") == {"url": "https://other.service-now.com"}
    again = open_().settings
    assert again.get("instance") == {"url": "https://other.service-now.com"}
    assert again.get("keys") == {"keys": [1, 2]}


def test_settings_outlive_the_key_that_sealed_them(open_: Open) -> None:
    """One start with the new key in front is enough for the old one to go; without either, they count as never set."""
    open_(OLD).settings.put("instance", {"url": "https://acme.service-now.com"})
    open_(NEW, OLD)
    assert open_(NEW).settings.get("instance") == {"url": "https://acme.service-now.com"}
    assert open_(OLD).settings.get("instance") == {}
    assert open_(NEW).settings.get("instance") == {"url": "https://acme.service-now.com"}


INSTALLATION = Installation(
    bot_user_id="bot", installed_by="admin", bot_token="t" * 26, bot_token_seen_at=NOW, webhook_secret="w" * 26
)


def test_an_account_survives_a_restart(open_: Open) -> None:
    """Every column comes back as it was stored, at once and after a restart."""
    full = replace(
        account(), suspended=True, suspended_client="ab12", suspension_told_at=NOW + 0.25, ending_told_at=NOW + 1
    )
    stores = open_()
    assert stores.accounts.get("ann") is None
    assert stores.accounts.put(full)
    assert stores.accounts.get("ann") == full
    assert open_().accounts.get("ann") == full
    assert open_().accounts.all() == [full]


def test_an_older_write_loses(open_: Open) -> None:
    """A write states the version it builds on; the same or a newer stored one wins, after a restart too."""
    accounts = open_().accounts
    assert accounts.put(account(version=2, access_token="new"))
    assert not accounts.put(account(version=2, access_token="other"))
    accounts = open_().accounts
    assert not accounts.put(account(version=1, access_token="old"))
    assert accounts.get("ann") == account(version=2, access_token="new")
    assert accounts.put(account(version=9, access_token="newest"))
    assert accounts.get("ann") == account(version=9, access_token="newest")


def test_of_writes_at_once_one_wins_and_knows(open_: Open) -> None:
    """Sixteen threads store the same version: one is told yes, and it is that one's that is stored."""
    accounts = open_().accounts
    ready = threading.Barrier(16)
    won: list[Account] = []

    def work(number: int) -> None:
        mine = account(version=2, access_token=f"token-{number}")
        ready.wait(20)
        if accounts.put(mine):
            won.append(mine)

    _run(work, 16)
    assert len(won) == 1
    assert accounts.get("ann") == won[0]
    assert open_().accounts.get("ann") == won[0]


def test_accounts_written_at_once_are_all_kept(open_: Open) -> None:
    """32 threads write accounts of their own, five times each: the last of every one is there."""
    accounts = open_().accounts

    def work(number: int) -> None:
        for version in range(1, 6):
            assert accounts.put(account(f"person{number}", version))

    _run(work, 32)
    kept = open_().accounts.all()
    assert sorted(one.person_id for one in kept) == sorted(f"person{number}" for number in range(32))
    assert {one.version for one in kept} == {5}


def test_a_deleted_account_is_gone(open_: Open) -> None:
    """Deleting twice is no error; connecting afterwards starts at version one."""
    accounts = open_().accounts
    accounts.put(account(version=7))
    accounts.delete("ann")
    accounts.delete("ann")
    assert accounts.get("ann") is None
    assert open_().accounts.get("ann") is None
    assert open_().accounts.put(account(version=1))


def test_people_are_found_by_their_servicenow_user(open_: Open) -> None:
    """Several people can be linked to one user. A deleted account, or one that has been relinked, is not found."""
    accounts = open_().accounts
    user, other = account("ann"), Identity(sys_id="f" * 32)
    for person_id in ("ann", "bob"):
        accounts.put(account(person_id))
    assert accounts.person_of(user.identity.sys_id) == "ann"
    accounts.delete("ann")
    assert accounts.person_of(user.identity.sys_id) == "bob"
    accounts.put(replace(account("bob", version=9), identity=other))
    assert (accounts.person_of(user.identity.sys_id), accounts.person_of("f" * 32)) == ("", "bob")
    assert open_().accounts.person_of("f" * 32) == "bob"
    assert open_().accounts.person_of("") == ""


def test_reading_an_account_is_quick(open_: Open) -> None:
    """Bindings read one at every channel switch: 20 µs at most, whatever else is stored."""
    accounts = open_().accounts
    for number in range(20):
        accounts.put(account(f"person{number}"))
    accounts.get("person7")
    rounds = []
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(1000):
            accounts.get("person7")
        rounds.append((time.perf_counter() - begin) / 1000)
    assert min(rounds) < 20e-6


def test_a_rotated_secret_reads_what_the_old_one_sealed(open_: Open) -> None:
    """The newest key seals, older ones open; a write moves a row to the newest key."""
    stores = open_(OLD)
    stores.accounts.put(account())
    stores.installations.put(INSTALLATION)
    stores = open_(NEW, OLD)
    assert stores.accounts.get("ann") == account()
    assert stores.installations.get() == INSTALLATION
    assert stores.accounts.put(account(version=2))
    assert open_(NEW).accounts.get("ann") == account(version=2)


def test_an_account_that_no_key_opens_can_be_connected_anew(open_: Open) -> None:
    """It counts as none, waits for its key, and is replaced by whatever version is written next."""
    open_(OLD).accounts.put(account(version=7))
    accounts = open_(NEW).accounts
    assert accounts.get("ann") is None
    assert accounts.all() == []
    assert open_(OLD).accounts.get("ann") == account(version=7)
    accounts = open_(NEW).accounts
    assert accounts.put(account(version=1, access_token="anew"))
    assert accounts.get("ann") == account(version=1, access_token="anew")


def test_the_installation_is_kept(open_: Open) -> None:
    """Pinned bot and sealed secrets come back; a new one replaces the old one whole."""
    stores = open_()
    assert stores.installations.get() is None
    stores.installations.put(INSTALLATION)
    assert stores.installations.get() == INSTALLATION
    assert open_().installations.get() == INSTALLATION
    open_().installations.put(Installation(bot_user_id="other", installed_by="admin"))
    assert open_().installations.get() == Installation(bot_user_id="other", installed_by="admin")


def test_the_bot_stays_pinned_when_its_secrets_can_not_be_opened(open_: Open) -> None:
    """A lost key costs the bot's token, which the next call brings, and not the pin."""
    open_(OLD).installations.put(INSTALLATION)
    assert open_(NEW).installations.get() == replace(INSTALLATION, bot_token="", webhook_secret="")


def sign_in(state: str, person_id: str = "ann", started_at: float = NOW) -> SignIn:
    """A sign-in as `/oauth2/connect` starts it."""
    return SignIn(
        person_id=person_id,
        state=state,
        verifier=f"verifier of {state}",
        instance="https://acme.service-now.com",
        started_at=started_at,
    )


def test_a_sign_in_is_taken_once_by_its_person(open_: Open) -> None:
    """Also after a restart; another person's take finds nothing and leaves it."""
    open_().sign_ins.start(sign_in("one"))
    sign_ins = open_().sign_ins
    assert sign_ins.take("bob", "one") is None
    assert sign_ins.take("ann", "other") is None
    assert sign_ins.take("ann", "one") == sign_in("one")
    assert sign_ins.take("ann", "one") is None
    assert open_().sign_ins.take("ann", "one") is None


def test_of_takes_at_once_one_succeeds(open_: Open) -> None:
    """Single use holds between threads."""
    sign_ins = open_().sign_ins
    sign_ins.start(sign_in("one"))
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: sign_ins.take("ann", "one"), range(8)))
    assert [one for one in taken if one is not None] == [sign_in("one")]


def test_sign_ins_end_and_are_limited_per_person(open_: Open, moment: Moment) -> None:
    """Fifteen minutes; the newest five of a person; other people's stay. A lost key ends them."""
    sign_ins = open_().sign_ins
    sign_ins.start(sign_in("bob's", "bob"))
    for number in range(6):
        sign_ins.start(sign_in(str(number), started_at=NOW + number))
    assert sign_ins.take("ann", "0") is None
    assert sign_ins.take("ann", "1") is not None
    assert sign_ins.take("bob", "bob's") is not None
    moment.now = NOW + 15 * 60 + 2
    assert sign_ins.take("ann", "2") == sign_in("2", started_at=NOW + 2)
    moment.now += 2
    assert sign_ins.take("ann", "3") is None
    assert open_(NEW).sign_ins.take("ann", "5") is None


def test_a_form_result_lives_a_day(open_: Open, moment: Moment) -> None:
    """Results are found for 24 hours, and dropped by a write at most a quarter of an hour later."""
    results = open_().form_results
    results.put(result())
    moment.now = NOW + DAY - 1
    assert open_().form_results.get("form") == result()
    moment.now = NOW + DAY + 1
    results = open_().form_results
    assert results.get("form") is None
    moment.now = NOW + DAY + 901
    results.put(result("other", moment.now))
    moment.now = NOW
    assert open_().form_results.get("form") is None
    assert open_().form_results.get("other") == result("other", NOW + DAY + 901)


def test_results_go_while_the_service_runs(open_: Open, moment: Moment) -> None:
    """A service that is never restarted drops what is old as it goes."""
    results = open_().form_results
    for hour in range(48):
        moment.now = NOW + hour * 3600
        results.put(result(f"form{hour}", moment.now))
    moment.now = NOW
    kept = [hour for hour in range(48) if results.get(f"form{hour}") is not None]
    assert kept == list(range(23, 48))


def test_a_result_is_replaced_whole(open_: Open) -> None:
    """First the attempt, then what became of it."""
    results = open_().form_results
    results.put(replace(result(), sys_id="", number="", text=""))
    results.put(result())
    assert results.get("form") == result()
    assert open_().form_results.get("form") == result()


def test_a_forgotten_form_may_start_anew(open_: Open) -> None:
    """`forget` removes the attempt for good; forgetting twice is no error."""
    results = open_().form_results
    results.put(result())
    results.forget("form")
    results.forget("form")
    assert results.get("form") is None
    assert open_().form_results.get("form") is None


def test_one_submit_per_form_at_a_time(open_: Open) -> None:
    """A second claim is refused at once while the first holds, and given afterwards, after errors too."""
    results = open_().form_results
    with results.claim("form"), results.claim("another"), pytest.raises(StillWorking), results.claim("form"):
        pass
    with pytest.raises(KeyError), results.claim("form"):
        raise KeyError
    with results.claim("form"):
        pass


def test_of_claims_at_once_one_is_given(open_: Open) -> None:
    """Sixteen threads press the same button: one works, fifteen are told so."""
    results = open_().form_results
    refused = threading.Semaphore(0)
    given: list[int] = []

    def work(number: int) -> None:
        try:
            with results.claim("form"):
                given.append(number)
                for _ in range(15):
                    assert refused.acquire(timeout=20)
        except StillWorking:
            refused.release()

    _run(work, 16)
    assert len(given) == 1


def test_a_closed_storage_can_be_closed_again(open_: Open) -> None:
    """And its check is quiet while it is open."""
    stores = open_()
    stores.check()
    stores.close()
    stores.close()


def _run(work: Callable[[int], None], threads: int) -> None:
    """Run *work* in that many threads at once, and raise what the first of them raised."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))


def test_grants_survive_a_restart_and_can_be_taken_back(open_: Open) -> None:
    """Every column comes back; a second write replaces, deleting twice is no error."""
    grant = Grant(
        sys_id="1" * 32,
        owner_id="ann",
        channel_id="c" * 26,
        table="incident",
        record_id="2" * 32,
        filter_query="priority=1",
        events="state,priority",
        options="in_channel",
        name="Urgent",
        status=Status.BROKEN.value,
        reason="The channel is archived.",
        told_at=NOW + 0.5,
        granted_at=NOW,
    )
    open_().grants.put(grant)
    grants = open_().grants
    assert grants.get("1" * 32) == grant
    assert grants.all() == [grant]
    grants.put(replace(grant, status=Status.ACTIVE.value))
    assert open_().grants.all() == [replace(grant, status=Status.ACTIVE.value)]
    grants = open_().grants
    grants.delete("1" * 32)
    grants.delete("1" * 32)
    assert open_().grants.get("1" * 32) is None
