"""Look after one subscription: pause, resume, delete, send a test; by its buttons or typed with its id."""

import uuid
from dataclasses import replace

import structlog

from core.calls import Call, Reply, ShowForm, Text
from core.errors import AccessDenied, InvalidInput, NotAccepted, NotFound, NotInstalled, ServiceNowError, StorageFailed
from core.menus import Requirement
from core.subscriptions import Status, Subscription
from forms.subscriptions_list import DELETE, PAUSE, RESUME, SEND_TEST, SHOW, confirm_form
from handlers.context import Context
from handlers.registry import calls
from handlers.subscriptions import open_edit, own_subscriptions, typed_id
from handlers.subscriptions_announcements import Description, announce, grant_of
from handlers.subscriptions_changing import update
from handlers.subscriptions_detail import channel_name, list_place, neighbour, show_detail, signed
from handlers.subscriptions_form import check_allowed, read_title
from handlers.subscriptions_list import back_to_list
from handlers.subscriptions_permissions import NotTheCreator, check_may_manage, rows_of
from handlers.subscriptions_text import place_word, subject

log = structlog.get_logger(__name__)


class NothingMatches(NotFound):
    """A test needs a record to be about."""

    user_message = (
        "No record matches this subscription yet, so there is nothing to test it with. "
        "Check its filter, or make a record that it is about."
    )


class NotYourTest(AccessDenied):
    """The component sends tests for a row's creator and for ServiceNow administrators."""

    user_message = "ServiceNow sends a test only for who made the subscription, or for a ServiceNow administrator."


class NoTests(NotInstalled):
    """The component is missing or of an older version."""

    user_message = (
        "The ServiceNow side is missing or of an older version, which can't send tests. "
        "Ask a Mattermost system administrator to run `/servicenow setup`."
    )


class NoKey(ServiceNowError):
    """The component has nothing to sign with for this server."""

    user_message = (
        "ServiceNow has no key for this Mattermost server yet, so no notices come from it. "
        "Ask a Mattermost system administrator to run `/servicenow setup`."
    )


@calls.submit(SHOW, needs=Requirement.CONNECTED)
def press(call: Call, context: Context) -> Reply:
    """What the buttons under one subscription do."""
    sys_id = str(call.state.get("sys_id", ""))
    ids = [str(one) for one in call.state.get("ids", ())]
    match call.values.text("action"):
        case "edit":
            return open_edit(call, context, sys_id)
        case "pause":
            return _shown(call, context, _paused(sys_id, context))
        case "resume":
            return _shown(call, context, _resumed(sys_id, context))
        case "test":
            return _shown(call, context, _tested(sys_id, context))
        case "delete":
            return _ask(call, context, sys_id)
        case "previous" | "next" as way:
            with rows_of(context) as rows:
                return show_detail(call, context, rows.get(neighbour(ids, sys_id, 1 if way == "next" else -1)))
        case "back":
            return back_to_list(call, context)
        case _:
            raise InvalidInput({}, "Press one of the buttons.")


@calls.submit(PAUSE, needs=Requirement.CONNECTED)
def pause(call: Call, context: Context) -> Reply:
    """Post nothing of it until it is resumed."""
    return Text(_paused(typed_id(call, context), context)[1])


@calls.submit(RESUME, needs=Requirement.CONNECTED)
def resume(call: Call, context: Context) -> Reply:
    """Post again, a broken one too, when the rights for it hold."""
    return Text(_resumed(typed_id(call, context), context)[1])


@calls.submit(SEND_TEST, needs=Requirement.CONNECTED)
def send_test(call: Call, context: Context) -> Reply:
    """Have ServiceNow report the newest record that it matches."""
    return Text(_tested(typed_id(call, context), context)[1])


@calls.submit(DELETE, needs=Requirement.CONNECTED)
def delete(call: Call, context: Context) -> Reply:
    """Ask first, whoever asks from wherever; then remove it, and tell its channel."""
    sys_id = str(call.state.get("sys_id", ""))
    if not sys_id:
        return _ask(call, context, typed_id(call, context))
    match call.values.text("action"):
        case "delete":
            return Text(_deleted(sys_id, str(call.state["form_id"]), context))
        case _:
            return Text("The subscription stays as it is.")


