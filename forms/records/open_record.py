"""Open a record in ServiceNow: its link. Pure."""

from core.calls import Values
from core.fields import Form
from forms.records.record_lookup import pick_form, record_words_field

PATH = "record/open"
_TITLE = "Open a record"


def open_pick_form(header: str = "") -> Form:
    """Ask which record to open."""
    return pick_form(PATH, _TITLE, Values(), header=header)


def open_flags() -> Form:
    """What people can type after ``/servicenow open``: a number, or text with a number or keywords in it."""
    return Form(path=PATH, title=_TITLE, fields=[record_words_field()])
