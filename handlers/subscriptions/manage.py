"""Pause, resume, test, and delete a subscription, with the buttons of its detail form or with commands."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from core.calls import Call, Reply, ShowForm, Text
from core.errors import InvalidInput, StorageFailed
from core.menus import Requirement
from core.subscriptions import Status, Subscription
from core.upstream_errors import AccessDenied, NotAccepted, NotFound, NotInstalled, ServiceNowError
from forms.subscriptions.list import DELETE, PAUSE, RESUME, SEND_TEST, SHOW, confirm_delete_form
from handlers.context import Context
from handlers.registry import calls
from handlers.subscriptions.announcements import Description, announce_subscription, place_word
from handlers.subscriptions.change import update
from handlers.subscriptions.detail import show_detail
from handlers.subscriptions.form import open_stored
from handlers.subscriptions.list import back_to_list
from handlers.subscriptions.lookups import own_subscriptions, read_title, typed_id
from handlers.subscriptions.permissions import NotTheCreator, new_grant, read_managed, rows_of
from handlers.subscriptions.reader import check_allowed
from handlers.subscriptions.states import DetailState
from handlers.subscriptions.text import channel_text_of, subject

log = structlog.get_logger(__name__)


class NothingMatches(NotFound):
    """No record matches the subscription, so there is nothing to send."""

    user_message = (
        "No record matches this subscription yet, so there is nothing to test it with. "
        "Check its filter, or make a record that it is about."
    )


class TestDenied(AccessDenied):
    """The component sends tests only for the row's creator and for ServiceNow administrators."""

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
    """Handle the buttons of the detail form."""
    state = DetailState.of(call)
    match call.values.text("action"):
        case "edit":
            return open_stored(call, context, state.sys_id)
        case "pause" | "resume" | "test" as action:
            stored, note = _ACTIONS[action](context, state.sys_id)
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


@calls.submit(PAUSE, RESUME, SEND_TEST, needs=Requirement.CONNECTED)
def run_command(call: Call, context: Context) -> Reply:
    """Pause, resume, or test the subscription that a command names."""
    action = _ACTIONS[call.path.rpartition("/")[2]]
    return Text(action(context, typed_id(call, context))[1])


@calls.submit(DELETE, needs=Requirement.CONNECTED)
def delete(call: Call, context: Context) -> Reply:
    """Ask for confirmation, then delete it and tell its channel."""
    state = DetailState.of(call)
    if not state.sys_id:
        return _confirm(call, context, typed_id(call, context))
    if call.values.text("action") == "delete":
        return Text(_delete(context, state))
    return Text("The subscription stays as it is.")


calls.lookup(PAUSE, RESUME, SEND_TEST, DELETE, needs=Requirement.CONNECTED)(own_subscriptions)


# The next three functions return the stored subscription and a sentence that says what was done.


def _pause(context: Context, sys_id: str) -> tuple[Subscription, str]:
    stored, creator = read_managed(context, sys_id)
    after = replace(stored, status=Status.PAUSED, is_active=False, status_reason="")
    try:
        paused = update(context, stored, after, creator=creator)
    except NotTheCreator:
        return stored, _stop_posts(context, stored)
    log.info("subscription paused", subscription=sys_id, person=context.person.id)
    return paused, "Paused: nothing of it is posted until it is resumed."


def _resume(context: Context, sys_id: str) -> tuple[Subscription, str]:
    """Also for a broken subscription, because the person's permissions are checked."""
    stored, creator = read_managed(context, sys_id)
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
    """Have ServiceNow report the newest record that the subscription matches."""
    stored, _ = read_managed(context, sys_id)
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


_ACTIONS: Mapping[str, Callable[[Context, str], tuple[Subscription, str]]] = {
    "pause": _pause,
    "resume": _resume,
    "test": _test,
}


def _confirm(call: Call, context: Context, sys_id: str) -> Reply:
    stored, _ = read_managed(context, sys_id)
    about = subject(context, stored, read_title(context, stored))
    state = DetailState.of(call).about(sys_id).signed(context, DELETE)
    return ShowForm(confirm_delete_form(about, place_word(context, stored.channel_id), state=state))


def _delete(context: Context, state: DetailState) -> str:
    stored, creator = read_managed(context, state.sys_id)
    description = Description(subject(context, stored, read_title(context, stored)))
    try:
        with rows_of(context) as rows:
            rows.delete(state.sys_id)
    except AccessDenied:
        if creator:
            raise
        return _stop_posts(context, stored)
    try:
        context.stores.grants.delete(state.sys_id)
    except StorageFailed as error:
        log.warning("grant of a deleted subscription stays", subscription=state.sys_id, reason=error.log_message)
    log.info("subscription deleted", subscription=state.sys_id, person=context.person.id)
    post_id = f"{context.person.id}:{state.form_id}"
    problem = announce_subscription(context, stored, "removed a subscription of this {place}", description, post_id)
    return f"Deleted: {description.subject}.{problem}"


def _stop_posts(context: Context, stored: Subscription) -> str:
    """Stop its posts with the grant, because ServiceNow doesn't let a channel's administrator change the row."""
    granted = context.stores.grants.get(stored.sys_id)
    grant = granted or new_grant(context, stored, creator=False)
    reason = f"{context.display_name}, who administrates the channel, stopped it."
    context.stores.grants.put(replace(grant, status=Status.BROKEN.value, reason=reason, told_at=0.0))
    log.info("subscription stopped", subscription=stored.sys_id, person=context.person.id)
    return (
        "Stopped: nothing of it is posted here any more. Its row in ServiceNow stays, for only who made it or a "
        "ServiceNow administrator can remove that."
    )
