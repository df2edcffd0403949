"""Updates cards that are already posted."""

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import structlog

from core.outbox import CardUpdate
from core.times import Clock
from core.upstream_errors import MattermostError
from mattermost.card_props import RECORD_PROP, post_lock, updated_props
from mattermost.direct_cards import PressedCard
from mattermost.parallel import Parallel
from mattermost.paths import Ask, Id, api

log = structlog.get_logger(__name__)


class CardUpdater:
    """
    Args:
        ask: Requests with the bot's session.
        pressed: The card whose button was pressed, if only the answer to the press can update it.
    """

    def __init__(
        self, ask: Ask, bot_user_id: str, parallel: Parallel, clock: Clock, pressed: PressedCard | None
    ) -> None:
        self._ask = ask
        self._bot_user_id = bot_user_id
        self._parallel = parallel
        self._clock = clock
        self._pressed = pressed

    def update(
        self,
        post_id: str,
        attachment: Mapping[str, Any],
        shows: Mapping[str, str],
        on_root: Callable[[str], None] = lambda _: None,
    ) -> CardUpdate:
        """
        Update the card in a post, unless the post shows another record or isn't the bot's.

        Args:
            on_root: Called with the id of the thread's root post before anything is written.
        """
        if self._pressed is not None and self._is_pressed(post_id):
            self._pressed.show(attachment, shows, self._clock())
            return CardUpdate(updated=True)
        with post_lock(post_id):
            post = self._ask("GET", api("posts", Id(post_id)))
            root_id = str(post.get("root_id") or post["id"])
            on_root(root_id)
            props = post.get("props") or {}
            shown = props.get(RECORD_PROP)
            # In a direct message between two people, the card is a person's post, which the bot can't change.
            ours = post.get("user_id") == self._bot_user_id
            same = isinstance(shown, dict) and all(shown.get(one) == shows[one] for one in ("table", "sys_id"))
            if ours and same:
                changed = updated_props(props, attachment, shows)
                if changed is not None:
                    self._ask("PUT", api("posts", Id(post_id), "patch"), json={"props": changed})
        return CardUpdate(root_id=root_id, updated=ours and same)

    @contextmanager
    def updating(
        self, post_ids: Collection[str], attachment: Mapping[str, Any], shows: Mapping[str, str]
    ) -> Iterator[Callable[[], str]]:
        """
        Update several cards while the body runs. Updates that fail are logged.

        Yields a function that waits for the root post of the cards' thread and returns its id, or "" if none is known.
        """
        updates: list[Future[CardUpdate]] = []
        roots: list[Future[str]] = []
        for post_id in post_ids:
            if self._is_pressed(post_id):
                self.update(post_id, attachment, shows)
                continue
            root: Future[str] = Future()
            roots.append(root)
            updates.append(self._parallel.start(self._work(post_id, attachment, shows, root)))
        try:
            yield lambda: next(filter(None, (root.result() for root in roots)), "")
        finally:
            for update in updates:
                try:
                    update.result()
                except MattermostError as error:
                    log.warning("card not updated", sys_id=shows["sys_id"], reason=error.log_message)

    def _work(
        self, post_id: str, attachment: Mapping[str, Any], shows: Mapping[str, str], root: "Future[str]"
    ) -> Callable[[], CardUpdate]:
        """An update that sets *root* in any case, before it writes."""

        def work() -> CardUpdate:
            try:
                return self.update(post_id, attachment, shows, root.set_result)
            finally:
                if not root.done():
                    root.set_result("")

        return work

    def _is_pressed(self, post_id: str) -> bool:
        return self._pressed is not None and self._pressed.post_id == post_id
