"""Pause, resume, test and delete a subscription: by the buttons of its detail, or by commands with its id."""

import uuid
from dataclasses import replace

import structlog

from core.calls import Call, Reply, ShowForm, Text
from core.errors import InvalidInput, StorageFailed
from core.menus import Requirement
from core.subscriptions import Status, Subscription
from core.upstream_errors import AccessDenied, NotAccepted, NotFound, NotInstalled, ServiceNowError
from forms.subscriptions.list import DELETE, PAUSE, RESUME, SEND_TEST, SHOW, confirm_form
from handlers.context import Context
from handlers.registry import calls
from handlers.subscriptions.announcements import Description, announce, place_word
from handlers.subscriptions.change import update
from handlers.subscriptions.detail import show_detail
from handlers.subscriptions.form import open_stored
from handlers.subscriptions.list import back_to_list
from handlers.subscriptions.lookups import own_subscriptions, read_title, typed_id
from handlers.subscriptions.permissions import NotTheCreator, grant_of, managed, rows_of
from handlers.subscriptions.reader import check_allowed
from handlers.subscriptions.states import DetailState
from handlers.subscriptions.text import channel_text_of, subject

log = structlog.get_logger(__name__)


class NothingMatches(NotFound):
    """A test needs a record to be about."""

    user_message = (
        "No record matches this subscription yet, so there is nothing to test it with. "
        "Check its filter, or make a record that it is about."
    )


class TestDenied(AccessDenied):
    """The component sends tests for a row's creator and for ServiceNow administrators."""

    user_message = "ServiceNow sends a test only for who made the subscription, or for a ServiceNow administrator."


class NoTests(NotInstalled):
    """The component is missing or of an older version."""

    user_message = (
        "The ServiceNow side is missing or of an older version, which can't send tests. "
        "Ask a Mattermost system administrator to run `/servicenow setup`."
    )


class NoKey(ServiceNowError):
    """The component has no key to sign with for this server."""

    user_message = (
        "ServiceNow has no key for this Mattermost server yet, so no notices come from it. "
        "Ask a Mattermost system administrator to run `/servicenow setup`."
    )


@calls.submit(SHOW, needs=Requirement.CONNECTED)
def press(call: Call, context: Context) -> Reply:
    """Do what a button of the detail says."""
    state = DetailState.of(call)
    match call.values.text("action"):
        case "edit":
            return open_stored(call, context, state.sys_id)
        case "pause":
            stored, note = _pause(context, state.sys_id)
        case "resume":
            stored, note = _resume(context, state.sys_id)
        case "test":
            stored, note = _test(context, state.sys_id)
        case "delete":
            return _confirm(call, context, state.sys_id)
        case "previous" | "next" as way:
            with rows_of(context) as rows:
                stored, note = rows.get(state.neighbor(1 if way == "next" else -1)), ""
        case "back":
            return back_to_list(call, context)
        case _:
            raise InvalidInput({}, "Press one of the buttons.")
    return show_detail(call, context, stored, note=note)


@calls.submit(PAUSE, needs=Requirement.CONNECTED)
def pause(call: Call, context: Context) -> Reply:
    """Post nothing until it is resumed."""
    return Text(_pause(context, typed_id(call, context))[1])


@calls.submit(RESUME, needs=Requirement.CONNECTED)
def resume(call: Call, context: Context) -> Reply:
    """Post again if the person has the permissions, also if it is broken."""
    return Text(_resume(context, typed_id(call, context))[1])


@calls.submit(SEND_TEST, needs=Requirement.CONNECTED)
def send_test(call: Call, context: Context) -> Reply:
    """Have ServiceNow report the newest record that it matches."""
    return Text(_test(context, typed_id(call, context))[1])


@calls.submit(DELETE, needs=Requirement.CONNECTED)
def delete(call: Call, context: Context) -> Reply:
    """Ask for confirmation, then delete it and tell its channel."""
    state = DetailState.of(call)
    if not state.sys_id:
        return _confirm(call, context, typed_id(call, context))
    if call.values.text("action") == "delete":
        return Text(_delete(context, state))
    return Text("The subscription stays as it is.")


