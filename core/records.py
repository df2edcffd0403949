"""ServiceNow's data as the rest of us sees it: records, columns, people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """One column of a record: as stored (dates UTC, references sys_ids) and as the account reads it."""

    value: str = ""
    display_value: str = ""


@dataclass(frozen=True)
class Record:
    """One row. ``cells`` holds what was asked for and may be read; everything else reads as empty."""

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
    """One choice of a column; ``dependent_value`` is the value of the column it hangs on, or ""."""

    label: str
    value: str
    dependent_value: str = ""


@dataclass(frozen=True)
class Column:
    """What ``ui/meta`` says of a column. ``type`` is ServiceNow's: string, choice, reference …."""

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
    """The ServiceNow user behind a token. All "" when ServiceNow does not let it read itself."""

    sys_id: str = ""
    user_name: str = ""
    name: str = ""
    email: str = ""
    time_zone: str = ""
    language: str = ""

    @property
    def known(self) -> bool:
        return bool(self.sys_id)
