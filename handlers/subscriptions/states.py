"""The signed states of subscription forms."""

import uuid
from dataclasses import asdict, dataclass, replace

from core.subscriptions import Cursor
from forms.subscriptions.list import ME, THIS_CHANNEL, ListFilter
from handlers.form_state import FormState


@dataclass(frozen=True, kw_only=True)
class EditState(FormState):
    """``sys_id``: the subscription to change; "" for a new one."""

    sys_id: str = ""


@dataclass(frozen=True, kw_only=True)
class ListState(FormState):
    """
    One page of a list.

    Args:
        owner, where, table, status: As in `ListFilter`.
        before, first, last: Cursors of the row before the page, its first row, and its last row; () for none.
        start: Number of the first row, from 1.
        ids: Rows of the page.
    """

    owner: str = ME
    where: str = THIS_CHANNEL
    table: str = ""
    status: str = ""
    before: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    start: int = 1
    ids: tuple[str, ...] = ()

    @property
    def filter(self) -> ListFilter:
        return ListFilter(owner=self.owner, where=self.where, table=self.table, status=self.status)

    def filtered(self, chosen: ListFilter) -> "ListState":
        """The state of a list at the same place with another filter, before its first page."""
        return ListState(channel_id=self.channel_id, root_id=self.root_id, **asdict(chosen))


@dataclass(frozen=True, kw_only=True)
class DetailState(ListState):
    """The subscription ``sys_id``, and the page of the list where it was picked."""

    sys_id: str = ""

    def about(self, sys_id: str) -> "DetailState":
        """The state of a new form about the subscription *sys_id*."""
        return replace(self, form_id=uuid.uuid4().hex, sys_id=sys_id)

    def neighbor(self, step: int) -> str:
        """The row *step* rows further on the page, or the last one in that direction."""
        if self.sys_id not in self.ids:
            return self.sys_id
        return self.ids[min(max(self.ids.index(self.sys_id) + step, 0), len(self.ids) - 1)]


def cursor_of(parts: tuple[str, ...]) -> Cursor | None:
    """A cursor as `ListState` carries it."""
    return Cursor(*parts) if len(parts) == 2 else None
