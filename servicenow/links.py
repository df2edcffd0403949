"""Addresses that people open, in the classic frame; every part encoded once (API reference §9.7)."""

from urllib.parse import quote


class ClassicLinks:
    """`core.ports.Links` for one instance."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def record(self, table: str, sys_id: str) -> str:
        return self._framed(f"{table}.do?sys_id={quote(sys_id, safe='')}")

    def list(self, table: str) -> str:
        return self._framed(f"{table}_list.do?sysparm_query=ORDERBYDESCsys_created_on")

    def _framed(self, target: str) -> str:
        return f"{self._origin}/nav_to.do?uri={quote(target, safe='')}"
