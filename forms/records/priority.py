"""Change a record's priority through its impact and urgency."""

from collections.abc import Mapping

from core.calls import Values
from core.fields import Form
from core.records import Column
from forms.choices import choices_of, select
from forms.records.record_lookup import titled

PATH = "record/priority"
COLUMNS = ("impact", "urgency")


def priority_form(number: str, columns: Mapping[str, Column], values: Values, *, state: str, header: str = "") -> Form:
    impact = select("impact", "Impact", choices_of(columns, "impact"), values, required=True)
    urgency = select("urgency", "Urgency", choices_of(columns, "urgency"), values, required=True)
    return Form(
        path=PATH,
        title=titled("Priority of", number),
        header=header or "ServiceNow makes the priority of impact and urgency.",
        submit_label="Save",
        state=state,
        fields=[*impact, *urgency],
    )
