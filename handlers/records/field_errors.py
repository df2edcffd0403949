"""Show ServiceNow's refusals at the fields they are about."""

from collections.abc import Collection

from core.errors import InvalidInput
from core.upstream_errors import Refused, ServiceNowError
from handlers.context import Context

# Labels of the base system. An instance's own labels take precedence.
_LABELS = {
    "short description": "short_description",
    "description": "description",
    "caller": "caller_id",
    "impact": "impact",
    "urgency": "urgency",
    "category": "category",
    "subcategory": "subcategory",
    "assignment group": "assignment_group",
    "assigned to": "assigned_to",
    "configuration item": "cmdb_ci",
    "resolution code": "close_code",
    "close code": "close_code",
    "close notes": "close_notes",
    "resolution notes": "close_notes",
    "on hold reason": "hold_reason",
    "cause notes": "cause_notes",
    "fix notes": "fix_notes",
    "comments": "comments",
    "additional comments": "comments",
    "justification": "justification",
    "planned start date": "start_date",
    "planned end date": "end_date",
    "risk": "risk",
}


def field_errors(
    context: Context, table: str, names: Collection[str], refusal: Refused
) -> ServiceNowError | InvalidInput:
    """
    The error to raise instead of *refusal*, which names mandatory columns by their labels.

    Each label becomes a problem at the field of *names* that has it. If none has it, the refusal itself is returned.
    """
    known = context.servicenow.cached_columns(table)
    own = {column.label.casefold(): name for name, column in known.items() if name in names}
    by_label = {label: name for label, name in _LABELS.items() if name in names} | own
    if table == "problem" and "resolution_code" in names:
        by_label["resolution code"] = "resolution_code"
    fields = {
        by_label[label.casefold()]: f"ServiceNow demands this: {label}."
        for label in refusal.labels
        if label.casefold() in by_label
    }
    return InvalidInput(fields, refusal.user_message) if fields else refusal
