"""
One opened form makes one subscription, and the same one is there once.

In this order: the attempt is stored, the row inserted, an older twin looked for (the younger row gives
way), the grant stored, the channel told, the answer stored and given. What fails on the way is undone,
or said.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from core.accounts import FormResult
from core.errors import (
    AccessDenied,
    AppError,
    Broken,
    MayBeSaved,
    OldComponent,
    ServiceNowError,
    StillWorking,
    StorageFailed,
)
from core.subscriptions import TABLE, Subscription
from handlers.context import Context
from handlers.subscriptions_effects import Told, announce, grant_of
from handlers.subscriptions_rights import Gone, counts, rows_of
from handlers.subscriptions_words import events_text

log = structlog.get_logger(__name__)

_CLOCK_MARGIN = 300.0  # seconds that the instance's clock may be behind ours


class AlreadyThere(AppError):
    """The same subscription exists; ``twin`` is it. Nothing was saved."""

    tell = "There is such a subscription already, so nothing was saved. Edit that one instead?"

    def __init__(self, twin: Subscription) -> None:
        super().__init__(f"twin {twin.sys_id}")
        self.twin = twin


class HalfDone(AppError):
    """A row is in ServiceNow that could be neither used nor removed."""

    def __init__(self, detail: str, sys_id: str) -> None:
        super().__init__(detail)
        self.tell = (
            "This could not be finished, and ServiceNow kept a row of it that posts nothing. "
            f"Remove it with `/servicenow subscriptions delete {sys_id}`, then try again."
        )


def once(form_id: str, context: Context, work: Callable[[FormResult, bool], str]) -> str:
    """
    The answer of *work*, which runs once per form; the first one when it is sent again.

    *work* gets the stored attempt and whether an earlier one may have left something behind; it may
    raise: what surely saved nothing is forgotten, so that the form may be sent again.

    Raises:
        StillWorking: The same form is being submitted by another request.
    """
    with context.form_results.claim(form_id):
        known = context.form_results.get(form_id)
        if known is not None and known.person_id == context.person.id and known.text:
            return known.text
        attempt = known or FormResult(form_id, context.person.id, TABLE, "", "", "", stored_at=context.clock())
        if known is None:
            context.form_results.put(attempt)
        try:
            text = work(attempt, known is not None)
        except AppError as error:
            if not error.may_have_been_saved:
                context.form_results.forget(form_id)
            raise
        context.form_results.put(replace(attempt, text=text))
        return text


def create(wanted: Subscription, told: Told, form_id: str, context: Context) -> str:
    """
    Save *wanted*, which was checked, for the person; the confirmation.

    Raises:
        AlreadyThere: There is such a subscription.
        MayNotPost, BotNotIn: In its channel; nothing was saved.
        NotSetUp, NotAuthorized, OldComponent, ServiceNowError: Nothing was saved.
        MayBeSaved: ServiceNow did not say, and looking for it was no help.
        HalfDone: Not saved, but a row remains.
    """

    def work(attempt: FormResult, again: bool) -> str:
        context.mattermost.let_bot_in(wanted.channel_id)
        with one_at_a_time(wanted, context):
            _refuse_granted_twin(wanted, context)
            stored = (_left_behind(wanted, attempt, context) if again else None) or _insert(wanted, attempt, context)
            _give_way(stored, context)
            _keep(stored, context)
        problem = announce(stored, "subscribed this channel", told, f"{context.person.id}:{form_id}", context)
        log.info("subscribed", subscription=stored.sys_id, person=context.person.id)
        return f"Subscribed: {told.subject} ({events_text(stored.events)}).{problem}"

    return once(form_id, context, work)


@contextmanager
def one_at_a_time(subscription: Subscription, context: Context) -> Iterator[None]:
    """Two people who save the same at once come one after the other, so that the second finds the first's."""
    parts = (subscription.channel_id, subscription.table, subscription.record_id, subscription.filter_query)
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    try:
        with context.form_results.claim(f"subscription {digest}"):
            yield
    except StillWorking as busy:
        raise SavedBySomebody(str(busy)) from busy


class SavedBySomebody(StillWorking):
    """The same subscription is being saved by another form."""

    tell = "The same subscription is being saved right now. Wait a moment, then look at the list of subscriptions."


def _refuse_granted_twin(wanted: Subscription, context: Context) -> None:
    """Without a round trip where we know of none; a grant whose row is gone is dropped."""
    for grant in context.grants.all():
        if grant.same_as(wanted):
            try:
                with rows_of(context) as rows:
                    twin = rows.get(grant.sys_id)
            except Gone:
                context.grants.delete(grant.sys_id)
                continue
            if twin.same_as(wanted):
                raise AlreadyThere(twin)


def _insert(wanted: Subscription, attempt: FormResult, context: Context) -> Subscription:
    try:
        with rows_of(context) as rows:
            return rows.insert(wanted)
    except OldComponent as error:
        _remove(error.sys_id, context)
        raise
    except ServiceNowError as error:
        if not _may_be_saved(error):
            raise
        log.warning("insert unanswered, looking for it", reason=type(error).__name__)
        try:
            found = _left_behind(wanted, attempt, context)
        except ServiceNowError as silent:
            raise MayBeSaved(f"looking failed: {silent}", context.links.list(TABLE)) from error
        if found is not None:
            return found
        if isinstance(error, Broken):
            raise NothingSaved(str(error)) from error  # the transaction is over and left nothing behind
        raise MayBeSaved(f"no answer, nothing found: {error}", context.links.list(TABLE)) from error


class NothingSaved(ServiceNowError):
    """ServiceNow failed, and it was looked up that it saved nothing."""

    tell = "ServiceNow had a fault of its own and saved nothing. Try again in a minute."
    retryable = True


def _may_be_saved(error: ServiceNowError) -> bool:
    cause = error.__cause__ if isinstance(error, AccessDenied) else None
    return error.may_have_been_saved or (isinstance(cause, AppError) and cause.may_have_been_saved)


def _left_behind(wanted: Subscription, attempt: FormResult, context: Context) -> Subscription | None:
    """The row that an earlier try of this form made, if any."""
    with rows_of(context) as rows:
        twins = rows.twins(wanted)
    since = _raw(attempt.stored_at - _CLOCK_MARGIN)
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
        context.grants.put(grant_of(stored, context, record_read=True))
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
