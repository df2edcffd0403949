"""
One opened form makes one subscription, and the same one is there once.

In this order: the attempt is stored (`handlers/idempotency.py`), the row inserted, an older twin looked for
(the younger row gives way), the grant stored, the channel told, the answer stored and given. What fails on
the way is undone, or said.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from datetime import UTC, datetime

import structlog

from core.calls import Text
from core.errors import AppError, OldComponent, ServiceNowError, StillWorking, StorageFailed
from core.subscriptions import TABLE, Subscription
from handlers.context import Context
from handlers.idempotency import Attempt, once
from handlers.subscriptions_announcements import Description, announce, grant_of
from handlers.subscriptions_permissions import Gone, counts, rows_of
from handlers.subscriptions_text import events_text

log = structlog.get_logger(__name__)

_CLOCK_MARGIN = 300.0  # seconds that the instance's clock may be behind ours


class AlreadyThere(AppError):
    """The same subscription exists; ``twin`` is it. Nothing was saved."""

    user_message = "There is such a subscription already, so nothing was saved. Edit that one instead?"

    def __init__(self, twin: Subscription) -> None:
        super().__init__(f"twin {twin.sys_id}")
        self.twin = twin


class HalfDone(AppError):
    """A row is in ServiceNow that could be neither used nor removed."""

    def __init__(self, log_message: str, sys_id: str) -> None:
        super().__init__(log_message)
        self.user_message = (
            "This could not be finished, and ServiceNow kept a row of it that posts nothing. "
            f"Remove it with `/servicenow subscriptions delete {sys_id}`, then try again."
        )


def create(wanted: Subscription, description: Description, form_id: str, context: Context) -> str:
    """
    Save *wanted*, which was checked, for the person; the confirmation.

    Raises:
        AlreadyThere: There is such a subscription.
        MayNotPost, BotNotIn: In its channel; nothing was saved.
        NotSetUp, NotAuthorized, OldComponent, ServiceNowError: Nothing was saved.
        MayBeSaved: ServiceNow did not say, and looking for it was no help.
        HalfDone: Not saved, but a row remains.
    """

    def work(attempt: Attempt) -> Text:
        context.mattermost.let_bot_in(wanted.channel_id)
        with one_at_a_time(wanted, context):
            _refuse_granted_twin(wanted, context)
            stored = attempt.write(
                "row",
                send=lambda: _insert(wanted, context),
                look=lambda _digest: _left_behind(wanted, attempt.since, context),
                content="\n".join(map(str, astuple(wanted))),
                address=context.links.list(TABLE),
            )
            try:
                _give_way(stored, context)
                _keep(stored, context)
            except AppError:
                attempt.undone("row")
                raise
        problem = announce(stored, "subscribed this {place}", description, f"{context.person.id}:{form_id}", context)
        log.info("subscribed", subscription=stored.sys_id, person=context.person.id)
        return Text(f"Subscribed: {description.subject} ({events_text(stored.events)}).{problem}")

    return once(form_id, context, work).text


@contextmanager
def one_at_a_time(subscription: Subscription, context: Context) -> Iterator[None]:
    """Two people who save the same at once come one after the other, so that the second finds the first's."""
    parts = (subscription.channel_id, subscription.table, subscription.record_id, subscription.filter_query)
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    try:
        with context.stores.form_results.claim(f"subscription {digest}"):
            yield
    except StillWorking as busy:
        raise SavedBySomebody(str(busy)) from busy


class SavedBySomebody(StillWorking):
    """The same subscription is being saved by another form."""

    user_message = (
        "The same subscription is being saved right now. Wait a moment, then look at the list of subscriptions."
    )


def _refuse_granted_twin(wanted: Subscription, context: Context) -> None:
    """Without a round trip where we know of none; a grant whose row is gone is dropped."""
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


def _insert(wanted: Subscription, context: Context) -> Subscription:
    try:
        with rows_of(context) as rows:
            return rows.insert(wanted)
    except OldComponent as error:
        _remove(error.sys_id, context)
        raise


def _left_behind(wanted: Subscription, first_sent: float, context: Context) -> Subscription | None:
    """The row that an earlier try of this form made, if any."""
    with rows_of(context) as rows:
        twins = rows.twins(wanted)
    since = _raw(first_sent - _CLOCK_MARGIN)
    mine = [
        one for one in twins if one.user_id == context.person.id and one.created_on >= since and counts(one, context)
    ]
    return mine[0] if mine else None


def _give_way(stored: Subscription, context: Context) -> None:
    """Remove *stored* where an older twin is there; a silence now is no reason to lose it."""
    try:
        with rows_of(context) as rows:
            twins = [one for one in rows.twins(stored) if one.sys_id == stored.sys_id or counts(one, context)]
    except ServiceNowError as error:
        # Two alike are harmless: a record has one notice in a channel, whatever matched.
        log.warning("twins not looked for", subscription=stored.sys_id, reason=type(error).__name__)
        return
    if twins and twins[0].sys_id != stored.sys_id:
        _remove(stored.sys_id, context)
        raise AlreadyThere(twins[0])


def _keep(stored: Subscription, context: Context) -> None:
    try:
        context.stores.grants.put(grant_of(stored, context, record_read=True))
    except StorageFailed:
        _remove(stored.sys_id, context)
        raise


def _remove(sys_id: str, context: Context) -> None:
    try:
        with rows_of(context) as rows:
            rows.delete(sys_id)
    except ServiceNowError as error:
        raise HalfDone(f"row {sys_id} not removed: {error}", sys_id) from error


def _raw(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")
