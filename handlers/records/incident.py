"""Create an incident."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from core.calls import Call, Options, Post, Reply, ShowForm, Text, Values, person_option
from core.menus import Requirement
from core.records import Column, Record
from core.upstream_errors import MattermostError, Refused
from forms.choices import LONG_TEXT_CHARACTERS, SHORT_TEXT_CHARACTERS, choices_of
from forms.records.incident import COLUMNS, LOOKUPS, PATH, SELECTS, incident_form
from forms.records.mandatory import mandatory_columns
from forms.records.message import thread_fields
from handlers.context import Context
from handlers.form_reader import FormReader
from handlers.idempotency import Attempt
from handlers.records.attach_thread import ThreadSource, attach_thread
from handlers.records.conversation import permalink
from handlers.records.create import create_record
from handlers.records.field_errors import field_errors
from handlers.records.mandatory import column_finder, not_shown_text, read_mandatory, refused_columns
from handlers.reference_fields import answer_lookup, finder, look_up_reference
from handlers.registry import calls
from handlers.subscriptions.create import subscribe_to_new
from mattermost.markdown import first_words, visible

TABLE = "incident"


@dataclass(frozen=True, kw_only=True)
class IncidentState(ThreadSource):
    """``also`` names the columns that this instance requires and the base form lacks."""

    also: tuple[str, ...] = ()


@calls.form(PATH, needs=Requirement.CONNECTED)
def open_form(call: Call, context: Context) -> Reply:
    """Open the form, filled in from the message if it was opened from a message's menu."""
    values = dict(call.values)
    if call.post is not None:
        if not visible(call.post.message) or call.post.type.startswith("system_"):
            return Text(
                "This message has no text to make an incident from. "
                "Use `/servicenow incident create`, or choose another message."
            )
        values |= _from_message(call, context, call.post)
    return _show(call, context, Values(values))


@calls.refresh(PATH, needs=Requirement.CONNECTED)
def refresh(call: Call, context: Context) -> Reply:
    """Rebuild the form. Everything entered is kept, except a subcategory of another category."""
    return _show(call, context, call.values, caller_default=False)


@calls.lookup(PATH, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer callers, groups, configuration items, or the rows of a mandatory column."""
    for column in _mandatory(context, IncidentState.of(call).also):
        if column.name == call.selected_field:
            return Options(answer_lookup(call, column_finder(context, column)))
    return Options(look_up_reference(call, context, LOOKUPS))


@calls.submit(PATH, needs=Requirement.CONNECTED)
def create(call: Call, context: Context) -> Reply:
    """Create the incident with the person's permissions, post its card and return its link."""
    state = IncidentState.of(call)
    mandatory = _mandatory(context, state.also)
    if not call.state and (not visible(call.values.text("short_description")) or mandatory):
        # The client opens no form for what a command lacks, so open it with what was typed.
        return _show(call, context, call.values)
    columns = _columns(call, context, mandatory)
    try:
        return create_record(context, state, TABLE, columns, _follow_up(call, context, state))
    except Refused as refusal:
        known = (*COLUMNS, *(column.name for column in mandatory))
        if call.steps and (also := refused_columns(refusal, context.servicenow.cached_columns(TABLE), known)):
            # The dictionary doesn't know this data policy: show the form again with its columns.
            return _show(call, context, call.values, caller_default=False, also=also, header=refusal.user_message)
        raise field_errors(context, TABLE, known, refusal) from refusal


def _follow_up(call: Call, context: Context, state: IncidentState) -> Callable[[Attempt, Record], str]:
    """Everything else that the form asks for. If it fails, the confirmation says so."""

    def follow_up(attempt: Attempt, record: Record) -> str:
        paragraphs = attach_thread(call, context, attempt, record)
        if call.values.flag("subscribe"):
            paragraphs.append(subscribe_to_new(context, record, state.channel_id, f"{state.form_id}-subscription"))
        return "".join(f"\n\n{one}" for one in paragraphs)

    return follow_up


def _mandatory(context: Context, also: Sequence[str]) -> list[Column]:
    """Columns that the dictionary requires and the form lacks, and *also* those that a data policy requires."""
    return mandatory_columns(context.servicenow.columns(TABLE), COLUMNS, also)


def _show(
    call: Call,
    context: Context,
    values: Values,
    caller_default: bool = True,
    also: Sequence[str] = (),
    header: str = "",
) -> ShowForm:
    state = IncidentState.counted(call, context)
    reader = FormReader(call, context, values)
    entered = dict(reader.resolved({name: finder(context, name) for name in LOOKUPS}))
    account = context.account
    if caller_default and "caller_id" not in entered and account is not None and account.identity.known:
        entered["caller_id"] = person_option(account.identity)
    mandatory = _mandatory(context, (*state.also, *also))
    names = tuple(column.name for column in mandatory)
    texts = {name: values.text(name) for name in ("short_description", "description")}
    form = incident_form(
        context.servicenow.columns(TABLE),
        Values(entered),
        state=replace(state, also=names).signed(context, PATH),
        caller_optional=context.settings.caller_optional,
        more=thread_fields(values, messages=state.messages, files=state.files),
        also=names,
        header=" ".join(filter(None, (header, reader.summary, not_shown_text(context, mandatory, TABLE, texts)))),
    )
    return ShowForm(form)


def _from_message(call: Call, context: Context, post: Post) -> dict[str, str]:
    """The first words of the message as the title, and all of it with its author and link as the description."""
    address = permalink(context, post.id, call.team_name)
    try:
        source = f"Mattermost message of @{context.mattermost.username(post.user_id)}: {address}"
    except MattermostError:
        source = f"Mattermost message: {address}"
    room = LONG_TEXT_CHARACTERS - len(source) - 2
    message = post.message if len(post.message) <= room else post.message[: room - 1] + "…"
    return {
        "short_description": first_words(post.message, SHORT_TEXT_CHARACTERS),
        "description": f"{message}\n\n{source}",
    }


def _columns(call: Call, context: Context, mandatory: Sequence[Column]) -> dict[str, str]:
    """The values to send to ServiceNow. Raises InvalidInput."""
    form = FormReader(call, context)
    columns = {
        "short_description": form.line(
            "short_description", most=SHORT_TEXT_CHARACTERS, required="Say in a few words what is wrong."
        ),
        "description": form.text("description", most=LONG_TEXT_CHARACTERS),
    }
    known, category = context.servicenow.columns(TABLE), call.values.text("category")
    columns |= {name: form.choice(name, choices_of(known, name, category)) for name in SELECTS}
    columns |= {name: form.reference(name, finder(context, name)) for name in LOOKUPS}
    columns |= read_mandatory(form, mandatory)
    if not call.state and not columns["caller_id"] and context.account is not None:
        columns["caller_id"] = context.account.identity.sys_id  # a command that names no caller
    if not columns["caller_id"] and not context.settings.caller_optional:
        form.refuse("caller_id", "Choose whom this incident is for.")
    form.finish()
    return {name: value for name, value in columns.items() if value}
