"""Put a conversation into a record: its messages as journal entries, its files as attachments."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from core.calls import Call, File, Message
from core.errors import AppError
from core.records import AttachedFile, Record
from core.times import zone_of
from core.upstream_errors import AccessDenied, MattermostError, MattermostRefused, Refused, ServiceNowError, TooLarge
from handlers.confirmed import MayBeSaved
from handlers.context import Context
from handlers.idempotency import Attempt
from mattermost.markdown import escaped

log = structlog.get_logger(__name__)

MOST_CHARACTERS = 4000  # of one journal entry: the limit of a base instance's columns
MOST_ENTRIES = 12  # each is a request, and all of them have to fit into the deadline of a call
MOST_FILES = 20
MOST_BYTES = 25 * 1024 * 1024  # of one file, because of the same deadline

# ServiceNow renders what is between these as HTML. In somebody's message they are text.
_CODE = re.compile(r"\[(/?)code\]", re.IGNORECASE)
_ZERO_WIDTH_SPACE = "\u200b"
_CONTINUED = " (goes on)"
_ROOM = len(_CONTINUED) + 1


@dataclass(frozen=True)
class Conversation:
    """
    Args:
        messages: Oldest first.
        team_name: For permalinks. "" outside a team.
    """

    messages: Sequence[Message]
    team_name: str

    @property
    def files(self) -> list[File]:
        return [file for message in self.messages for file in message.files]


def read_conversation(call: Call, context: Context, post_id: str, *, whole: bool) -> Conversation:
    """
    The message, or its *whole* thread, read with the person's permissions.

    Raises:
        MattermostError: It couldn't be read.
    """
    messages = context.mattermost.thread(post_id)
    chosen = messages if whole else [message for message in messages if message.id == post_id]
    return Conversation(chosen, call.team_name)


def permalink(context: Context, post_id: str, team_name: str) -> str:
    """The address of a message. Without a team name, Mattermost finds the team itself."""
    team = f"/{team_name}" if team_name else "/_redirect"
    return f"{context.settings.mattermost_url}{team}/pl/{post_id}"


def as_entries(context: Context, conversation: Conversation) -> list[str]:
    """
    The messages as texts of journal entries. Each message has its author, its time in the person's zone and its link.

    An entry holds as many messages as fit, and a longer message continues in the next one. After `MOST_ENTRIES`
    entries, a link replaces the rest.
    """
    entries: list[str] = []
    for message in conversation.messages:
        link = permalink(context, message.id, conversation.team_name)
        author = f"@{message.username}" if message.username else "Somebody"
        heading = f"{author}, {_time(context, message.created_at)}, {link}"
        for position, part in enumerate(_parts(_as_text(message), MOST_CHARACTERS - len(heading) - _ROOM)):
            block = f"{heading}{_CONTINUED if position else ''}\n{part}"
            if entries and len(entries[-1]) + len(block) + 2 <= MOST_CHARACTERS:
                entries[-1] += f"\n\n{block}"
            else:
                entries.append(block)
    if len(entries) > MOST_ENTRIES:
        link = permalink(context, conversation.messages[-1].id, conversation.team_name)
        rest = f"\n\n… more than fits here: {link}"
        entries = entries[:MOST_ENTRIES]
        entries[-1] = entries[-1][: MOST_CHARACTERS - len(rest)] + rest
    return entries


def _parts(text: str, most: int) -> list[str]:
    return [text[start : start + most] for start in range(0, len(text), most)] or [""]


def attach_files(
    context: Context, attempt: Attempt, record: Record, files: Sequence[File], *, new_record: bool = False
) -> str:
    """
    Attach *files* to the record one by one, and return a summary for the person. "" if there are no files.

    A file that the record already has, with the same name and content, isn't attached again.

    Args:
        new_record: The record has no attachments yet, so don't list them.
    """
    if not files:
        return ""
    attached = () if new_record else _attached_files(context, record)
    added = known = 0
    refused: list[str] = []
    for file in files[:MOST_FILES]:
        try:
            if attempt.has_done(_write_name(file)) or _attach_file(context, attempt, record, file, attached):
                added += 1
            else:
                known += 1
        except AppError as error:
            log.info("file not attached", sys_id=record.sys_id, reason=error.log_message)
            refused.append(f"- {escaped(file.name, 100)}: {_reason(error)}")
    refused += [f"- {escaped(file.name, 100)}: more than {MOST_FILES} files at once" for file in files[MOST_FILES:]]
    sentences = [f"{added} file{'' if added == 1 else 's'} attached."] if added or not known else []
    if known:
        sentences.append(f"{known} file{' was' if known == 1 else 's were'} already attached.")
    return " ".join(sentences) + ("\n\nNot attached:\n" + "\n".join(refused) if refused else "")


def _attached_files(context: Context, record: Record) -> Sequence[AttachedFile]:
    try:
        return context.servicenow.attachments.of(record.table, record.sys_id)
    except ServiceNowError as error:
        log.info("attachments not listed", sys_id=record.sys_id, reason=error.log_message)
        return ()


def _attach_file(
    context: Context, attempt: Attempt, record: Record, file: File, attached: Sequence[AttachedFile]
) -> bool:
    """Return whether the file was attached. False if the record had it before."""
    if file.size > MOST_BYTES:
        raise _TooBig(f"{file.size} bytes")
    content = context.mattermost.file(file.id, MOST_BYTES)
    name, attachments = _write_name(file), context.servicenow.attachments
    if not attempt.may_have_sent(name) and any(one.same_as(file.name, content) for one in attached):
        return False

    def send() -> bool:
        attachments.add(record.table, record.sys_id, file.name, file.media_type, content)
        return True

    def look(_digest: str) -> bool | None:
        listed = attachments.of(record.table, record.sys_id)
        return True if any(one.same_as(file.name, content) for one in listed) else None

    address = context.links.record(record.table, record.sys_id)
    return attempt.write(name, send, look, content=file.id, address=address, what="the record")


def _write_name(file: File) -> str:
    """The name of a file's write within an attempt."""
    return f"file.{file.id}"


class _TooBig(AppError):
    user_message = f"it is larger than {MOST_BYTES // (1024 * 1024)} MiB"


def _reason(error: AppError) -> str:
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


def _time(context: Context, moment: float) -> str:
    return datetime.fromtimestamp(moment, zone_of(context.time_zone)).strftime("%Y-%m-%d %H:%M %Z")
