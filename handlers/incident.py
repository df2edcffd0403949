"""Create an incident: open the form, look people and groups up, submit once (spec §7)."""

import re
from collections.abc import Callable, Mapping, Sequence

from core.calls import Call, Options, Post, Reply, ShowForm, Text, Value, Values
from core.errors import InvalidInput, MattermostError, Refused, ServiceNowError, UnknownRequest
from core.fields import Option
from core.menus import Requirement
from forms.incident import (
    COLUMNS,
    DESCRIPTION_CHARACTERS,
    LOOKUPS,
    PATH,
    SELECTS,
    SHORT_DESCRIPTION_CHARACTERS,
    choices_of,
    incident_form,
)
from handlers.context import Context
from handlers.creating import created_once
from handlers.lookups import Lookups
from handlers.opened import Opened
from handlers.registry import calls
from mattermost.markdown import first_words, visible

TABLE = "incident"

_SYS_ID = re.compile(r"[0-9a-f]{32}")
_lookups = Lookups()


@calls.form(PATH, needs=Requirement.CONNECTED)
def open_form(call: Call, context: Context) -> Reply:
    """Open the form, prefilled from the message on whose menu it was chosen."""
    values = dict(call.values)
    if call.post is not None:
        if not visible(call.post.message) or call.post.type.startswith("system_"):
            return Text(
                "This message has no text to make an incident from. "
                "Use `/servicenow incident create`, or choose another message."
            )
        values |= _from_message(call, call.post, context)
    return _show(call, context, Values(values))


@calls.refresh(PATH, needs=Requirement.CONNECTED)
def refresh(call: Call, context: Context) -> Reply:
    """Build the form again; everything entered stays, but a subcategory of another category."""
    return _show(call, context, call.values, caller_default=False)


@calls.lookup(PATH, needs=Requirement.CONNECTED)
def look_up(call: Call, context: Context) -> Reply:
    """Offer callers, groups or configuration items that match what was typed."""
    find = _finder(context, call.selected_field)
    return Options(_lookups.run(call.person.id, call.selected_field, call.query, find))


@calls.submit(PATH, needs=Requirement.CONNECTED)
def create(call: Call, context: Context) -> Reply:
    """Create the incident as the person who asked; answer with its link, show its card."""
    opened = Opened.of(call)
    if not call.state and not visible(call.values.text("short_description")):
        # A command: the client opens no modal for what is missing, so we do, with what was typed.
        return _show(call, context, call.values)
    columns = _columns(call, context)
    columns["correlation_id"] = opened.form_id
    try:
        text = created_once(TABLE, columns, opened, context)
    except Refused as refusal:
        raise _at_its_field(refusal, context) from refusal
    return Text(text)


def _show(call: Call, context: Context, values: Values, caller_default: bool = True) -> ShowForm:
    entered: dict[str, Value] = dict(values)
    for name in LOOKUPS:
        option = values.option(name)
        if option and not _SYS_ID.fullmatch(option.value):
            del entered[name]  # typed in a command, and no reference yet
    account = context.account
    if caller_default and "caller_id" not in entered and account is not None and account.identity.known:
        entered["caller_id"] = account.identity.option
    form = incident_form(
        context.servicenow.columns(TABLE),
        Values(entered),
        state=Opened.of(call).signed(PATH, context),
        caller_optional=context.settings.caller_optional,
    )
    return ShowForm(form)


def _from_message(call: Call, post: Post, context: Context) -> dict[str, str]:
    """The message whole, with who wrote it and where it stands; its first words as the title."""
    team = f"/{call.team_name}" if call.team_name else "/_redirect"
    address = f"{context.settings.mattermost_url}{team}/pl/{post.id}"
    try:
        source = f"Mattermost message of @{context.mattermost.username(post.user_id)}: {address}"
    except MattermostError:
        source = f"Mattermost message: {address}"
    room = DESCRIPTION_CHARACTERS - len(source) - 2
    message = post.message if len(post.message) <= room else post.message[: room - 1] + "…"
    return {
        "short_description": first_words(post.message, SHORT_DESCRIPTION_CHARACTERS),
        "description": f"{message}\n\n{source}",
    }


