"""Which records a subscription of a whole table is about, as people choose it in a form."""

from dataclasses import dataclass

PRIORITIES = ("1", "2", "3", "4", "5")  # critical … planning

# Journals and secrets are no values of the record.
UNFILTERABLE_TYPES = frozenset({"journal", "journal_input", "journal_list", "password", "password2"})

# Columns that the form asks for by name, where a table has them.
TASK_COLUMNS = ("priority", "assignment_group", "category", "cmdb_ci")
_COLUMNS = {
    "incident": TASK_COLUMNS,
    "problem": TASK_COLUMNS,
    "change_request": TASK_COLUMNS,
    "kb_knowledge": (),
}


@dataclass(frozen=True, kw_only=True)
class Filter:
    """
    All of these must hold; "" demands nothing.

    Args:
        priority: Values up to this one, such as ``2`` for critical and high.
        assignment_group, cmdb_ci: sys_ids.
        category: The choice's value.
        text: What the short description or the description contains.
        query: An encoded query, for what the rest can't say.
    """

    priority: str = ""
    assignment_group: str = ""
    category: str = ""
    cmdb_ci: str = ""
    text: str = ""
    query: str = ""

    def __bool__(self) -> bool:
        return self != Filter()


def columns_of(table: str) -> tuple[str, ...]:
    """The columns of *table* that the form asks for by name; those of a task for tables that we don't know."""
    return _COLUMNS.get(table, ("priority", "assignment_group", "cmdb_ci"))


def text_columns_of(table: str) -> tuple[str, ...]:
    """Where `Filter.text` is looked for."""
    return ("short_description",) if table == "kb_knowledge" else ("short_description", "description")
