"""URLs of records and lists for people, with every part encoded once (API reference §9.7)."""

from collections.abc import Mapping
from urllib.parse import quote

from core.tables import table_of

_PRESET_CHARACTERS = 500


class Links:
    """Links of one instance that open in the classic UI."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def record(self, table: str, sys_id: str) -> str:
        return self._framed(f"{table}.do?sys_id={quote(sys_id, safe='')}")

    def list(self, table: str) -> str:
        return self._framed(f"{table}_list.do?sysparm_query=ORDERBYDESCsys_created_on")

    def new(self, table: str, columns: Mapping[str, str]) -> str:
        """The form for a new record, filled with these raw values. Long values are cut, because URLs have a limit."""
        # `^` would start another preset and can't be escaped.
        presets = "^".join(
            f"{name}={' '.join(value.replace('^', ' ').split())[:_PRESET_CHARACTERS]}"
            for name, value in columns.items()
            if value.strip()
        )
        target = f"{table}.do?sys_id=-1" + (f"&sysparm_query={quote(presets, safe='')}" if presets else "")
        return self._framed(target)

    def _framed(self, target: str) -> str:
        return f"{self._origin}/nav_to.do?uri={quote(target, safe='')}"


class WorkspaceLinks(Links):
    """Links that open records in Service Operations Workspace. Lists and articles open in the classic UI."""

    def record(self, table: str, sys_id: str) -> str:
        if not table_of(table).is_task:
            return super().record(table, sys_id)
        return f"{self._origin}/now/sow/record/{quote(table, safe='')}/{quote(sys_id, safe='')}"


LINKS = {"classic": Links, "workspace": WorkspaceLinks}
