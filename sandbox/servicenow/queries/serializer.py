"""Formats rows as the Table API does: raw values, display values, or both (API reference §1.3)."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.servicenow.auth.access_control import AccessControl, Caller
from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.tables.schema import Column

_UNKNOWN_WHEN_UNSET = "due_date"  # SLA and activity times
_TIMES = {"glide_date_time", "due_date"}
_JOURNALS = {"journal_input", "journal_list"}
_SECRETS = {"password2": "Ch9sandboxciphertext", "password": "********"}  # encrypted, hashed


class RowSerializer:
    """
    The format of one request.

    Args:
        base: Origin and versioned path of links, such as ``http://127.0.0.1:8081/api/now/v2``.
        mode: ``false``, ``true`` or ``all``.
        links: Whether references have a link.
    """

    def __init__(
        self, store: Store, access_control: AccessControl, caller: Caller, base: str, mode: str, links: bool
    ) -> None:
        self._store = store
        self._access_control = access_control
        self._caller = caller
        self._base = base
        self._mode = mode
        self._links = links
        self._unseen: dict[str, frozenset[str]] = {}
        self._labels: dict[tuple[str, str], dict[str, str]] = {}
        self._zone = ZoneInfo(caller.time_zone)

    def row(self, table: str, row: Row, fields: Collection[str] = (), stripped: str = "") -> dict[str, Any]:
        """
        The row with *fields*, or with all columns if it is empty.

        Omits unknown columns, those that the user can't read, and *stripped*.
        """
        shaped = {}
        for name in fields or self._store.columns(table):
            found = self._walk(table, row, name)
            if found is not None and name != stripped:
                shaped[name] = self._cell(*found)
        return shaped

    def text(self, table: str, row: Row, name: str) -> str:
        """A column as pages show it."""
        found = self._walk(table, row, name)
        if found is None:
            return ""
        column, value, at = found
        if column.type == "reference":
            return self._store.display(column.reference, value) if value else ""
        return self._display(column, value, at)

    def _walk(self, table: str, row: Row, path: str) -> tuple[Column, str, Row] | None:
        """The column at the end of a dot-walk, its raw value, and its row."""
        name, _, rest = path.partition(".")
        column = self._store.columns(table).get(name)
        if column is None or name in self._hidden(table):
            return None
        value = row.get(name, "")
        if not rest:
            return column, value, row
        if self._store.column(table, path) is None:
            return None
        target = self._store.find(column.reference, value) or {}
        return self._walk(column.reference, target, rest) if target else (Column(rest, rest), "", {})

    def _hidden(self, table: str) -> frozenset[str]:
        """Computed once per request, because ACLs may be scripts."""
        if table not in self._unseen:
            self._unseen[table] = self._access_control.hidden(self._caller, table)
        return self._unseen[table]

    def _cell(self, column: Column, value: str, row: Row) -> Any:
        if column.type == "reference" and value:
            return self._reference(column.reference, value)
        if column.type == "document_id" and value and row.get("source_table"):
            return self._reference(row["source_table"], value)
        if column.type == "wiki_text" and not value and self._mode == "false":
            return None  # recorded
        if column.type in _SECRETS and value:
            value = _SECRETS[column.type]
        if self._mode == "false":
            return value
        shown = self._display(column, value, row)
        if self._mode == "true":
            return shown
        # An unset choice is null next to its value, and empty text alone (both recorded).
        return {"display_value": None if column.choices and not value else shown, "value": value}

    def _reference(self, table: str, value: str) -> Any:
        """Keys in the recorded order: display_value, link, value."""
        if not self._links and self._mode != "all":
            return value if self._mode == "false" else self._store.display(table, value)
        cell = {}
        if self._mode != "false":
            cell["display_value"] = self._store.display(table, value)
        if self._links:
            cell["link"] = f"{self._base}/table/{table}/{value}"
        if self._mode != "true":
            cell["value"] = value
        return cell

    def _display(self, column: Column, value: str, row: Row) -> str:
        """The display value."""
        if column.type in _SECRETS and value:
            return _SECRETS[column.type]
        if column.choices:
            table = row.get("sys_class_name") or ""
            return self._choices(table if table in self._store.tables else column.choices, column.name).get(
                value, value
            )
        if column.type in _JOURNALS:
            return self._journal(column, row)
        if column.type == _UNKNOWN_WHEN_UNSET and not value:
            return "UNKNOWN"
        if column.type in _TIMES and value:
            return self.local(value)
        if column.type == "glide_duration" and value:
            return duration(value)
        if column.type == "sys_class_name" and value in self._store.tables:
            return self._store.tables[value].label
        if column.type == "glide_list" and value:
            return ", ".join(self._store.display("sys_user", one) for one in value.split(","))
        if column.type == "price" and value:
            return f"${float(value):,.2f}"
        if column.type == "integer" and value.isdigit():
            return f"{int(value):,}"
        return value

    def _choices(self, table: str, element: str) -> dict[str, str]:
        found = self._labels.get((table, element))
        if found is None:
            rows = self._store.choices(table, element, self._caller.language)
            found = self._labels[table, element] = {row["value"]: row["label"] for row in rows}
        return found

    def _journal(self, column: Column, row: Row) -> str:
        """Entries newest first, each with a heading and followed by an empty line (API reference §5.6)."""
        wanted = [column.name] if column.type == "journal_input" else ["comments"]
        if column.type == "journal_list" and self._caller.itil:
            wanted.append("work_notes")
        return "".join(self.entry(entry) for entry in self._store.journal(row.get("sys_id", ""), *wanted))

    def entry(self, entry: Row) -> str:
        """One comment or work note with its heading, followed by an empty line."""
        label = self._store.columns(entry["name"])[entry["element"]].label
        heading = f"{self.local(entry['sys_created_on'])} - {self._name(entry['sys_created_by'])} ({label})"
        return f"{heading}\n{entry['value']}\n\n"

    def _name(self, user_name: str) -> str:
        users = self._store.rows("sys_user")
        return next((user["name"] for user in users if user["user_name"] == user_name), user_name)

    def local(self, value: str) -> str:
        """A raw time in the user's time zone."""
        try:
            at = datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            return value
        return at.astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S")


def duration(value: str) -> str:
    """The display value of a duration, which is stored as a time after 1970: ``1 Day 4 Hours 23 Minutes``."""
    try:
        at = datetime.strptime(value, "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return value
    whole = at - datetime(1970, 1, 1)
    hours, minutes = divmod(whole.seconds // 60, 60)
    parts = [(whole.days, "Day"), (hours, "Hour"), (minutes, "Minute")]
    shown = [f"{number} {unit}{'' if number == 1 else 's'}" for number, unit in parts if number]
    return " ".join(shown) or f"{whole.seconds} Seconds"


def instant(value: str, zone: ZoneInfo) -> str:
    """The raw value of a time in *zone*. Anything else doesn't change."""
    try:
        local = datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=zone)
    except ValueError:
        return value
    return local.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
