"""What reacts to writes: business rules, without the store knowing them."""

from dataclasses import dataclass
from typing import Protocol

from sandbox.servicenow.records.task_rules import Row


@dataclass
class Save:
    """
    One write, for whoever reacts to it.

    Args:
        operation: ``insert``, ``update`` or ``delete``.
        table: The row's own class.
        row: As saved (before: as it will be; may be changed); of a delete, as it was.
        previous: As it was; empty on insert.
        journals: Comments and work notes that were given.
    """

    operation: str
    table: str
    row: Row
    previous: Row
    journals: Row
    user: str
    user_id: str


class Triggers(Protocol):
    """Told of every write."""

    def before(self, save: Save) -> None:
        """Inside the write. May change the row. Raises Refusal."""

    def after(self, save: Save) -> None:
        """When it is written, outside the store's lock."""
