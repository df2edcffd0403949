"""Find a record and share its card with a channel or a person."""

from dataclasses import dataclass, replace

import structlog

from core.calls import Call, Channel, Reply, ShowForm, Text, Value, Values, is_mattermost_id
from core.errors import InvalidInput, MayNotPost
from core.fields import Option
from core.menus import Requirement
from core.records import Record
from core.tables import shared_tables
from core.upstream_errors import MattermostError, MattermostRefused, NotFound
from forms.records.record_lookup import RECORD, record_option
from forms.records.share import NOTE_CHARACTERS, PATH, share_form
from handlers.context import Context
from handlers.form_reader import FormReader
from handlers.form_state import FormState
from handlers.idempotency import Attempt, once
from handlers.records.cards import post_card_once
from handlers.records.record_lookup import (
    NoSuchRecord,
    look_up_records,
    requested_record,
    resolve_record,
    shared_table_names,
)
from handlers.records.record_updates import link_to
from handlers.registry import calls
from mattermost.cards import record_summary, record_title
from mattermost.markdown import escaped, quoted

log = structlog.get_logger(__name__)

_PREVIEWED = 4  # fields below the title, which a search in all tables returns as well


@dataclass(frozen=True, kw_only=True)
class ShareState(FormState):
    """``asked``: the form shows a preview of the record."""

    asked: bool = False


@dataclass(frozen=True)
class _Destination:
    """Where to post the card. *kind* is ``channel`` or ``person``."""

    kind: str
    target: Option


@calls.form(PATH, needs=Requirement.CONNECTED)
def open_form(call: Call, context: Context) -> Reply:
    """Open the form for the current channel."""
    return _show(call, context, call.values)


@calls.refresh(PATH, needs=Requirement.CONNECTED)
def refresh(call: Call, context: Context) -> Reply:
    """Clear the record when the type changes. Show a preview of the chosen record."""
    values = dict(call.values)
    if call.selected_field == "table":
        values.pop(RECORD, None)
    return _show(call, context, Values(values))


@calls.lookup(PATH, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer records of the chosen type, or of all."""
    chosen = call.values.text("table")
    names = shared_table_names(context)
    return look_up_records(call, context, [chosen] if chosen in names else names)


@calls.submit(PATH, needs=Requirement.CONNECTED)
def share(call: Call, context: Context) -> Reply:
    """Read the record again with the person's permissions, and post its card."""
    if not call.state:
        return _run_command(call, context)
    state = ShareState.of(call)
    chosen = call.values.option(RECORD) is not None
    if chosen and call.steps and not state.asked:
        return _show(call, context, call.values)  # the form was submitted before it showed the preview
    form = FormReader(call, context)
    if not chosen:
        form.refuse(RECORD, "Choose the record to share.")
    destination = _destination(form, state)
    note = form.text("note", most=NOTE_CHARACTERS)
    form.finish()

    def work(attempt: Attempt) -> Text:
        try:
            record = requested_record(call, context)
        except NotFound as error:
            raise InvalidInput({RECORD: error.user_message}, error.user_message) from error
        assert record is not None  # the field is filled
        attempt.set_record(record)
        text = _post(context, attempt, state, record, destination, note)
        log.info("record shared", table=record.table, sys_id=record.sys_id, person=context.person.id)
        return Text(text)

    return once(context, state.form_id, work)


def _run_command(call: Call, context: Context) -> Reply:
    """Open the form with the record that a command names."""
    if call.values.option(RECORD) is None:
        return _show(call, context, Values())
    try:
        record = requested_record(call, context)
    except NoSuchRecord as error:
        return _show(call, context, Values(), header=error.user_message)
    assert record is not None  # something was typed
    return _show(call, context, Values({RECORD: record_option(record)}), record=record)


def _show(call: Call, context: Context, values: Values, *, record: Record | None = None, header: str = "") -> ShowForm:
    entered: dict[str, Value] = dict(values)
    option = values.option(RECORD)
    preview = ""
    if option is not None:
        record = record or _preview_record(context, option)
        address = context.links.record(record.table, record.sys_id)
        preview = record_summary(record, address, _PREVIEWED)
    if "channel" not in entered and "person" not in entered and call.channel is not None:
        entered |= _current_channel(call.channel)
    form = share_form(
        shared_tables(context.settings.shared_tables),
        Values(entered),
        preview=preview,
        state=replace(ShareState.of(call), asked=bool(preview)).signed(context, PATH),
        header=header,
        steps=call.steps,
    )
    return ShowForm(form)


def _current_channel(channel: Channel) -> dict[str, Value]:
    """The current channel as the default, also a direct or group message, which clients don't list."""
    name = "This conversation" if channel.type in {"D", "G"} else channel.display_name or channel.name
    return {"channel": Option(name, channel.id)} if name and not channel.archived else {}


def _preview_record(context: Context, option: Option) -> Record:
    """The chosen record as the search found it, or read again if that is no longer cached."""
    table, _, sys_id = option.value.partition(".")
    return context.servicenow.records.found(table, sys_id) or resolve_record(context, option)


def _destination(form: FormReader, state: ShareState) -> _Destination:
    channel, person = form.values.option("channel"), form.values.option("person")
    if channel is not None and person is not None and channel.value != state.channel_id:
        form.refuse("person", "Choose a channel or a person, not both: clear one of them.")
    found = _Destination("person", person) if person else _Destination("channel", channel or Option("", ""))
    if not person and not channel:
        form.refuse("channel", "Choose a channel, or a person below.")
    elif not is_mattermost_id(found.target.value):  # a client can send anything
        form.refuse(found.kind, f"Choose a {found.kind} from the list.")
    return found


def _post(
    context: Context, attempt: Attempt, state: ShareState, record: Record, destination: _Destination, note: str
) -> str:
    kind, target = destination.kind, destination.target
    try:
        channel_id = context.mattermost.direct_channel(target.value) if kind == "person" else target.value
        here = channel_id == state.channel_id
        post_card_once(
            context,
            attempt,
            record,
            channel_id=channel_id,
            root_id=state.root_id if here else "",
            did="shared",
            message=quoted(note, NOTE_CHARACTERS) if note else "",
        )
    except MayNotPost as error:
        raise InvalidInput({kind: error.user_message}, f"{error.user_message} Nothing was shared.") from error
    except MattermostRefused as error:
        raise InvalidInput({kind: "Mattermost does not let you write there."}, error.user_message) from error
    where = escaped(_display_name(context, kind, target), 100)
    title = escaped(record_title(record).partition(": ")[2], 160)
    return f"Shared {link_to(context, record)} ({title}) with {where}."


def _display_name(context: Context, kind: str, target: Option) -> str:
    """The name of *target*. As the label of a person, clients send the login."""
    if kind == "person":
        try:
            return context.mattermost.display_name(target.value)
        except MattermostError as error:
            log.info("name not read", reason=error.log_message)
    return target.label
