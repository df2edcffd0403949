"""The definitions of tables and columns (API reference §5.1)."""

from dataclasses import dataclass, field


@dataclass
class Column:
    """A column. ``type`` is ServiceNow's internal type; ``reference`` is the table it points to."""

    name: str
    label: str
    type: str = "string"
    reference: str = ""
    max_length: int = 40
    mandatory: bool = False
    default: str = ""
    choices: str = ""  # the table whose choices it uses


@dataclass
class Table:
    """A table. ``display`` is its display column; numbers begin after ``counter``."""

    name: str
    label: str
    extends: str = ""
    prefix: str = ""
    display: str = "name"
    columns: dict[str, Column] = field(default_factory=dict)
    counter: int = 10_000


def columns(*wanted: Column) -> dict[str, Column]:
    """Columns by name."""
    return {column.name: column for column in wanted}


def plain(names: str) -> dict[str, Column]:
    """Ordinary text columns with labels derived from their names."""
    return {name: Column(name, name.replace("_", " ").capitalize()) for name in names.split()}


def integer(name: str, label: str, default: str = "0") -> Column:
    """An integer column."""
    return Column(name, label, "integer", default=default)


def boolean(name: str, label: str, default: str) -> Column:
    """A boolean column, ``true`` or ``false``."""
    return Column(name, label, "boolean", default=default)


def date_time(name: str, label: str) -> Column:
    """A date and time column in UTC."""
    return Column(name, label, "glide_date_time")


def choice(name: str, label: str, table: str, default: str = "", kind: str = "integer") -> Column:
    """A column with choices."""
    return Column(name, label, kind, default=default, choices=table)


def reference(name: str, label: str, table: str) -> Column:
    """A column that holds the sys_id of a row of *table*."""
    return Column(name, label, "reference", table, 32)


def person(name: str, label: str) -> Column:
    """A reference to a user."""
    return reference(name, label, "sys_user")


def audit() -> dict[str, Column]:
    """The columns of every table."""
    return columns(
        Column("sys_id", "Sys ID", "GUID", max_length=32),
        date_time("sys_created_on", "Created"),
        Column("sys_created_by", "Created by"),
        date_time("sys_updated_on", "Updated"),
        Column("sys_updated_by", "Updated by"),
        integer("sys_mod_count", "Updates"),
    )


def domain() -> dict[str, Column]:
    """The domain columns. ``global`` is a reference without a row (recorded)."""
    return columns(
        Column("sys_domain", "Domain", "reference", "sys_user_group", 32, default="global"),
        Column("sys_domain_path", "Domain Path", default="/"),
    )
