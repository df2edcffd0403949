"""The form that adds a message, its thread and files to a record. Pure."""

from collections.abc import Sequence

from core.calls import Values
from core.fields import AnyField, Form, Option, SelectField, SwitchField
from forms.records.record_lookup import record_field

PATH = "message/add"

COMMENT, WORK_NOTE = "comments", "work_notes"
_KINDS = (
    Option("Work note (people with a role see it)", WORK_NOTE),
    Option("Comment (the caller sees it, too)", COMMENT),
)


def message_form(values: Values, *, messages: int, files: int, state: str) -> Form:
    """
    Build the form.

    Args:
        values: What was entered or found in the message; ``record`` holds the record that it names.
        messages: How many the thread has; one for a message alone.
        files: How many files the message or, where it has one, its thread has.
    """
    kind = values.text("kind")
    if kind not in {one.value for one in _KINDS}:
        kind = WORK_NOTE  # a chat is internal; telling the caller is a decision
    return Form(
        path=PATH,
        title="Add to record",
        submit_label="Add",
        state=state,
        fields=[
            record_field(values),
            SelectField(name="kind", label="Add as", options=_KINDS, value=kind, required=True),
            *thread_fields(values, messages=messages, files=files),
        ],
    )


def thread_fields(values: Values, *, messages: int, files: int) -> Sequence[AnyField]:
    """Switches for what else there is to take along; none where there is nothing."""
    fields: list[AnyField] = []
    if messages > 1:
        whole = values.flag("whole_thread")
        description = f"All {messages} messages, each with author, time and link."
        fields.append(SwitchField(name="whole_thread", label="The whole thread", description=description, value=whole))
    if files:
        description = "As attachments of the record."
        fields.append(
            SwitchField(
                name="files",
                label="Files too" if files > 1 else "The file too",
                description=description,
                value=values.flag("files") if "files" in values else True,
            )
        )
    return fields