@calls.lookup(PAUSE, needs=Requirement.CONNECTED)
@calls.lookup(RESUME, needs=Requirement.CONNECTED)
@calls.lookup(SEND_TEST, needs=Requirement.CONNECTED)
@calls.lookup(DELETE, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """The person's own subscriptions."""
    return own_subscriptions(call, context)


def _shown(call: Call, context: Context, done: tuple[Subscription, str]) -> Reply:
    return show_detail(call, context, done[0], note=done[1])


def _get(sys_id: str, context: Context) -> tuple[Subscription, bool]:
    """It, and whether the person is its creator. Raises Gone, NotYours."""
    with rows_of(context) as rows:
        stored = rows.get(sys_id)
    return stored, check_may_manage(stored, context)


def _paused(sys_id: str, context: Context) -> tuple[Subscription, str]:
    stored, creator = _get(sys_id, context)
    after = replace(stored, status=Status.PAUSED, is_active=False, status_reason="")
    try:
        done = update(stored, after, context, creator=creator)
    except NotTheCreator:
        return stored, _stopped(stored, context)
    log.info("subscription paused", subscription=sys_id, person=context.person.id)
    return done, "Paused: nothing of it is posted until it is resumed."


def _resumed(sys_id: str, context: Context) -> tuple[Subscription, str]:
    stored, creator = _get(sys_id, context)
    context.mattermost.let_bot_in(stored.channel_id)
    if stored.record_id and read_title(stored, context) is None:
        raise InvalidInput({}, "You may not see its record any more, or it is gone: delete this subscription.")
    granted = context.stores.grants.get(sys_id)
    if creator or granted is None or not granted.same_as(stored):
        check_allowed(stored, context)
    after = replace(stored, status=Status.ACTIVE, is_active=True, status_reason="", filter_error="")
    done = update(stored, after, context, creator=creator, record_read=True)
    log.info("subscription resumed", subscription=sys_id, person=context.person.id)
    return done, "It is active: what changes from now on is posted."


def _tested(sys_id: str, context: Context) -> tuple[Subscription, str]:
    stored, _ = _get(sys_id, context)
    try:
        context.servicenow.subscriptions(context.settings.app_url).send_test(sys_id, uuid.uuid4().hex)
    except NotFound as error:
        raise NothingMatches(error.log_message) from error
    except NotInstalled as error:
        raise NoTests(error.log_message) from error
    except AccessDenied as error:
        raise NotYourTest(error.log_message) from error
    except NotAccepted as error:  # of any other 400 the component knows one
        raise NoKey(error.log_message) from error
    place = channel_name(stored.channel_id, context)
    return stored, f"A test is on its way to {place}: ServiceNow reports the newest record that it matches."


def _ask(call: Call, context: Context, sys_id: str) -> Reply:
    stored, _ = _get(sys_id, context)
    state = signed({**list_place(call.state), "sys_id": sys_id}, DELETE, call, context)
    about = subject(stored, read_title(stored, context), context)
    return ShowForm(confirm_form(about, place_word(stored.channel_id, context), state=state))


def _deleted(sys_id: str, form_id: str, context: Context) -> str:
    stored, creator = _get(sys_id, context)
    description = Description(subject(stored, read_title(stored, context), context))
    try:
        with rows_of(context) as rows:
            rows.delete(sys_id)
    except AccessDenied:
        if creator:
            raise
        return _stopped(stored, context)
    try:
        context.stores.grants.delete(sys_id)
    except StorageFailed as error:
        log.warning("grant of a deleted subscription stays", subscription=sys_id, reason=error.log_message)
    log.info("subscription deleted", subscription=sys_id, person=context.person.id)
    mark = f"{context.person.id}:{form_id}"
    problem = announce(stored, "removed a subscription of this {place}", description, mark, context)
    return f"Deleted: {description.subject}.{problem}"


def _stopped(stored: Subscription, context: Context) -> str:
    """An administrator of the channel may stop what ServiceNow lets only its creator change: we post no more of it."""
    granted = context.stores.grants.get(stored.sys_id)
    grant = granted or grant_of(stored, context, creator=False)
    reason = f"{context.display_name}, who administrates the channel, stopped it."
    context.stores.grants.put(replace(grant, status=Status.BROKEN.value, reason=reason, told_at=0.0))
    log.info("subscription stopped", subscription=stored.sys_id, person=context.person.id)
    return (
        "Stopped: nothing of it is posted here any more. Its row in ServiceNow stays, for only who made it or a "
        "ServiceNow administrator can remove that."
    )
