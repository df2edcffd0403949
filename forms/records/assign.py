"""Assign a record to a person or a group."""

from dataclasses import replace

from core.calls import Values
from core.fields import Form
from forms.choices import group_lookup, lookup
from forms.records.record_lookup import record_flags, titled

PATH = "record/assign"
TO_ME_PATH = "record/mine"
PICK_TITLE = "Assign a record"
LOOKUPS = ("assigned_to", "assignment_group")

_TITLE = "Assign"
_PERSON_FLAG = replace(lookup("assigned_to", "Assigned to", "[me | @user]", Values()), position=2)
ASSIGN_FLAGS = record_flags(PATH, _TITLE, _PERSON_FLAG, group_lookup(Values()))


def assign_form(number: str, values: Values, *, state: str, header: str = "") -> Form:
    """*values* are the current person and group, or what was entered so far."""
    return Form(
        path=PATH,
        title=titled(_TITLE, number),
        header=header,
        submit_label="Assign",
        state=state,
        fields=[
            lookup("assigned_to", "Assigned to", "Name, user name or e-mail", values),
            group_lookup(values),
        ],
    )
