"""
What earlier processes may have posted of the rows that they left behind.

A row that waits unclaimed was posted by nobody, unless a backup was restored: then it may be in the channel,
posted after the backup was made. Each post names its events, so the channel is looked through once.
"""

from collections.abc import Iterable, Mapping

from core.errors import ChannelClosed
from core.notice_ports import Bot
from core.outbox import Posted, Queued


class Earlier:
    """
    Args:
        rows: What waited when the process began.
    """

    def __init__(self, rows: Iterable[Queued], bot: Bot) -> None:
        self._bot = bot
        self._keys: set[str] = set()
        self._since: dict[str, float] = {}
        self._found: dict[str, Mapping[str, Posted]] = {}
        for row in rows:
            self._keys.add(row.key)
            self._since[row.channel_id] = min(row.stored_at, self._since.get(row.channel_id, row.stored_at))

    def found(self, row: Queued) -> Mapping[str, Posted]:
        """
        Posts by what they name, in the channel of a row that an earlier process left; empty for any other row.

        Raises:
            MattermostSilent: Try again.
        """
        if row.key not in self._keys:
            return {}
        if row.channel_id not in self._found:
            try:
                self._found[row.channel_id] = self._bot.told(row.channel_id, self._since[row.channel_id])
            except ChannelClosed:
                return {}  # posting finds out the same, and says so
        return self._found[row.channel_id]
