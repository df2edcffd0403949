"""
Looks up whether waiting rows were already posted.

A row without a batch hasn't been posted, except after a backup was restored: it may have been posted after the
backup was made. Each post stores the IDs of its events, so one search of the channel finds them.
"""

from collections.abc import Iterable, Mapping

from core.errors import ChannelClosed
from core.notice_ports import Bot
from core.outbox import Posted, Queued


class PostedLookup:
    """
    Args:
        rows: The rows that were waiting when the process started.
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
        The posts in the row's channel by event ID. Empty for rows that arrived after the process started.

        Raises:
            MattermostSilent: Try again.
        """
        if row.key not in self._keys:
            return {}
        if row.channel_id not in self._found:
            try:
                self._found[row.channel_id] = self._bot.told(row.channel_id, self._since[row.channel_id])
            except ChannelClosed:
                return {}  # posting fails with the same error, and reports it
        return self._found[row.channel_id]
