"""Keep two people, or one person twice, from creating the same subscription."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import AppError, StillWorking
from core.subscriptions import Subscription
from handlers.context import Context
from handlers.subscriptions.permissions import Gone, counts, rows_of


class AlreadyThere(AppError):
    """The same subscription exists; ``twin`` is it. Nothing was saved."""

    user_message = "There is such a subscription already, so nothing was saved. Edit that one instead?"

    def __init__(self, twin: Subscription) -> None:
        super().__init__(f"twin {twin.sys_id}")
        self.twin = twin


class SavedBySomebody(StillWorking):
    """Another form is saving the same subscription."""

    user_message = (
        "The same subscription is being saved right now. Wait a moment, then look at the list of subscriptions."
    )


@contextmanager
def one_at_a_time(context: Context, subscription: Subscription) -> Iterator[None]:
    """Of two people who save the same subscription, the second finds what the first saved."""
    parts = (subscription.channel_id, subscription.table, subscription.record_id, subscription.filter_query)
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    try:
        with context.stores.form_results.claim(f"subscription {digest}"):
            yield
    except StillWorking as busy:
        raise SavedBySomebody(busy.log_message) from busy


def find_twins(context: Context, subscription: Subscription) -> list[Subscription]:
    """Rows with the same identity that count, oldest first, and the row itself."""
    with rows_of(context) as rows:
        twins = rows.twins(subscription)
    return [one for one in twins if one.sys_id == subscription.sys_id or counts(context, one)]


def refuse_granted_twin(context: Context, wanted: Subscription) -> None:
    """Ask ServiceNow only about twins that we know of. Grants whose row is gone are dropped."""
    for grant in context.stores.grants.all():
        if grant.same_as(wanted):
            try:
                with rows_of(context) as rows:
                    twin = rows.get(grant.sys_id)
            except Gone:
                context.stores.grants.delete(grant.sys_id)
                continue
            if twin.same_as(wanted):
                raise AlreadyThere(twin)
