"""What a conversation leaves in a record: messages as one journal entry, files as attachments."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog

from core.calls import Call, File, Message
from core.errors import (
    AccessDenied,
    AppError,
    MattermostError,
    MattermostRefused,
    Refused,
    ServiceNowError,
    TooLarge,
)
from core.record_ports import AttachedFile
from core.records import Record
from handlers.confirmed import MayBeSaved
from handlers.context import Context
from handlers.idempotency import Attempt
from mattermost.markdown import escaped

log = structlog.get_logger(__name__)

MOST_CHARACTERS = 4000  # of one journal entry: what a base instance's columns hold
MOST_ENTRIES = 12  # each is a request; inside the time that a call has
MOST_FILES = 20
MOST_BYTES = 25 * 1024 * 1024  # of one file; inside the time that a call has

# In a journal these draw HTML; in somebody else's message they are text.
_CODE = re.compile(r"\[(/?)code\]", re.IGNORECASE)
_ZERO_WIDTH_SPACE = "\u200b"
_CONTINUED = " (goes on)"
_ROOM = len(_CONTINUED) + 1


@dataclass(frozen=True)
class Conversation:
    """
    Args:
        messages: Those that are taken along, oldest first.
        team_name: For links; "" outside a team.
    """

    messages: Sequence[Message]
    team_name: str

    @property
    def files(self) -> list[File]:
        return [file for message in self.messages for file in message.files]


@dataclass(frozen=True)
class ThreadSource:
    """
    What can be taken along from where a form was opened; travels in its state.

    Args:
        post_id: The message, "" for a form that was opened elsewhere.
        messages, files: How many its thread has.
    """

    post_id: str = ""
    messages: int = 1
    files: int = 0

    @classmethod
    def of(cls, call: Call, context: Context) -> "ThreadSource":
        """Of the form that *call* opens or belongs to; a message alone where Mattermost does not tell now."""
        if call.state:
            known = call.state
            return cls(str(known.get("post_id", "")), int(known.get("messages", 1)), int(known.get("files", 0)))
        if call.post is None:
            return cls()
        try:
            messages = context.mattermost.thread(call.post.id)
        except MattermostError as error:
            log.info("thread not read", reason=error.log_message)
            return cls(call.post.id)
        return cls(call.post.id, len(messages), sum(len(message.files) for message in messages))


def conversation(call: Call, post_id: str, context: Context, *, whole: bool) -> Conversation:
    """
    The message, or its *whole* thread, as the person may read it.

    Raises:
        MattermostError: Mattermost did not give it.
    """
    messages = context.mattermost.thread(post_id)
    mine = messages if whole else [message for message in messages if message.id == post_id]
    return Conversation(mine, call.team_name)


def permalink(post_id: str, team_name: str, context: Context) -> str:
    """Where a message stands; Mattermost finds the team itself where none is named."""
    team = f"/{team_name}" if team_name else "/_redirect"
    return f"{context.settings.mattermost_url}{team}/pl/{post_id}"


def as_entries(taken: Conversation, context: Context) -> list[str]:
    """
    The messages as texts of journal entries, each message with author, time in the person's zone and link.

    An entry holds as many messages as fit; a message that is longer goes on in the next one. What is
    more than `MOST_ENTRIES` is left out, with a line that says so.
    """
    entries: list[str] = []
    for message in taken.messages:
        link = permalink(message.id, taken.team_name, context)
        author = f"@{message.username}" if message.username else "Somebody"
        heading = f"{author}, {_time(message.created_at, context)}, {link}"
        for position, part in enumerate(_parts(_as_text(message), MOST_CHARACTERS - len(heading) - _ROOM)):
            block = f"{heading}{_CONTINUED if position else ''}\n{part}"
            if entries and len(entries[-1]) + len(block) + 2 <= MOST_CHARACTERS:
                entries[-1] += f"\n\n{block}"
            else:
                entries.append(block)
    if len(entries) > MOST_ENTRIES:
        rest = f"\n\n… more than fits here: {permalink(taken.messages[-1].id, taken.team_name, context)}"
        entries = entries[:MOST_ENTRIES]
        entries[-1] = entries[-1][: MOST_CHARACTERS - len(rest)] + rest
    return entries


def _parts(text: str, most: int) -> list[str]:
    return [text[start : start + most] for start in range(0, len(text), most)] or [""]


def attach(
    record: Record, files: Sequence[File], attempt: Attempt, context: Context, *, new_record: bool = False
) -> str:
    """
    Attach *files* to the record, each for itself; a sentence of what came of it, "" without files.

    A file that the record has already, by name and content, is not attached a second time. A *new_record* has none.
    """
    if not files:
        return ""
    there = () if new_record else _attached(record, context)
    added = known = 0
    refused: list[str] = []
    for file in files[:MOST_FILES]:
        try:
            if attempt.has_done(_file_name(file)) or _attach_one(record, file, there, attempt, context):
                added += 1
            else:
                known += 1
        except AppError as error:
            log.info("file not attached", sys_id=record.sys_id, reason=error.log_message)
            refused.append(f"- {escaped(file.name, 100)}: {_why(file, error)}")
    refused += [f"- {escaped(file.name, 100)}: more than {MOST_FILES} files at once" for file in files[MOST_FILES:]]
    told = [f"{added} file{'' if added == 1 else 's'} attached."] if added or not known else []
    if known:
        told.append(f"{known} file{' was' if known == 1 else 's were'} already attached.")
    return " ".join(told) + ("\n\nNot attached:\n" + "\n".join(refused) if refused else "")


def _attached(record: Record, context: Context) -> Sequence[AttachedFile]:
    try:
        return context.servicenow.attachments.of(record.table, record.sys_id)
    except ServiceNowError as error:
        log.info("attachments not listed", sys_id=record.sys_id, reason=error.log_message)
        return ()


def _attach_one(record: Record, file: File, there: Sequence[AttachedFile], attempt: Attempt, context: Context) -> bool:
    """Whether the file was attached; False where the record had it before this form."""
    if file.size > MOST_BYTES:
        raise _TooBig(f"{file.size} bytes")
    content = context.mattermost.file(file.id, MOST_BYTES)
    name, attachments = _file_name(file), context.servicenow.attachments
    if not attempt.may_have_sent(name) and any(one.same_as(file.name, content) for one in there):
        return False

    def send() -> bool:
        attachments.add(record.table, record.sys_id, file.name, file.media_type, content)
        return True

    def look(_digest: str) -> bool | None:
        listed = attachments.of(record.table, record.sys_id)
        return True if any(one.same_as(file.name, content) for one in listed) else None

    address = context.links.record(record.table, record.sys_id)
    return attempt.write(name, send, look, content=file.id, address=address, what="the record")


def _file_name(file: File) -> str:
    """What an attempt calls the write of a file."""
    return f"file.{file.id}"


class _TooBig(AppError):
    user_message = f"it is larger than {MOST_BYTES // (1024 * 1024)} MiB"


def _why(file: File, error: AppError) -> str:
    match error:
        case _TooBig():
            return error.user_message
        case MattermostRefused(status=413):
            return _TooBig.user_message
        case MattermostError():
            return "Mattermost does not give it out"
        case TooLarge():
            return "it is larger than this ServiceNow takes"
        case Refused(labels=(), rule=""):
            return "ServiceNow does not take it: files of this type are most likely not allowed there"
        case AccessDenied(may_have_been_saved=False):
            return "your account may not attach files to this record"
        case MayBeSaved() | ServiceNowError(may_have_been_saved=True):
            return "ServiceNow did not say whether it took it; look at the record"
        case _:
            return error.user_message


def _as_text(message: Message) -> str:
    text = _CODE.sub(rf"[{_ZERO_WIDTH_SPACE}\1code]", message.text).strip()
    names = ", ".join(file.name for file in message.files)
    return "\n".join(part for part in (text, f"Files: {names}" if names else "") if part)


def _time(moment: float, context: Context) -> str:
    account = context.account
    name = (account.identity.time_zone if account else "") or "UTC"
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    return datetime.fromtimestamp(moment, zone).strftime("%Y-%m-%d %H:%M %Z")
