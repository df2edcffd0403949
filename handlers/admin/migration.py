"""
Migrate the plugin's subscriptions: their rows report to us from then on, and their creators get grants.

Rows are stored before they are moved, so that all of them can be moved back no matter what failed.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from core.accounts import Account
from core.errors import MayNotPost
from core.instance import ForeignRow
from core.records import Record
from core.subscriptions import TABLE, Grant
from core.upstream_errors import MattermostError, NotFound, ServiceNowError
from handlers.context import Context
from mattermost.markdown import escaped

log = structlog.get_logger(__name__)

AT_ONCE = 200  # subscriptions per button press; each takes a request to ServiceNow
_LEAST_SECONDS = 6.0  # needed to move another one and to answer
_SAVED_AS = "takeover"
_NAMED = 10
_COLUMNS = (
    "server_url", "channel_id", "user_id", "record_type", "record_id", "filter_query", "subscription_events", "options",
    "name", "sys_created_by",
)  # fmt: skip


@dataclass
class Outcome:
    """
    What one press did.

    Args:
        waiting: Number of subscriptions without a grant, by reason. Nothing of them is posted.
        left: Number of rows that were read and not moved. ``more`` says that others may not have been read.
        problem: Why it stopped early.
    """

    moved: int = 0
    granted: int = 0
    waiting: Counter[str] = field(default_factory=Counter)
    left: int = 0
    more: bool = False
    problem: str = ""

    @property
    def summary(self) -> str:
        """Markdown for the administrator."""
        lines = [f"**Taken over: {self.moved:,}**, of which {self.granted:,} go on as before."]
        lines += [f"- {count:,} wait: {reason}" for reason, count in self.waiting.most_common(_NAMED)]
        if (rest := len(self.waiting) - _NAMED) > 0:
            lines.append(f"- … and {rest} more such groups")
        if self.problem:
            lines.append(f"It stopped early: {self.problem}")
        if self.left or self.more:
            count = f"{self.left:,}" if not self.more else f"{self.left:,} of these, and perhaps others,"
            lines.append(f"{count} are left. Press **Take over** again to go on.")
        return "\n".join(lines)


def migrated(context: Context) -> Mapping[str, str]:
    """The migrated rows: the creators' ServiceNow user names by sys_id."""
    return dict(context.stores.settings.get(_SAVED_AS).get("rows", {}))


def waiting_count(context: Context) -> int:
    """How many migrated rows have no grant and therefore post nothing."""
    return sum(context.stores.grants.get(sys_id) is None for sys_id in migrated(context))


def migrate(context: Context) -> Outcome:
    """
    Move the rows that report to the plugin, and grant each one to its creator if possible.

    Raises:
        StorageFailed: Only rows that were stored were moved.
        ServiceNowError: The rows couldn't be read, so nothing was moved.
    """
    component, outcome = context.servicenow.component(), Outcome()
    rows = component.foreign_rows(context.settings.mattermost_url, AT_ONCE)
    noted = {**migrated(context), **{row.sys_id: row.created_by for row in rows}}
    context.stores.settings.put(_SAVED_AS, {"from": context.settings.mattermost_url, "rows": noted})
    granter = _Granter(context)
    for done, row in enumerate(rows):
        outcome.left = len(rows) - done
        if context.deadline.left() < _LEAST_SECONDS:
            break
        try:
            component.move(row.sys_id, context.settings.app_url)
        except NotFound:
            continue  # deleted since
        except ServiceNowError as error:
            log.warning("migration stopped", reason=error.log_message)
            outcome.problem = error.user_message
            break
        outcome.moved += 1
        granter.grant(row, outcome)
    else:
        outcome.left = 0
    if len(rows) == AT_ONCE and not outcome.problem:
        outcome.more = True
    log.info("migrated", by=context.person.id, moved=outcome.moved, granted=outcome.granted, left=outcome.left)
    return outcome


def grant_waiting(context: Context) -> Outcome:
    """Grant rows that wait, if their creators have connected or joined the channels since."""
    outcome, granter = Outcome(), _Granter(context)
    ungranted = [sys_id for sys_id in migrated(context) if context.stores.grants.get(sys_id) is None][:AT_ONCE]
    for record in context.servicenow.read_records(TABLE, ungranted, _COLUMNS).values():
        if record.value("server_url") == context.settings.app_url:
            granter.grant(_foreign_row(record), outcome)
    outcome.moved = outcome.granted + outcome.waiting.total()
    return outcome


