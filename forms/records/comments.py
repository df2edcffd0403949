"""Comments and work notes of a record: the latest entries, and a text area to add one."""

from core.calls import Values
from core.fields import AnyField, Form, MarkdownField, Option, SelectField, TextAreaField
from forms.choices import LONG_TEXT_CHARACTERS
from forms.records.record_lookup import pick_form, record_flags, titled

COMMENT = "record/comment"
NOTE = "record/note"
ELEMENT = {COMMENT: "comments", NOTE: "work_notes"}
ACTION = "action"
ADD, OLDER = "add", "older"
ADD_AS = "element"  # the journal column that an entry goes to

_TITLES = {COMMENT: "Comments on", NOTE: "Work notes on"}
_PICK_TITLES = {COMMENT: "Add a comment", NOTE: "Add a work note"}
_KINDS = (Option("Comment (the caller sees it)", "comments"), Option("Work note", "work_notes"))


def comments_form(
    path: str,
    number: str,
    entries: str,
    values: Values,
    *,
    work_notes: bool,
    older: bool,
    state: str,
    header: str = "",
) -> Form:
    """
    The form stays open after an entry is added.

    Args:
        path: `COMMENT` or `NOTE`.
        entries: Markdown of the entries shown.
        work_notes: Whether the account can read and therefore write work notes.
        older: Whether there are older entries to show.
    """
    fields: list[AnyField] = [MarkdownField(name="entries", label="So far", text=entries)]
    if path == COMMENT and work_notes:
        kind = values.text(ADD_AS) or "comments"
        fields.append(SelectField(name=ADD_AS, label="Add as", options=_KINDS, value=kind))
    # Not required by the form: the client would reject “Older” while the text area is empty.
    fields.append(_text(path, values))
    if older:
        buttons = [Option("Add", ADD), Option("Older", OLDER)]
        fields.append(SelectField(name=ACTION, label="What to do", options=buttons, value=ADD, buttons=True))
    title = titled(_TITLES[path], number)
    return Form(path=path, title=title, header=header, submit_label="Add", state=state, fields=fields)


def comments_pick_form(path: str, values: Values, header: str = "") -> Form:
    """Ask for the record. The text typed so far is kept."""
    return pick_form(path, _PICK_TITLES[path], header, values, _text(path, values))


def comments_flags(path: str) -> Form:
    """What people can type after ``/servicenow comment`` and ``note``."""
    text = TextAreaField(name=ELEMENT[path], label="Text", max_length=LONG_TEXT_CHARACTERS, position=-1)
    return record_flags(path, _PICK_TITLES[path], text)


def _text(path: str, values: Values) -> TextAreaField:
    name = ELEMENT[path]
    return TextAreaField(
        name=name,
        label="Comment" if path == COMMENT else "Work note",
        max_length=LONG_TEXT_CHARACTERS,
        value=values.text(name)[:LONG_TEXT_CHARACTERS],
    )
