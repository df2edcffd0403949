"""The interface between the store and what reacts to writes, such as business rules."""

from dataclasses import dataclass
from typing import Protocol

from sandbox.servicenow.records.task_rules import Row


@dataclass
class Save:
    """
    One write.

    Args:
        operation: ``insert``, ``update`` or ``delete``.
        table: The row's class.
        row: The saved row. Before the write it can be changed. For a delete, the deleted row.
        previous: The row before the write. Empty on insert.
        journals: The added comments and work notes.
    """

    operation: str
    table: str
    row: Row
    previous: Row
    journals: Row
    user: str
    user_id: str


class WriteHooks(Protocol):
    """Called for every write."""

    def before(self, save: Save) -> None:
        """Called inside the write. Can change the row. Raises Refusal."""

    def after(self, save: Save) -> None:
        """Called after the write, outside the store's lock."""
