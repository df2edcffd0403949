"""ServiceNow's data as the rest of the app sees it: records, columns, people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """One column of a record: the stored value (dates in UTC, references as sys_ids) and what the account sees."""

    value: str = ""
    display_value: str = ""


@dataclass(frozen=True)
class Record:
    """One row. ``cells`` contains the requested columns that the account can read; others read as empty."""

    table: str
    sys_id: str
    cells: Mapping[str, Cell] = field(default_factory=dict)

    def value(self, column: str) -> str:
        """As stored: raw UTC dates, sys_ids, choice values."""
        return self.cells.get(column, Cell()).value

    def display(self, column: str) -> str:
        """In the account's language and time zone."""
        return self.cells.get(column, Cell()).display_value

    @property
    def number(self) -> str:
        return self.value("number")


@dataclass(frozen=True)
class Choice:
    """One choice of a column; ``dependent_value`` is the value of the column it depends on, or ""."""

    label: str
    value: str
    dependent_value: str = ""


@dataclass(frozen=True)
class Column:
    """A column as ``ui/meta`` describes it. ``type`` is ServiceNow's: string, choice, reference …."""

    name: str
    label: str
    type: str = "string"
    mandatory: bool = False
    max_length: int = 0
    reference: str = ""
    choices: Sequence[Choice] = ()
    read_only: bool = False


@dataclass(frozen=True)
class Identity:
    """The ServiceNow user of a token. All "" if the user can't read their own record."""

    sys_id: str = ""
    user_name: str = ""
    name: str = ""
    email: str = ""
    time_zone: str = ""
    language: str = ""

    @property
    def known(self) -> bool:
        return bool(self.sys_id)
