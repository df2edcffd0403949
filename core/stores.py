"""Everything that is kept on disk, as ports."""

from collections.abc import Callable
from dataclasses import dataclass

from core.notice_ports import Outbox, ParkedSubscriptions, Threads
from core.record_ports import PostedCards
from core.storage_ports import Accounts, ChannelGrants, FormResults, Installations, SavedSettings, SignIns


@dataclass(frozen=True)
class Stores:
    """
    The ports, and how to give the storage back.

    ``check()`` raises StorageFailed where writes are known not to work; it is cheap, for ``/readyz``.
    ``close()`` finishes writes under way, refuses later ones and lets the next process in; twice is fine.
    """

    accounts: Accounts
    sign_ins: SignIns
    installations: Installations
    form_results: FormResults
    settings: SavedSettings
    grants: ChannelGrants
    outbox: Outbox
    threads: Threads
    parked: ParkedSubscriptions
    cards: PostedCards
    check: Callable[[], None]
    close: Callable[[], None]