def _finder(context: Context, name: str) -> Callable[[str], Sequence[Option]]:
    match name:
        case "caller_id":
            return context.servicenow.find_users
        case "assignment_group":
            return context.servicenow.find_groups
        case "cmdb_ci":
            return context.servicenow.find_configuration_items
        case _:
            raise UnknownRequest(f"no look-up for field {name[:60]!r}")


def _columns(call: Call, context: Context) -> dict[str, str]:
    """What is sent to ServiceNow: checked, raw values, empty ones left out."""
    problems: dict[str, str] = {}
    columns: dict[str, str] = {}
    short_description = " ".join(call.values.text("short_description").split())
    description = call.values.text("description").strip()
    if not visible(short_description):
        problems["short_description"] = "Say in a few words what is wrong."
    if len(short_description) > SHORT_DESCRIPTION_CHARACTERS:
        problems["short_description"] = f"At most {SHORT_DESCRIPTION_CHARACTERS} characters fit here."
    if len(description) > DESCRIPTION_CHARACTERS:
        problems["description"] = f"At most {DESCRIPTION_CHARACTERS:,} characters fit here."
    columns |= {"short_description": short_description, "description": description}
    known = context.servicenow.cached_columns(TABLE)
    for name in SELECTS:
        chosen = call.values.text(name)
        allowed = {option.value for option in choices_of(known, name, call.values.text("category"))}
        if chosen and allowed and chosen not in allowed:
            problems[name] = "Choose one of the list."
        columns[name] = chosen[:40]
    for name in LOOKUPS:
        columns[name], problem = _reference(call.values.option(name), _finder(context, name))
        if problem:
            problems[name] = problem
    account = context.account
    if not call.state and not columns["caller_id"] and account is not None:
        columns["caller_id"] = account.identity.sys_id  # a command names nobody: the person
    if not columns["caller_id"] and not context.settings.caller_optional and "caller_id" not in problems:
        problems["caller_id"] = "Choose whom this incident is for."
    if problems:
        raise InvalidInput(problems, _in_words(problems) if not call.state else None)
    return {name: value for name, value in columns.items() if value}


def _reference(option: Option | None, find: Callable[[str], Sequence[Option]]) -> tuple[str, str]:
    """The sys_id of a choice; text typed in a command must match exactly one."""
    if option is None:
        return "", ""
    if _SYS_ID.fullmatch(option.value):
        return option.value, ""
    found = find(option.value.strip())
    exact = [one for one in found if one.label.casefold() == option.value.strip().casefold()]
    match exact or list(found):
        case [one]:
            return one.value, ""
        case []:
            return "", "Nothing in ServiceNow matches this. Type two letters and choose from the list."
        case several:
            names = ", ".join(one.label for one in several[:5])
            return "", f"Several match: {names}. Choose one from the list."


def _at_its_field(refusal: Refused, context: Context) -> ServiceNowError | InvalidInput:
    """ServiceNow names mandatory fields by their labels; put each at the field that bears it."""
    meta = context.servicenow.cached_columns(TABLE)
    by_label = {column.label.casefold(): name for name, column in meta.items()} | _LABELS
    fields = {
        by_label[label.casefold()]: f"ServiceNow demands this: {label}."
        for label in refusal.labels
        if by_label.get(label.casefold()) in COLUMNS
    }
    return InvalidInput(fields, refusal.tell) if fields else refusal


_LABELS = {
    "short description": "short_description",
    "description": "description",
    "caller": "caller_id",
    "impact": "impact",
    "urgency": "urgency",
    "category": "category",
    "subcategory": "subcategory",
    "assignment group": "assignment_group",
    "configuration item": "cmdb_ci",
}


def _in_words(problems: Mapping[str, str]) -> str:
    """A command shows no field errors, only a line."""
    return " ".join(f"--{name}: {text}" for name, text in problems.items())
