"""
Idempotent forms: each write of a form is made once, no matter how often the form is sent.

The attempt is stored before each write and the result before the answer. A form that is sent again
resumes where it stopped: it skips completed writes and looks up the one that may have been sent. If the
lookup finds nothing, nothing is sent for `HOLD_SECONDS`, because ServiceNow may still be working on it.

ServiceNow cancels requests to the Table and Attachment APIs after 60 s and anything else after 298 s, and its
load balancers end every request after five minutes ("Default quota rules" in its documentation, under
Platform Administration, Platform performance). Administrators can change the rules, but not the five minutes.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from core.accounts import FormResult
from core.calls import Text
from core.errors import AppError
from core.records import Record
from core.upstream_errors import AccessDenied
from handlers.confirmed import MayBeSaved, confirmed
from handlers.context import Context

log = structlog.get_logger(__name__)

HOLD_SECONDS = 360.0  # five minutes, plus one for a request that was queued first
_HIDDEN_SECONDS = 86_400.0  # as long as results are kept, and longer than a form can be open
EDITED = "ServiceNow has what you sent first. What you changed after that was not saved."

T = TypeVar("T")


@dataclass(frozen=True)
class _Unanswered:
    """A write that may have been sent."""

    digest: str
    held_until: float


class Attempt:
    """
    The stored progress of one form while it is being submitted.

    ``since`` is when it was first sent (Unix seconds). ``notes`` are sentences to append to the answer.
    """

    def __init__(self, context: Context, stored: FormResult) -> None:
        self._stored = stored
        self._context = context
        self._done = stored.done.split()
        entries = json.loads(stored.unanswered or "{}")
        self._unanswered = {name: _Unanswered(digest, until) for name, (digest, until) in entries.items()}
        self.notes: list[str] = []

    @property
    def since(self) -> float:
        return self._stored.stored_at

    @property
    def form_id(self) -> str:
        return self._stored.form_id

    @property
    def record_id(self) -> str:
        """The sys_id passed to `set_record`; "" before that."""
        return self._stored.sys_id

    def has_done(self, name: str) -> bool:
        """Whether the write *name* is known to be done."""
        return name in self._done

    def may_have_sent(self, name: str) -> bool:
        """Whether an earlier submit was about to send *name* and didn't store the result."""
        return name in self._unanswered

    def set_record(self, record: Record) -> None:
        """Remember the record of this form. It is stored with the next write or the answer."""
        self._stored = replace(self._stored, table=record.table, sys_id=record.sys_id, number=record.number)

    def begin(self, name: str, content: str = "", hold: float = 0.0) -> None:
        """Store that *name* is about to be sent. If this raises StorageFailed, don't send it."""
        self._unanswered[name] = _Unanswered(digest_of(content), self._context.clock() + hold)
        self._store()

    def finish(self, name: str) -> None:
        """Mark *name* as done. This is stored with the next write or the answer."""
        self._done.append(name)
        self._unanswered.pop(name, None)

    def write(
        self,
        name: str,
        send: Callable[[], T],
        look: Callable[[str], T | None],
        *,
        content: str,
        address: str,
        what: str = "the list",
        again: Callable[[T], T] = lambda result: result,
    ) -> T:
        """
        Send a write once, and return its result from this submit or an earlier one.

        Args:
            name: Name of this write within the form, without spaces.
            look: Looks up what *send* saved, given `digest_of` what was sent. Returns None if there is nothing.
            content: What is sent, to detect whether the form was edited since the first submit.
            address, what: Where the person can check.
            again: Called with the result if the write was sent a second time after the hold.

        Raises:
            MayBeSaved: It isn't known whether it was saved, and it must not be sent again yet.
            NothingSaved, ServiceNowError: Nothing was saved; the form may be sent again at once.
            StorageFailed: The attempt could not be stored, so nothing was sent.
        """
        before = self._unanswered.get(name)
        if before is not None:
            try:
                found = look(before.digest)
            except AppError as error:
                raise self._unsure(name, f"looking failed: {error}", address, what) from error
            if found is not None:
                log.info("found what an earlier submit sent", write=name)
                if before.digest != digest_of(content):
                    self.notes.append(EDITED)
                self.finish(name)
                return found
            if self._hold_left(name) > 0:
                raise self._unsure(name, "an earlier submit is unanswered, and nothing is there yet", address, what)
        self.begin(name, content, HOLD_SECONDS)
        try:
            result = confirmed(send, lambda: look(digest_of(content)), address, what)
        except MayBeSaved as unsure:
            if isinstance(unsure.__cause__, AccessDenied):
                # This account can't see what was saved, so sending it again wouldn't help.
                self.begin(name, content, _HIDDEN_SECONDS)
            raise self._unsure(name, str(unsure), address, what) from unsure
        except AppError:
            self.discard(name)
            raise
        self.finish(name)
        return result if before is None else again(result)

    def discard(self, name: str) -> None:
        """Forget the write *name*, which saved nothing, so that it can be sent again. Raises StorageFailed."""
        self._unanswered.pop(name, None)
        self._done = [one for one in self._done if one != name]
        if self._done or self._unanswered:
            self._store()
        else:
            self._context.stores.form_results.forget(self._stored.form_id)

    def answered(self, text: str) -> None:
        """Store the answer for every later submit of the form. Raises StorageFailed."""
        self._unanswered.clear()
        self._stored = replace(self._stored, text=text)
        self._store()

    def _hold_left(self, name: str) -> float:
        return self._unanswered[name].held_until - self._context.clock()

    def _unsure(self, name: str, log_message: str, address: str, what: str) -> MayBeSaved:
        return MayBeSaved(log_message, address, what, held=self._hold_left(name))

    def _store(self) -> None:
        unanswered = {name: (one.digest, one.held_until) for name, one in self._unanswered.items()}
        text = json.dumps(unanswered) if unanswered else ""
        self._stored = replace(self._stored, done=" ".join(self._done), unanswered=text)
        self._context.stores.form_results.put(self._stored)


def once(context: Context, form_id: str, work: Callable[[Attempt], Text]) -> Text:
    """
    Return the answer of *work*, or the first answer if the form is sent again.

    *work* can raise anything. An attempt that saved nothing leaves no trace, so the form can be sent again.

    Raises:
        StillWorking: The same form is being submitted by another request.
    """
    with context.stores.form_results.claim(form_id):
        known = context.stores.form_results.get(form_id)
        if known is not None and known.person_id != context.person.id:
            known = None
        if known is not None and known.text:
            return Text(known.text)
        attempt = Attempt(context, known or _new(context, form_id))
        reply = work(attempt)
        text = "\n\n".join((reply.text, *attempt.notes))
        attempt.answered(text)
        return replace(reply, text=text)


def digest_of(content: str) -> str:
    """A digest of *content*, ignoring whitespace. Form results store it so that they contain no record text."""
    return hashlib.sha256(" ".join(content.split()).encode("utf-8", "surrogatepass")).hexdigest() if content else ""


def _new(context: Context, form_id: str) -> FormResult:
    return FormResult(form_id, context.person.id, "", "", "", "", stored_at=context.clock())
