"""Inspects and configures the component in ServiceNow with an administrator's own permissions."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.instance import AUTH_TABLE, OLD_VERSION, AuthRow, ComponentHealth, ForeignRow
from core.notices import WebhookKey
from core.subscriptions import TABLE
from core.upstream_errors import AccessDenied, Broken, NotFound, NotInstalled
from servicenow.queries import Query, equals, is_sys_id
from servicenow.table_api import TableApi, row_path, table_path

_API = "/api/x_830655_mm_std"
_MOST_ROWS = 20
# Encrypted columns are stored only from display values (API reference §1.4, update-set reference §3.4).
_WRITTEN = {
    "sysparm_input_display_value": "true",
    "sysparm_fields": "sys_id",
    "sysparm_exclude_reference_link": "true",
}
_SUBSCRIPTION = {
    "sys_id": "sys_id",
    "channel_id": "channel_id",
    "user_id": "user_id",
    "table": "record_type",
    "record_id": "record_id",
    "filter_query": "filter_query",
    "events": "subscription_events",
    "options": "options",
    "name": "name",
    "created_by": "sys_created_by",
}


class ComponentClient:
    """
    Our update set in ServiceNow, with one person's permissions. All methods raise the errors of `ServiceNowClient`.

    ``server_url`` is the URL that the component reports to.
    """

    def __init__(self, api: TableApi) -> None:
        self._api = api

    def version(self) -> str:
        """For example ``3.0.0``; ``2.1`` for the plugin's component, which doesn't tell; "" if nothing is installed."""
        try:
            return str(_result(self._api.get(f"{_API}/component/version", {})).get("version") or "")
        except NotInstalled:
            pass
        try:
            self._api.get(f"{_API}/getstates/incident", {})
        except NotInstalled:
            return ""
        except (AccessDenied, NotFound):
            pass  # it is installed, but this account has no access
        return OLD_VERSION

    def may_subscribe(self) -> bool:
        """Whether the person can read subscriptions. That takes our role or an administrator."""
        try:
            # Without access, the table would return no rows instead of an error.
            self._api.get(f"{_API}/component/columns/incident", {})
        except AccessDenied:
            return False
        except NotInstalled:
            return self._may_read_old()
        return True

    def auth_rows(self, server_url: str) -> Sequence[AuthRow]:
        """Oldest first. Raises AccessDenied for everyone except administrators."""
        try:
            self.health()  # denies access to all but administrators, who would otherwise see an empty table
        except NotInstalled:
            pass  # v2.1, whose table everyone with the role can read
        query = Query().where(equals("server_url", server_url)).order_by("sys_created_on")
        columns = ("sys_id", "server_url", "key_id", "api_secret")
        rows = self._api.rows(AUTH_TABLE, query, columns, _MOST_ROWS)
        return [
            AuthRow(
                sys_id=str(row["sys_id"]),
                key_id=str(row.get("key_id") or ""),
                old_secret=str(row.get("api_secret") or ""),
            )
            for row in rows
            # If ServiceNow drops the term, it returns rows of other servers.
            if row.get("server_url") == server_url and is_sys_id(str(row.get("sys_id")))
        ]

    def _may_read_old(self) -> bool:
        try:
            self._api.rows(TABLE, Query(), ("sys_id",), 1)
        except (AccessDenied, NotInstalled):
            return False
        return True

    def put_key(self, server_url: str, row: AuthRow | None, key: WebhookKey | None, old_secret: str) -> None:
        """
        Write the secrets that the component proves its identity with. If *row* is None, into a new row.

        Args:
            key: The key to sign with. None keeps the present one.
            old_secret: What a component of version 2.1 sends. "" keeps the present one.
        """
        columns = {"server_url": server_url}
        if key is not None:
            columns |= {"key_id": key.key_id, "signing_secret": key.secret}
        if old_secret:
            columns |= {"api_secret": old_secret}
        if row is None:
            self._api.write("POST", table_path(AUTH_TABLE), _WRITTEN, columns)
        else:
            self._api.write("PATCH", row_path(AUTH_TABLE, row.sys_id), _WRITTEN, columns)

    def send_test(self, server_url: str, nonce: str) -> None:
        """Make it send a report that contains *nonce* through its outbox. Administrators only."""
        self._api.post(f"{_API}/component/test", {"server_url": server_url, "nonce": nonce})

    def health(self) -> ComponentHealth:
        """Administrators only."""
        found = _result(self._api.get(f"{_API}/component/status", {}))
        return ComponentHealth(
            version=str(found.get("version") or ""),
            queued=_number(found.get("queued")),
            dead=_number(found.get("dead")),
            oldest_queued=str(found.get("oldest_queued") or ""),
            last_status=_number(found.get("last_status")),
            last_error=str(found.get("last_error") or ""),
        )

    def foreign_rows(self, server_url: str, limit: int) -> Sequence[ForeignRow]:
        """At most *limit* subscriptions of another server, in no particular order."""
        query = Query().where(equals("server_url", server_url)).order_by("sys_id")
        columns = ("server_url", *_SUBSCRIPTION.values())
        rows = self._api.rows(TABLE, query, columns, limit)
        return [
            ForeignRow(**{name: str(row.get(column) or "") for name, column in _SUBSCRIPTION.items()})
            for row in rows
            if row.get("server_url") == server_url and is_sys_id(str(row.get("sys_id")))
        ]

    def move(self, sys_id: str, server_url: str) -> None:
        """Have a subscription reported to *server_url* from now on."""
        if not is_sys_id(sys_id):
            raise NotFound("no sys_id")
        self._api.update(TABLE, sys_id, {"server_url": server_url}, ("sys_id",))


def _result(content: Mapping[str, Any]) -> Mapping[str, Any]:
    result = content.get("result")
    if not isinstance(result, dict):
        raise Broken("component: no object")
    return result


def _number(value: Any) -> int:
    return int(value) if str(value).isascii() and str(value).isdecimal() else 0
