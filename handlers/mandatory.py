"""Columns that an instance demands and a form lacks: offered, looked up, read (spec §7.8)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from core.calls import Values
from core.errors import Refused
from core.records import Column
from core.times import EXAMPLE, NoMoment, stored
from forms.mandatory import DAYS, MOMENTS, NUMBERS, TRUTHS, can_be_shown
from handlers.context import Context
from handlers.reference_fields import PEOPLE, Find, finder, reference
from mattermost.markdown import escaped


def column_finder(context: Context, column: Column) -> Find:
    """What looks up the rows that *column* refers to, in whatever table."""
    if column.reference == "sys_user":
        return finder(context, PEOPLE[0])
    if column.reference == "sys_user_group":
        return finder(context, "assignment_group")
    return lambda words: context.servicenow.records.find(column.reference, words)


def read_mandatory(
    columns: Sequence[Column], values: Values, context: Context, problems: dict[str, str]
) -> dict[str, str]:
    """Raw values of demanded columns; what is missing or wrong goes to *problems*."""
    found: dict[str, str] = {}
    for column in columns:
        if not can_be_shown(column):
            continue
        value, problem = _value(column, values, context)
        if not value and not problem:
            problem = "ServiceNow demands this."
        if problem:
            problems[column.name] = problem
        else:
            found[column.name] = value
    return found


def refused_columns(refusal: Refused, columns: Mapping[str, Column], known: Collection[str]) -> list[str]:
    """Columns that a refusal names by their labels and that the form lacks: it can be shown with them."""
    wanted = {label.casefold() for label in refusal.labels}
    return [
        name
        for name, column in columns.items()
        if name not in known and column.label.casefold() in wanted and can_be_shown(column)
    ]


def not_shown_text(columns: Sequence[Column], table: str, values: Mapping[str, str], context: Context) -> str:
    """What no form of ours can ask for, with a link to ServiceNow's own form, filled in; "" for nothing."""
    hidden = [escaped(column.label, 60) for column in columns if not can_be_shown(column)]
    if not hidden:
        return ""
    address = context.links.new(table, values)
    return f"ServiceNow also demands {', '.join(hidden)}, which can't be filled in here: [use its own form]({address})."


def _value(column: Column, values: Values, context: Context) -> tuple[str, str]:
    typed = values.text(column.name).strip()
    if column.choices:
        fits = not typed or typed in {choice.value for choice in column.choices}
        return typed, "" if fits else "Choose one of the list."
    if column.reference:
        return reference(values.option(column.name), column_finder(context, column))
    if column.type in TRUTHS:
        return ("true" if values.flag(column.name) else "false"), ""
    if not typed:
        return "", ""
    if column.type in MOMENTS:
        account = context.account
        try:
            return stored(typed, account.identity.time_zone if account else ""), ""
        except NoMoment:
            return "", f"Write day and time like {EXAMPLE}."
    if column.type in DAYS:
        return _day(typed)
    if column.type in NUMBERS:
        number = typed.replace(".", "", 1).removeprefix("-")
        return typed, "" if number.isascii() and number.isdigit() else "Write a number."
    if column.max_length and len(typed) > column.max_length:
        return "", f"At most {column.max_length:,} characters fit here."
    return typed, ""


def _day(typed: str) -> tuple[str, str]:
    try:
        return date.fromisoformat(typed[: len("2026-11-24")]).isoformat(), ""
    except ValueError:
        return "", "Write a day like 2026-11-24."
