"""Give a record to a person or a group. Pure."""

from dataclasses import replace

from core.calls import Values
from core.fields import Form
from forms.choices import lookup
from forms.records.record_lookup import pick_form, record_field, titled

PATH = "record/assign"
MINE = "record/mine"
LOOKUPS = ("assigned_to", "assignment_group")

_TITLE = "Assign"


def assign_form(number: str, values: Values, *, state: str, header: str = "") -> Form:
    """Build the form; *values* hold who and which group have it now, or what was entered so far."""
    return Form(
        path=PATH,
        title=titled(_TITLE, number),
        header=header,
        submit_label="Assign",
        state=state,
        fields=[
            lookup("assigned_to", "Assigned to", "Name, user name or e-mail", values),
            lookup("assignment_group", "Assignment group", "Two letters of its name", values),
        ],
    )


def assign_pick_form(path: str, values: Values, header: str = "") -> Form:
    """Ask which record is meant."""
    return pick_form(path, "Assign a record", values, header=header)


def assign_flags() -> Form:
    """What can be typed behind ``/servicenow assign``: a number, then ``me``, ``@user`` or a name."""
    person = lookup("assigned_to", "Assigned to", "[me | @user]", Values())
    group = lookup("assignment_group", "Assignment group", "Two letters of its name", Values())
    fields = [record_field(Values(), position=1, required=False), replace(person, position=2), group]
    return Form(path=PATH, title=_TITLE, fields=fields)