def revert(context: Context) -> str:
    """Move all migrated rows back to the plugin. Return a sentence for the administrator."""
    component, noted = context.servicenow.component(), dict(migrated(context))
    back_to = str(context.stores.settings.get(_SAVED_AS).get("from", ""))
    given, problem = 0, ""
    batch = list(noted)[:AT_ONCE]
    rows = context.servicenow.read_records(TABLE, batch, ("server_url",))
    for sys_id in batch:
        if context.deadline.left() < _LEAST_SECONDS:
            break
        row = rows.get(sys_id)
        try:
            if row is not None and row.value("server_url") == context.settings.app_url:
                component.move(sys_id, back_to)
                given += 1
        except NotFound:
            pass  # deleted since
        except ServiceNowError as error:
            log.warning("migration not reverted", reason=error.log_message)
            problem = f" It stopped early: {error.user_message}"
            break
        context.stores.grants.delete(sys_id)
        del noted[sys_id]
    context.stores.settings.put(_SAVED_AS, {"from": back_to, "rows": noted} if noted else {})
    log.info("migration reverted", by=context.person.id, given=given, left=len(noted))
    rest = f" {len(noted):,} are left; press **Give back** again." if noted else ""
    return f"**Given back: {given:,}.** They are reported to the plugin's address again.{problem}{rest}"


class _Granter:
    """Grants rows to their creators. Checks each person and channel once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._admitted: dict[tuple[str, str], str] = {}
        self._people: dict[str, list[Account]] = {}
        for account in context.stores.accounts.all():
            if account.instance == context.instance.url and account.identity.user_name:
                self._people.setdefault(account.identity.user_name, []).append(account)

    def grant(self, row: ForeignRow, outcome: Outcome) -> None:
        """Grant the row, or count the reason why it waits."""
        owner, who = self._owner(row), escaped(row.created_by, 60) or "nobody"
        if owner is None:
            outcome.waiting[f"their creator {who} has no connected account here"] += 1
            return
        key = (owner.person_id, row.channel_id)
        if key not in self._admitted:
            self._admitted[key] = self._problem(*key)
        if problem := self._admitted[key]:
            outcome.waiting[f"{who}: {problem}"] += 1
            return
        before = self._context.stores.grants.get(row.sys_id)
        self._context.stores.grants.put(
            Grant(
                sys_id=row.sys_id,
                owner_id=owner.person_id,
                channel_id=row.channel_id,
                table=row.table,
                record_id=row.record_id,
                filter_query=row.filter_query,
                events=row.events,
                options=row.options,
                name=row.name,
                granted_at=self._context.clock(),
                created_by=row.created_by,
                version=before.version + 1 if before else 1,
            )
        )
        outcome.granted += 1

    def _owner(self, row: ForeignRow) -> Account | None:
        """The creator's account. ``user_id`` can't be trusted; it only selects among the creator's accounts."""
        people = self._people.get(row.created_by, [])
        named = [account for account in people if account.person_id == row.user_id]
        return (named or people)[0] if len(named or people) == 1 else None

    def _problem(self, person_id: str, channel_id: str) -> str:
        try:
            self._context.mattermost.admit(person_id, channel_id)
        except MayNotPost as error:
            log.info("not granted", person=person_id, reason=error.log_message)
            return "the person may not post in the channel, or the bot can't join it"
        except MattermostError as error:
            log.warning("not granted", person=person_id, reason=error.log_message)
            return "Mattermost did not answer; press **Grant waiting ones** later"
        return ""


def _foreign_row(record: Record) -> ForeignRow:
    return ForeignRow(
        sys_id=record.sys_id,
        channel_id=record.value("channel_id"),
        user_id=record.value("user_id"),
        table=record.value("record_type"),
        record_id=record.value("record_id"),
        filter_query=record.value("filter_query"),
        events=record.value("subscription_events"),
        options=record.value("options"),
        name=record.value("name"),
        created_by=record.value("sys_created_by"),
    )
