"""Fields for columns that an instance requires and a form lacks, by their type."""

from collections.abc import Collection, Mapping, Sequence

from core.calls import Values
from core.fields import LABEL_BYTES, AnyField, DateField, SelectField, SwitchField, TextAreaField, TextField
from core.records import Column
from forms.choices import among, lookup, options_of

MOMENTS = ("glide_date_time",)
DAYS = ("glide_date", "due_date")
TRUTHS = ("boolean",)
NUMBERS = ("integer", "longint", "decimal", "float", "currency", "price")
_LINES = {"string": "text", "email": "email", "url": "url", "phone_number_e164": "tel", "ph_number": "tel"}
_AREAS = ("journal_input", "string_full_utf8", "translated_text", "html", "multi_two_lines")

# ServiceNow fills these in, even if its dictionary says that they are mandatory.
_FILLED = frozenset(
    {
        "number", "task_effective_number", "active", "state", "incident_state", "priority", "opened_by", "opened_at",
        "approval", "upon_approval", "upon_reject", "escalation", "made_sla", "knowledge", "reassignment_count",
        "reopen_count", "child_incidents", "severity", "notify", "type", "chg_model", "phase", "phase_state",
        "requested_by", "sys_class_name",
    }
)  # fmt: skip
_LONG_LINE = 255  # characters; longer columns get a text area
_MOST = 4000


def mandatory_columns(
    columns: Mapping[str, Column], known: Collection[str], also: Collection[str] = ()
) -> list[Column]:
    """
    Columns that are mandatory and not among the form's *known* ones.

    Args:
        also: Columns that a refusal showed to be mandatory, because of a data policy that the dictionary doesn't show.
    """
    return [
        column
        for name, column in columns.items()
        if name not in known
        and not column.read_only
        and (name in also or (column.mandatory and name not in _FILLED and not name.startswith("sys_")))
    ]


def can_be_shown(column: Column) -> bool:
    """Whether a form has a field for a column of this type."""
    if column.choices or column.reference:
        return True
    return column.type in {*_LINES, *_AREAS, *MOMENTS, *DAYS, *TRUTHS, *NUMBERS}


def mandatory_fields(columns: Sequence[Column], values: Values, labels: Collection[str]) -> list[AnyField]:
    """A field for each of *columns* that can be shown, with labels that differ from the form's own *labels*."""
    taken = set(labels)
    fields: list[AnyField] = []
    for column in columns:
        if can_be_shown(column):
            label = unique_label(column.label.strip() or column.name, taken)
            taken.add(label)
            fields.append(_field(column, label, values))
    return fields


def fitted(label: str, most: int = LABEL_BYTES) -> str:
    """*label* cut to a dialog's limit."""
    while len(label.encode()) > most:
        label = label[:-1]
    return label.strip()


def unique_label(label: str, taken: Collection[str]) -> str:
    """*label* cut to a dialog's limit, and numbered if it is *taken*."""
    found, number = fitted(label), 2
    while found in taken:
        found, number = f"{fitted(label, LABEL_BYTES - 3)} {number}", number + 1
    return found


def _field(column: Column, label: str, values: Values) -> AnyField:
    name = column.name
    if column.choices:
        options = options_of(column.choices)
        chosen = among(options, values.text(name))
        return SelectField(name=name, label=label, required=True, options=options, value=chosen)
    if column.reference:
        return lookup(name, label, "Type two letters", values, required=True)
    if column.type in TRUTHS:
        return SwitchField(name=name, label=label, value=values.flag(name))
    if column.type in {*MOMENTS, *DAYS}:
        timed = column.type in MOMENTS
        return DateField(name=name, label=label, required=True, time=timed, value=values.text(name))
    most = min(column.max_length or _LONG_LINE, _MOST)
    value = values.text(name)[:most]
    if column.type in _AREAS or most > _LONG_LINE:
        return TextAreaField(name=name, label=label, required=True, max_length=most, value=value)
    subtype = "number" if column.type in NUMBERS else _LINES[column.type]
    return TextField(name=name, label=label, required=True, max_length=most, value=value, subtype=subtype)
