"""
Read lists of subscriptions page by page, in the order of creation, newest first.

ServiceNow returns rows that the reader can't see as well. They are left out and more rows are read until the page
is full, so no page is short and no row is skipped.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from core.calls import Call, Channel
from core.subscriptions import Cursor, Subscription, SubscriptionFilter
from forms.subscriptions.list import ME, THIS_CHANNEL
from handlers.context import Context
from handlers.subscriptions.permissions import rows_of, shown_status
from handlers.subscriptions.states import ListState, cursor_of

PAGE_SIZE = 50
# Rows per request. The first is small because it is usually enough; the others are for readers who see few rows.
_REQUESTS = (200, *(1000,) * 24)


@dataclass(frozen=True)
class Page:
    """
    Args:
        before: The row before the first one; None at the top.
        start: Number of the first row, from 1.
        has_next: Whether there are more rows after it.
    """

    rows: list[Subscription]
    before: Cursor | None
    start: int
    has_next: bool


class SubscriptionPages:
    """The pages of one list, for one person."""

    def __init__(self, call: Call, context: Context, state: ListState) -> None:
        self._channels: Mapping[str, Channel] = context.mattermost.channels()
        self._person = call.person
        self._context = context
        self._state = state
        self._filter = SubscriptionFilter(
            user_id=call.person.id if state.owner == ME else "",
            channel_id=state.channel_id if state.where == THIS_CHANNEL else "",
            table=state.table,
        )

    def first(self) -> Page:
        return self._page_after(None, 1)

    def current(self) -> Page:
        """The page of the state, as it is now."""
        return self._page_after(cursor_of(self._state.before), self._state.start)

    def next(self) -> Page:
        return self._page_after(cursor_of(self._state.last), self._state.start + PAGE_SIZE)

    def previous(self) -> Page:
        start, first = self._state.start - PAGE_SIZE, cursor_of(self._state.first)
        if start <= 1 or first is None:
            return self.first()  # rows were added since, so count again from the top
        found = self._read(first, back=True)
        before = found[PAGE_SIZE].cursor if len(found) > PAGE_SIZE else None
        return Page(found[PAGE_SIZE - 1 :: -1], before, start, has_next=True)

    def channels_of(self, page: Page) -> Mapping[str, Channel]:
        """The channels of a page that the person can see, by id."""
        others = {row.channel_id for row in page.rows} - self._channels.keys()
        return {**self._channels, **self._context.mattermost.visible_channels(others)}

    def _page_after(self, cursor: Cursor | None, start: int) -> Page:
        found = self._read(cursor, back=False)
        return Page(found[:PAGE_SIZE], cursor, start, has_next=len(found) > PAGE_SIZE)

    def _read(self, cursor: Cursor | None, *, back: bool) -> list[Subscription]:
        """The rows of a page, and one more if there are more."""
        found: list[Subscription] = []
        for limit in _REQUESTS:
            with rows_of(self._context) as rows:
                batch = rows.page(self._filter, limit, beyond=cursor, back=back)
            found += [row for row in batch if self._is_visible(row)]
            if len(found) > PAGE_SIZE or len(batch) < limit:
                break
            cursor = batch[-1].cursor
        return found[: PAGE_SIZE + 1]

    def _is_visible(self, row: Subscription) -> bool:
        """Whether the row is of one of the person's channels or their own, and has the status of the filter."""
        grant = self._context.stores.grants.get(row.sys_id)
        mine = self._person.id == (grant.owner_id if grant else row.user_id)
        if row.channel_id not in self._channels and not mine and not self._person.administrator:
            return False
        return not self._state.status or shown_status(self._context, row)[0] == self._state.status
