"""What a conversation leaves in a record: messages as one journal entry, files as attachments."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog

from core.calls import Call
from core.errors import (
    AccessDenied,
    AppError,
    MattermostError,
    MattermostRefused,
    Refused,
    ServiceNowError,
    TooLarge,
)
from core.messages import File, Message
from core.records import Record
from handlers.context import Context
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
class Along:
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
    def of(cls, call: Call, context: Context) -> "Along":
        """Of the form that *call* opens or belongs to; a message alone where Mattermost does not tell now."""
        if call.state:
            known = call.state
            return cls(str(known.get("post_id", "")), int(known.get("messages", 1)), int(known.get("files", 0)))
        if call.post is None:
            return cls()
        try:
            messages = context.mattermost.thread(call.post.id)
        except MattermostError as error:
            log.info("thread not read", reason=str(error))
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


def attach(record: Record, files: Sequence[File], context: Context) -> str:
    """Attach *files* to the record, each for itself; a sentence of what came of it, "" without files."""
    if not files:
        return ""
    refused: list[str] = []
    for file in files[:MOST_FILES]:
        try:
            _attach_one(record, file, context)
        except AppError as error:
            log.info("file not attached", sys_id=record.sys_id, reason=str(error))
            refused.append(f"- {escaped(file.name, 100)}: {_why(file, error)}")
    refused += [f"- {escaped(file.name, 100)}: more than {MOST_FILES} files at once" for file in files[MOST_FILES:]]
    added = len(files) - len(refused)
    told = f"{added} file{'' if added == 1 else 's'} attached."
    return told + ("\n\nNot attached:\n" + "\n".join(refused) if refused else "")


def _attach_one(record: Record, file: File, context: Context) -> None:
    if file.size > MOST_BYTES:
        raise _TooBig(f"{file.size} bytes")
    content = context.mattermost.file(file.id, MOST_BYTES)
    context.servicenow.attachments.add(record.table, record.sys_id, file.name, file.media_type, content)


class _TooBig(AppError):
    tell = f"it is larger than {MOST_BYTES // (1024 * 1024)} MiB"


def _why(file: File, error: AppError) -> str:
    match error:
        case _TooBig():
            return error.tell
        case MattermostRefused(status=413):
            return _TooBig.tell
        case MattermostError():
            return "Mattermost does not give it out"
        case TooLarge():
            return "it is larger than this ServiceNow takes"
        case Refused(labels=(), rule=""):
            return "ServiceNow does not take it: files of this type are most likely not allowed there"
        case AccessDenied(may_have_been_saved=False):
            return "your account may not attach files to this record"
        case ServiceNowError(may_have_been_saved=True):
            return "ServiceNow did not say whether it took it; look at the record"
        case _:
            return error.tell


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
