"""One suite for every storage: settings, accounts, installation, sign-ins, form results and grants."""

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
    """An account as connecting stores it."""
    return Account(
        person_id=person_id,
        instance="https://acme.service-now.com",
        tokens=Tokens(access_token, "refresh-1", NOW + 1800, NOW),
        identity=Identity("1" * 32, "abel.tuter", "Abel Tuter", "abel@example.com", "Europe/Berlin", "de"),
        connected_at=NOW,
        version=version,
    )


def result(form_id: str = "form", stored_at: float = NOW) -> FormResult:
    """The result of a submit."""
    return FormResult(form_id, "ann", "incident", "1" * 32, "INC0010001", "Created INC0010001", stored_at)


def test_settings_are_replaced_and_survive_a_restart(open_: Open) -> None:
    """A write replaces all values of a name. A name that was never set is empty."""
    settings = open_().settings
    assert settings.get("instance") == {}
    settings.put("instance", {"url": "https://acme.service-now.com", "client_secret": "hidden"})
    settings.put("instance", {"url": "https://other.service-now.com"})
    settings.put("keys", {"keys": [1, 2]})
    assert settings.get("instance") == {"url": "https://other.service-now.com"}
    again = open_().settings
    assert again.get("instance") == {"url": "https://other.service-now.com"}
    assert again.get("keys") == {"keys": [1, 2]}


def test_settings_survive_a_key_rotation(open_: Open) -> None:
    """After one start with both keys, the old key isn't needed. Without the right key, settings count as not set."""
    open_(OLD).settings.put("instance", {"url": "https://acme.service-now.com"})
    open_(NEW, OLD)
    assert open_(NEW).settings.get("instance") == {"url": "https://acme.service-now.com"}
    assert open_(OLD).settings.get("instance") == {}
    assert open_(NEW).settings.get("instance") == {"url": "https://acme.service-now.com"}


INSTALLATION = Installation(
    bot_user_id="bot", installed_by="admin", bot_token="t" * 26, bot_token_seen_at=NOW, webhook_secret="w" * 26
)


def test_an_account_survives_a_restart(open_: Open) -> None:
    """Every column is returned as it was stored, immediately and after a restart."""
    full = replace(
        account(), suspended=True, suspended_client="ab12", suspension_told_at=NOW + 0.25, ending_told_at=NOW + 1
    )
    stores = open_()
    assert stores.accounts.get("ann") is None
    assert stores.accounts.put(full)
    assert stores.accounts.get("ann") == full
    assert open_().accounts.get("ann") == full
    assert open_().accounts.all() == [full]


def test_a_write_with_an_old_version_is_rejected(open_: Open) -> None:
    """A write needs a newer version than the stored one, after a restart too."""
    accounts = open_().accounts
    assert accounts.put(account(version=2, access_token="new"))
    assert not accounts.put(account(version=2, access_token="other"))
    accounts = open_().accounts
    assert not accounts.put(account(version=1, access_token="old"))
    assert accounts.get("ann") == account(version=2, access_token="new")
    assert accounts.put(account(version=9, access_token="newest"))
    assert accounts.get("ann") == account(version=9, access_token="newest")


def test_one_of_concurrent_writes_succeeds(open_: Open) -> None:
    """Of 16 threads that store the same version, one succeeds, and its account is stored."""
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


def test_concurrent_writes_keep_all_accounts(open_: Open) -> None:
    """32 threads write their own accounts five times each. The last version of each is stored."""
    accounts = open_().accounts

    def work(number: int) -> None:
        for version in range(1, 6):
            assert accounts.put(account(f"person{number}", version))

    _run(work, 32)
    kept = open_().accounts.all()
    assert sorted(one.person_id for one in kept) == sorted(f"person{number}" for number in range(32))
    assert {one.version for one in kept} == {5}


def test_a_deleted_account_is_gone(open_: Open) -> None:
    """Deleting twice isn't an error. The next connection starts at version 1."""
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


def test_reading_an_account_is_fast(open_: Open) -> None:
    """A read takes at most 20 µs, since bindings need one at every channel switch."""
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


def test_accounts_and_installation_survive_a_key_rotation(open_: Open) -> None:
    """The newest key seals, and older keys still open. A write reseals a row with the newest key."""
    stores = open_(OLD)
    stores.accounts.put(account())
    stores.installations.put(INSTALLATION)
    stores = open_(NEW, OLD)
    assert stores.accounts.get("ann") == account()
    assert stores.installations.get() == INSTALLATION
    assert stores.accounts.put(account(version=2))
    assert open_(NEW).accounts.get("ann") == account(version=2)