@calls.lookup(PAUSE, needs=Requirement.CONNECTED)
@calls.lookup(RESUME, needs=Requirement.CONNECTED)
@calls.lookup(SEND_TEST, needs=Requirement.CONNECTED)
@calls.lookup(DELETE, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer the person's own subscriptions."""
    return own_subscriptions(call, context)


def _pause(context: Context, sys_id: str) -> tuple[Subscription, str]:
    """The subscription as stored, and what was done; likewise below."""
    stored, creator = managed(context, sys_id)
    after = replace(stored, status=Status.PAUSED, is_active=False, status_reason="")
    try:
        paused = update(context, stored, after, creator=creator)
    except NotTheCreator:
        return stored, _stop(context, stored)
    log.info("subscription paused", subscription=sys_id, person=context.person.id)
    return paused, "Paused: nothing of it is posted until it is resumed."


def _resume(context: Context, sys_id: str) -> tuple[Subscription, str]:
    stored, creator = managed(context, sys_id)
    context.mattermost.let_bot_in(stored.channel_id)
    if stored.record_id and read_title(context, stored) is None:
        raise InvalidInput({}, "You may not see its record any more, or it is gone: delete this subscription.")
    granted = context.stores.grants.get(sys_id)
    if creator or granted is None or not granted.same_as(stored):
        check_allowed(context, stored)
    after = replace(stored, status=Status.ACTIVE, is_active=True, status_reason="", filter_error="")
    resumed = update(context, stored, after, creator=creator, record_read=True)
    log.info("subscription resumed", subscription=sys_id, person=context.person.id)
    return resumed, "It is active: what changes from now on is posted."


def _test(context: Context, sys_id: str) -> tuple[Subscription, str]:
    stored, _ = managed(context, sys_id)
    try:
        context.servicenow.subscriptions(context.settings.app_url).send_test(sys_id, uuid.uuid4().hex)
    except NotFound as error:
        raise NothingMatches(error.log_message) from error
    except NotInstalled as error:
        raise NoTests(error.log_message) from error
    except AccessDenied as error:
        raise TestDenied(error.log_message) from error
    except NotAccepted as error:  # the component answers 400 only if it has no key
        raise NoKey(error.log_message) from error
    place = channel_text_of(context, stored.channel_id)
    return stored, f"A test is on its way to {place}: ServiceNow reports the newest record that it matches."


def _confirm(call: Call, context: Context, sys_id: str) -> Reply:
    stored, _ = managed(context, sys_id)
    about = subject(context, stored, read_title(context, stored))
    state = DetailState.of(call).about(sys_id).signed(context, DELETE)
    return ShowForm(confirm_form(about, place_word(context, stored.channel_id), state=state))


def _delete(context: Context, state: DetailState) -> str:
    stored, creator = managed(context, state.sys_id)
    description = Description(subject(context, stored, read_title(context, stored)))
    try:
        with rows_of(context) as rows:
            rows.delete(state.sys_id)
    except AccessDenied:
        if creator:
            raise
        return _stop(context, stored)
    try:
        context.stores.grants.delete(state.sys_id)
    except StorageFailed as error:
        log.warning("grant of a deleted subscription stays", subscription=state.sys_id, reason=error.log_message)
    log.info("subscription deleted", subscription=state.sys_id, person=context.person.id)
    post_id = f"{context.person.id}:{state.form_id}"
    problem = announce(context, stored, "removed a subscription of this {place}", description, post_id)
    return f"Deleted: {description.subject}.{problem}"


def _stop(context: Context, stored: Subscription) -> str:
    """Stop its posts. A channel's administrator can do this even if ServiceNow protects the row."""
    granted = context.stores.grants.get(stored.sys_id)
    grant = granted or grant_of(context, stored, creator=False)
    reason = f"{context.display_name}, who administrates the channel, stopped it."
    context.stores.grants.put(replace(grant, status=Status.BROKEN.value, reason=reason, told_at=0.0))
    log.info("subscription stopped", subscription=stored.sys_id, person=context.person.id)
    return (
        "Stopped: nothing of it is posted here any more. Its row in ServiceNow stays, for only who made it or a "
        "ServiceNow administrator can remove that."
    )
