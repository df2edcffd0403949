"""Keep the same subscription from being created twice."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import AppError, StillWorking
from core.subscriptions import Subscription
from handlers.context import Context
from handlers.subscriptions.permissions import Gone, is_effective, rows_of


class AlreadySubscribed(AppError):
    """The same subscription already exists, and nothing was saved. ``existing`` is that subscription."""

    user_message = "There is such a subscription already, so nothing was saved. Edit that one instead?"

    def __init__(self, existing: Subscription) -> None:
        super().__init__(f"same as {existing.sys_id}")
        self.existing = existing


class BeingSaved(StillWorking):
    """Another form is saving the same subscription."""

    user_message = (
        "The same subscription is being saved right now. Wait a moment, then look at the list of subscriptions."
    )


@contextmanager
def one_at_a_time(context: Context, subscription: Subscription) -> Iterator[None]:
    """Lock the identity of *subscription*, so that of two people who save the same one, the second finds the first."""
    parts = (subscription.channel_id, subscription.table, subscription.record_id, subscription.filter_query)
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    try:
        with context.stores.form_results.claim(f"subscription {digest}"):
            yield
    except StillWorking as busy:
        raise BeingSaved(busy.log_message) from busy


def find_duplicates(context: Context, subscription: Subscription) -> list[Subscription]:
    """The effective rows with the same channel, record or table, and filter, oldest first, and the row itself."""
    with rows_of(context) as rows:
        found = rows.twins(subscription)
    return [one for one in found if one.sys_id == subscription.sys_id or is_effective(context, one)]


def check_granted(context: Context, wanted: Subscription) -> None:
    """
    Look for a duplicate among our own grants, before anything is inserted. Grants whose row is gone are deleted.

    Raises:
        AlreadySubscribed: There is one.
    """
    for grant in context.stores.grants.all():
        if grant.same_as(wanted):
            try:
                with rows_of(context) as rows:
                    existing = rows.get(grant.sys_id)
            except Gone:
                context.stores.grants.delete(grant.sys_id)
                continue
            if existing.same_as(wanted):
                raise AlreadySubscribed(existing)
