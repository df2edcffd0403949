"""
Once per form: however often a form is sent, each of its writes is made once.

The attempt is stored before each write and the result before the answer. A form that is sent again
continues where it stopped: writes that are done are skipped, and the one that may have been sent is looked
for. If it isn't there yet, nothing is sent for `HOLD_SECONDS`: ServiceNow may still be working on it.

ServiceNow cancels requests to the Table and Attachment APIs after 60 s and anything else after 298 s, and its
load balancers end every request after five minutes ("Default quota rules" in its documentation, under
Platform Administration, Platform performance). Administrators may change the rules, but not the five minutes.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog

from core.accounts import FormResult
from core.calls import Text
from core.errors import AccessDenied, AppError
from core.records import Record
from handlers.confirmed import MayBeSaved, confirmed
from handlers.context import Context

log = structlog.get_logger(__name__)

HOLD_SECONDS = 360.0  # five minutes, and one for a request that had to wait before it was begun
_HIDDEN_SECONDS = 86_400.0  # as long as a result is kept, which is longer than a form may stay open
EDITED = "ServiceNow has what you sent first. What you changed after that was not saved."

T = TypeVar("T")


@dataclass(frozen=True)
class _Unanswered:
    """A write that may have been sent."""

    digest: str
    held_until: float


class Attempt:
    """
    What is stored of one form while it is being submitted.

    ``since`` is when it was first sent (Unix seconds). ``notes`` are sentences for the end of the answer.
    """

    def __init__(self, stored: FormResult, context: Context) -> None:
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
        """The sys_id that `made` remembered; "" while there is none."""
        return self._stored.sys_id

    def has_done(self, name: str) -> bool:
        """Whether the write *name* is known to be done."""
        return name in self._done

    def may_have_sent(self, name: str) -> bool:
        """Whether an earlier submit stored that it would send *name*, and not what became of it."""
        return name in self._unanswered

    def made(self, record: Record) -> None:
        """Remember the record; stored with the next write or with the answer."""
        self._stored = replace(self._stored, table=record.table, sys_id=record.sys_id, number=record.number)

    def begin(self, name: str, content: str = "", hold: float = 0.0) -> None:
        """Store that *name* is about to be sent. Raises StorageFailed: then nothing may be sent."""
        self._unanswered[name] = _Unanswered(digest_of(content), self._context.clock() + hold)
        self._store()

    def finish(self, name: str) -> None:
        """*name* is done; stored with the next write or with the answer."""
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
        Send a write once, and return what came of it, in this submit or in an earlier one.

        Args:
            name: Of this write within the form; without blanks.
            look: What *send* left behind, given `digest_of` what was sent; None for nothing.
            content: What is sent, to tell an edited form from one that is only sent again.
            address, what: Where the person can check.
            again: Called with the result of a write that was sent a second time after the hold.

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
            if self._left(name) > 0:
                raise self._unsure(name, "an earlier submit is unanswered, and nothing is there yet", address, what)
        self.begin(name, content, HOLD_SECONDS)
        try:
            result = confirmed(send, lambda: look(digest_of(content)), address, what)
        except MayBeSaved as unsure:
            if isinstance(unsure.__cause__, AccessDenied):
                # Answered, perhaps saved, and not to be seen by this account: sending it again would do the same.
                self.begin(name, content, _HIDDEN_SECONDS)
            raise self._unsure(name, str(unsure), address, what) from unsure
        except AppError:
            self.undone(name)
            raise
        self.finish(name)
        return result if before is None else again(result)

    def undone(self, name: str) -> None:
        """Nothing of the write *name* is left, so it may be sent again. Raises StorageFailed."""
        self._unanswered.pop(name, None)
        self._done = [one for one in self._done if one != name]
        if self._done or self._unanswered:
            self._store()
        else:
            self._context.form_results.forget(self._stored.form_id)

    def answered(self, text: str) -> None:
        """Store the answer, which every later submit of the form gets. Raises StorageFailed."""
        self._unanswered.clear()
        self._stored = replace(self._stored, text=text)
        self._store()

    def _left(self, name: str) -> float:
        return self._unanswered[name].held_until - self._context.clock()

    def _unsure(self, name: str, detail: str, address: str, what: str) -> MayBeSaved:
        return MayBeSaved(detail, address, what, held=self._left(name))

    def _store(self) -> None:
        unanswered = {name: (one.digest, one.held_until) for name, one in self._unanswered.items()}
        text = json.dumps(unanswered) if unanswered else ""
        self._stored = replace(self._stored, done=" ".join(self._done), unanswered=text)
        self._context.form_results.put(self._stored)


def once(form_id: str, context: Context, work: Callable[[Attempt], Text]) -> Text:
    """
    The answer of *work*, or the first answer if the form is sent again.

    *work* raises what it likes. What surely saved nothing leaves no trace, so that the form may be sent again.

    Raises:
        StillWorking: The same form is being submitted by another request.
    """
    with context.form_results.claim(form_id):
        known = context.form_results.get(form_id)
        if known is not None and known.person_id != context.person.id:
            known = None
        if known is not None and known.text:
            return Text(known.text)
        attempt = Attempt(known or _new(form_id, context), context)
        reply = work(attempt)
        text = "\n\n".join((reply.text, *attempt.notes))
        attempt.answered(text)
        return replace(reply, text=text)


def digest_of(content: str) -> str:
    """A digest of *content* without regard to blanks, as stored instead of it: form results hold no record text."""
    return hashlib.sha256(" ".join(content.split()).encode("utf-8", "surrogatepass")).hexdigest() if content else ""


def _new(form_id: str, context: Context) -> FormResult:
    return FormResult(form_id, context.person.id, "", "", "", "", stored_at=context.clock())
