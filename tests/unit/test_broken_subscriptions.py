"""Owners are told of broken subscriptions without undoing concurrent changes to those subscriptions."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from core.storage_ports import Stores
from core.subscriptions import Grant, Status
from core.upstream_errors import MattermostSilent
from mattermost.bot import MattermostBot
from notifications.broken_subscriptions import BrokenSubscriptions
from storage.embedded import open_storage
from storage.sealing import derive_keys
from tests.contract.storing import NEW, Moment


class Messages:
    """The bot's direct messages; before the first one is sent, *meanwhile* runs."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile: Callable[[], None] | None = meanwhile

    def send_direct_message(self, _person_id: str, _text: str) -> None:
        """Send a direct message."""
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()


def _owners(stores: Stores, clock: Moment, bot: Messages) -> BrokenSubscriptions:
    return BrokenSubscriptions(
        grants=stores.grants,
        parked=stores.parked,
        accounts=stores.accounts,
        bot=cast(MattermostBot, bot),
        clock=clock,
        gone=(),
        connect_address="https://mattermost.example.org/connect",
        administrator=lambda: "",
    )


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("then", ["resumed", "deleted"])
def test_a_message_about_one_subscription_keeps_a_change_of_another(tmp_path: Path, then: str, silent: bool) -> None:
    """
    A subscription resumed or deleted while messages are being sent keeps that state, even if sending fails.

    The time of the message isn't stored with a resumed one: it would delay the message that asks to connect.
    """
    clock = Moment()
    stores = open_storage(f"tinydb://{tmp_path}", lambda purpose: derive_keys([NEW], purpose), clock=clock, wait=1)
    try:
        ids = [letter * 32 for letter in "ab"]
        for sys_id, owner in zip(ids, ("first", "second"), strict=True):
            stores.grants.put(
                Grant(
                    sys_id=sys_id,
                    owner_id=owner,
                    channel_id="c" * 26,
                    table="incident",
                    status=Status.BROKEN.value,
                    reason="The channel is archived.",
                )
            )

        def meanwhile() -> None:
            for sys_id in ids:
                if then == "deleted":
                    stores.grants.delete(sys_id)
                elif (grant := stores.grants.get(sys_id)) is not None:
                    stores.grants.put(replace(grant, status=Status.ACTIVE.value, reason="", told_at=0.0))
            if silent:
                raise MattermostSilent("no answer")

        _owners(stores, clock, Messages(meanwhile)).notify_owners()

        found = {grant.sys_id: (grant.status, grant.told_at) for grant in stores.grants.all()}
        assert found == ({} if then == "deleted" else dict.fromkeys(ids, (Status.ACTIVE.value, 0.0)))
    finally:
        stores.close()