def test_an_account_that_no_key_opens_can_be_reconnected(open_: Open) -> None:
    """It counts as missing until its key returns, and any version can replace it."""
    open_(OLD).accounts.put(account(version=7))
    accounts = open_(NEW).accounts
    assert accounts.get("ann") is None
    assert accounts.all() == []
    assert open_(OLD).accounts.get("ann") == account(version=7)
    accounts = open_(NEW).accounts
    assert accounts.put(account(version=1, access_token="anew"))
    assert accounts.get("ann") == account(version=1, access_token="anew")


def test_the_installation_survives_a_restart(open_: Open) -> None:
    """The pinned bot and the sealed secrets are returned. A new installation replaces the old one."""
    stores = open_()
    assert stores.installations.get() is None
    stores.installations.put(INSTALLATION)
    assert stores.installations.get() == INSTALLATION
    assert open_().installations.get() == INSTALLATION
    open_().installations.put(Installation(bot_user_id="other", installed_by="admin"))
    assert open_().installations.get() == Installation(bot_user_id="other", installed_by="admin")


def test_a_lost_key_keeps_the_pinned_bot(open_: Open) -> None:
    """Without the key, only the secrets are lost. The next call provides a new bot token."""
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


def test_only_its_person_can_take_a_sign_in_and_only_once(open_: Open) -> None:
    """This holds after a restart too. Another person's attempt finds nothing and doesn't use it up."""
    open_().sign_ins.start(sign_in("one"))
    sign_ins = open_().sign_ins
    assert sign_ins.take("bob", "one") is None
    assert sign_ins.take("ann", "other") is None
    assert sign_ins.take("ann", "one") == sign_in("one")
    assert sign_ins.take("ann", "one") is None
    assert open_().sign_ins.take("ann", "one") is None


def test_one_of_concurrent_takes_succeeds(open_: Open) -> None:
    """A sign-in can be used once, even by concurrent threads."""
    sign_ins = open_().sign_ins
    sign_ins.start(sign_in("one"))
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: sign_ins.take("ann", "one"), range(8)))
    assert [one for one in taken if one is not None] == [sign_in("one")]


def test_sign_ins_expire_and_are_limited_per_person(open_: Open, moment: Moment) -> None:
    """They last 15 minutes. Each person's newest five are kept. They can't be used without their key."""
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


def test_a_form_result_is_kept_for_a_day(open_: Open, moment: Moment) -> None:
    """Results are found for 24 hours. A write at most 15 minutes later deletes them."""
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


def test_old_results_are_deleted_while_the_service_runs(open_: Open, moment: Moment) -> None:
    """Expired results are deleted without a restart."""
    results = open_().form_results
    for hour in range(48):
        moment.now = NOW + hour * 3600
        results.put(result(f"form{hour}", moment.now))
    moment.now = NOW
    kept = [hour for hour in range(48) if results.get(f"form{hour}") is not None]
    assert kept == list(range(23, 48))


def test_a_result_replaces_the_attempt(open_: Open) -> None:
    """The attempt is stored first, then its result."""
    results = open_().form_results
    results.put(replace(result(), sys_id="", number="", text=""))
    results.put(result())
    assert results.get("form") == result()
    assert open_().form_results.get("form") == result()


def test_a_forgotten_form_can_be_submitted_again(open_: Open) -> None:
    """`forget` permanently deletes the attempt. Forgetting twice isn't an error."""
    results = open_().form_results
    results.put(result())
    results.forget("form")
    results.forget("form")
    assert results.get("form") is None
    assert open_().form_results.get("form") is None


def test_a_form_has_one_claim_at_a_time(open_: Open) -> None:
    """A second claim is refused immediately during the first one, and succeeds afterward, even after an error."""
    results = open_().form_results
    with results.claim("form"), results.claim("another"), pytest.raises(StillWorking), results.claim("form"):
        pass
    with pytest.raises(KeyError), results.claim("form"):
        raise KeyError
    with results.claim("form"):
        pass


def test_one_of_concurrent_claims_succeeds(open_: Open) -> None:
    """Of 16 threads, one gets the claim, and 15 are refused."""
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
    """Its check raises nothing while it is open."""
    stores = open_()
    stores.check()
    stores.close()
    stores.close()


def _run(work: Callable[[int], None], threads: int) -> None:
    """Run *work* in this many threads at once, and raise the first exception."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))


def test_grants_survive_a_restart_and_can_be_deleted(open_: Open) -> None:
    """Every column is returned. A second write replaces the grant. Deleting twice isn't an error."""
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
