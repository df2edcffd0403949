"""Columns that an instance requires and a form lacks: looked up, read, and named if no field can hold them."""

from collections.abc import Collection, Mapping, Sequence

from core.records import Column
from core.upstream_errors import Refused
from forms.records.mandatory import DAYS, MOMENTS, NUMBERS, TRUTHS, can_be_shown
from handlers.context import Context
from handlers.form_reader import FormReader
from handlers.reference_fields import PEOPLE, Find, finder
from mattermost.markdown import escaped

_REQUIRED = "ServiceNow demands this."


def column_finder(context: Context, column: Column) -> Find:
    """The lookup of the rows that *column* refers to, in any table."""
    if column.reference == "sys_user":
        return finder(context, PEOPLE[0])
    if column.reference == "sys_user_group":
        return finder(context, "assignment_group")
    return lambda words: context.servicenow.records.find(column.reference, words)


def read_mandatory(form: FormReader, columns: Sequence[Column]) -> dict[str, str]:
    """The values of mandatory columns as ServiceNow stores them, without those that no field can hold."""
    return {column.name: _read(form, column) for column in columns if can_be_shown(column)}


def refused_columns(refusal: Refused, columns: Mapping[str, Column], known: Collection[str]) -> list[str]:
    """The columns that *refusal* names by their labels and that the form lacks but can show."""
    wanted = {label.casefold() for label in refusal.labels}
    return [
        name
        for name, column in columns.items()
        if name not in known and column.label.casefold() in wanted and can_be_shown(column)
    ]


def not_shown_text(context: Context, columns: Sequence[Column], table: str, values: Mapping[str, str]) -> str:
    """Names the columns that no field can hold and links to ServiceNow's own form, filled in. "" if there are none."""
    hidden = [escaped(column.label, 60) for column in columns if not can_be_shown(column)]
    if not hidden:
        return ""
    address = context.links.new(table, values)
    return f"ServiceNow also demands {', '.join(hidden)}, which can't be filled in here: [use its own form]({address})."


def _read(form: FormReader, column: Column) -> str:
    name = column.name
    if column.choices:
        return form.one_of(name, {choice.value for choice in column.choices}, required=_REQUIRED)
    if column.reference:
        return form.reference(name, column_finder(form.context, column), required=_REQUIRED)
    if column.type in TRUTHS:
        return "true" if form.flag(name) else "false"
    if column.type in MOMENTS:
        return form.moment(name, required=_REQUIRED)
    if column.type in DAYS:
        return form.day(name, required=_REQUIRED)
    if column.type in NUMBERS:
        return form.number(name, required=_REQUIRED)
    return form.text(name, most=column.max_length, required=_REQUIRED)
