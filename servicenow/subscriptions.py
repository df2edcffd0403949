"""Reads and writes rows of the subscriptions table with one person's permissions."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.records import Column, Record
from core.subscriptions import TABLE, Cursor, Filter, Status, Subscription, SubscriptionFilter, tokens
from core.upstream_errors import Broken, NotFound, OldComponent
from servicenow import filters
from servicenow.queries import Query, at_or_after, compare, equals, is_sys_id
from servicenow.table_api import TableApi, record_from, row_path, table_path

_COLUMNS = (
    "sys_id", "name", "channel_id", "user_id", "server_url", "type", "record_type", "record_id", "filter_query",
    "subscription_events", "options", "is_active", "status", "status_reason", "filter_error",
    "sys_created_by", "sys_created_on", "sys_updated_by", "sys_updated_on",
)  # fmt: skip
_READ = {"sysparm_display_value": "false", "sysparm_exclude_reference_link": "true"}
_TEST = "/api/x_830655_mm_std/component/test"
_MOST_TWINS = 200


class SubscriptionsClient:
    """
    Subscriptions of one Mattermost server, with one person's permissions.

    Each method except `encode` and `decode` makes one request and raises the errors of `ServiceNowClient`:
    NotInstalled if the table is missing, AccessDenied without the role, and NotFound if there is no such row or it
    belongs to another server.

    Args:
        server_url: Of our Mattermost server. Rows of other servers are ignored.
    """

    def __init__(self, api: TableApi, server_url: str) -> None:
        self._api = api
        self._server_url = server_url

    def insert(self, subscription: Subscription) -> Subscription:
        """
        Insert it and return it as stored. If a `may_have_been_saved` error is raised, look for `twins`.

        Raises:
            OldComponent: The table lacks columns. Delete the inserted row, whose sys_id the error has.
        """
        content = self._api.write("POST", table_path(TABLE), self._fields(), self._row(subscription))
        row = _row_of(content)
        stored = _subscription(row)
        if "filter_query" not in row or "status" not in row:
            raise OldComponent("columns of the current component are missing", stored.sys_id)
        return stored

    def get(self, sys_id: str) -> Subscription:
        """Read one subscription."""
        row = _row_of(self._api.get(self._address(sys_id), self._fields()))
        if row.get("server_url") != self._server_url:
            raise NotFound("a subscription of another Mattermost server")
        return _subscription(row)

    def update(self, before: Subscription, after: Subscription) -> Subscription:
        """Send the columns that differ. Without a difference, nothing is sent."""
        old, new = self._row(before), self._row(after)
        changes = {column: value for column, value in new.items() if value != old[column]}
        if not changes:
            return before
        content = self._api.write("PATCH", self._address(before.sys_id), self._fields(), changes)
        return _subscription(_row_of(content))

    def delete(self, sys_id: str) -> None:
        """Delete the row. No error if it is already gone. Raises AccessDenied if the person may not."""
        try:
            self._api.write("DELETE", self._address(sys_id), {})
        except NotFound:
            return  # already deleted

    def twins(self, subscription: Subscription) -> Sequence[Subscription]:
        """Subscriptions with the same channel, table, record and filter, in any status, oldest first; itself too."""
        query = (
            Query()
            .where(equals("server_url", self._server_url))
            .where(equals("channel_id", subscription.channel_id))
            .where(equals("record_type", subscription.table))
            .order_by("sys_created_on")
            .order_by("sys_id")
        )
        found = [_subscription(row) for row in self._api.rows(TABLE, query, _COLUMNS, _MOST_TWINS)]
        same = [one for one in found if one.same_as(subscription)]
        return sorted(same, key=lambda one: (one.created_on, one.sys_id))

    def page(
        self, wanted: SubscriptionFilter, limit: int, *, beyond: Cursor | None = None, back: bool = False
    ) -> list[Subscription]:
        """
        At most *limit* subscriptions after *beyond*, newest first. Fewer than *limit* means that there are no more.

        With *back*, those before *beyond*, nearest (oldest) first.
        """
        base = Query().where(equals("server_url", self._server_url))
        columns = {"user_id": wanted.user_id, "channel_id": wanted.channel_id, "record_type": wanted.table}
        for column, value in columns.items():
            if value:
                base = base.where(equals(column, value))
        query = base
        if beyond is not None:
            operator = ">" if back else "<"
            same_second = base.where(equals("sys_created_on", beyond.created_on))
            query = base.where(compare("sys_created_on", operator, beyond.created_on)).or_else(
                same_second.where(compare("sys_id", operator, beyond.sys_id))
            )
        query = query.order_by("sys_created_on", descending=not back).order_by("sys_id", descending=not back)
        return [_subscription(row) for row in self._api.rows(TABLE, query, _COLUMNS, limit)]

    def encode(self, wanted: Filter, table: str, columns: Mapping[str, Column]) -> str:
        """
        The encoded query of a filter on *table*, at most 4,000 characters. No request.

        Raises:
            InvalidInput: A part can't be accepted; contains sentences for the form's fields.
        """
        return filters.encode(wanted, table, columns)

    def decode(self, filter_query: str, table: str) -> Filter:
        """The part of a stored query that the form has fields for. Never raises."""
        return filters.decode(filter_query, table)

    def changed(self, subscription: Subscription, since: float, limit: int, *, created: bool) -> Sequence[Record]:
        """Records that match and changed (or were *created*) at or after *since*, newest first."""
        query = filters.parse(subscription.filter_query, None)
        if subscription.record_id:
            query = query.where(equals("sys_id", subscription.record_id))
        when = "sys_created_on" if created else "sys_updated_on"
        query = query.where(at_or_after(when, since)).order_by(when, descending=True)
        columns = ("sys_id", "number", "short_description")
        rows = self._api.rows(subscription.table, query, columns, limit)
        return [record_from(subscription.table, row) for row in rows]

    def send_test(self, sys_id: str, nonce: str) -> None:
        """
        Make the component report the newest matching record, marked with *nonce*.

        Raises:
            NotFound: No record matches.
            AccessDenied: The account is neither the creator's nor an administrator's.
        """
        body = {"server_url": self._server_url, "nonce": nonce, "subscription": sys_id}
        self._api.write("POST", _TEST, {}, body)

    @staticmethod
    def _fields() -> dict[str, str]:
        return {**_READ, "sysparm_fields": ",".join(_COLUMNS)}

    @staticmethod
    def _address(sys_id: str) -> str:
        if not is_sys_id(sys_id):
            raise NotFound("no sys_id")
        return row_path(TABLE, sys_id)

    def _row(self, subscription: Subscription) -> dict[str, str]:
        return {
            "name": subscription.name,
            "channel_id": subscription.channel_id,
            "user_id": subscription.user_id,
            "server_url": self._server_url,
            "type": "record" if subscription.record_id else "object",
            "record_type": subscription.table,
            "record_id": subscription.record_id,
            "filter_query": subscription.filter_query,
            "subscription_events": ",".join(subscription.events),
            "options": ",".join(subscription.options),
            "is_active": "true" if subscription.is_active else "false",
            "status": subscription.status.value,
            "status_reason": subscription.status_reason,
            "filter_error": subscription.filter_error,
        }


def _row_of(content: Any) -> dict[str, Any]:
    row = content.get("result") if isinstance(content, dict) else None
    if not isinstance(row, dict) or not is_sys_id(str(row.get("sys_id") or "")):
        raise Broken("subscription answered without a row")
    return row


def _subscription(row: Mapping[str, Any]) -> Subscription:
    """Columns that an older component lacks read as empty, which means the default."""
    text = {column: str(row.get(column) or "") for column in _COLUMNS}
    active = text["is_active"] == "true"
    status = Status(text["status"]) if text["status"] in set(Status) else Status.ACTIVE
    return Subscription(
        sys_id=text["sys_id"],
        name=text["name"],
        channel_id=text["channel_id"],
        user_id=text["user_id"],
        table=text["record_type"],
        record_id=text["record_id"] if text["type"] != "object" else "",
        filter_query=text["filter_query"],
        events=tokens(text["subscription_events"]),
        options=tokens(text["options"]),
        is_active=active,
        status=Status.PAUSED if status is Status.ACTIVE and not active else status,
        status_reason=text["status_reason"],
        filter_error=text["filter_error"],
        created_by=text["sys_created_by"],
        created_on=text["sys_created_on"],
        updated_by=text["sys_updated_by"],
        updated_on=text["sys_updated_on"],
    )
