"""Subscriptions in ServiceNow as handlers use them: a part of the port `core.ports.ServiceNow`."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from core.records import Column, Record
from core.subscriptions import Cursor, Filter, Subscription, SubscriptionFilter


class Subscriptions(Protocol):
    """
    Subscriptions of this Mattermost server as ServiceNow keeps them, with one person's rights.

    Each method but `encode` and `decode` is one round trip, and raises as `ServiceNow` does: NotInstalled
    where the table is missing, AccessDenied without the role, NotFound for no such row or another server's.
    """

    def insert(self, subscription: Subscription) -> Subscription:
        """
        Insert it; as stored. A `may_have_been_saved` error leaves open whether it was: look for `twins`.

        Raises:
            NotInstalled: Also where the table is of an older version; ``sys_id`` of the error is then the
                row that was made, to be removed.
        """
        ...

    def get(self, sys_id: str) -> Subscription: ...

    def update(self, before: Subscription, after: Subscription) -> Subscription:
        """Send what differs, and nothing when nothing does."""
        ...

    def delete(self, sys_id: str) -> None:
        """Remove it; no error when it is gone already. AccessDenied where ServiceNow's rights refuse."""
        ...

    def twins(self, subscription: Subscription) -> Sequence[Subscription]:
        """Those with the same channel, table, record and filter, in any status, oldest first; itself too."""
        ...

    def page(
        self, wanted: SubscriptionFilter, limit: int, *, beyond: Cursor | None = None, back: bool = False
    ) -> list[Subscription]:
        """
        At most *limit*, newest first, from after *beyond* on; less than *limit* means that there are no more.

        With *back* those before *beyond*, nearest (oldest) first.
        """
        ...

    def encode(self, wanted: Filter, table: str, columns: Mapping[str, Column]) -> str:
        """
        The encoded query of a filter on *table*, of at most 4,000 characters; no round trip.

        Raises:
            InvalidInput: A part can't be accepted, as sentences at the form's fields.
        """
        ...

    def decode(self, filter_query: str, table: str) -> Filter:
        """What a stored query says, as far as the form has fields for it; never raises."""
        ...

    def changed(self, subscription: Subscription, since: float, limit: int, *, created: bool) -> Sequence[Record]:
        """Records that it is about and that changed (or were *created*) at or after *since*, newest first."""
        ...

    def send_test(self, sys_id: str, nonce: str) -> None:
        """
        Have the component report the newest record that it matches, marked with *nonce*.

        Raises:
            NotFound: No record matches. AccessDenied: Neither its creator's nor an administrator's account.
        """
        ...
