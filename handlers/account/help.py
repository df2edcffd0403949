"""Show the commands that the person can use."""

import difflib

from core.accounts import Account
from core.calls import Call, Reply, Text
from core.errors import NotConfigured, UnknownRequest
from core.menus import Requirement, UserStatus
from handlers.commands import command_words, help_lines
from handlers.context import Context
from handlers.registry import calls
from mattermost.cards import person_line


@calls.submit("help/show", needs=Requirement.NOTHING)
def show_help(call: Call, context: Context) -> Reply:
    """Show all commands. An unknown command is answered with the nearest known one."""
    asked = " ".join(call.values.text("command").lower().split())
    known = command_words()
    if asked and not any(words.startswith(asked) for words in known):
        nearest = difflib.get_close_matches(asked, known, n=1, cutoff=0.4)
        suggestion = f" Did you mean `/servicenow {nearest[0]}`?" if nearest else " Try `/servicenow help`."
        raise UnknownRequest(f"unknown command of {len(asked)} characters", f"There is no such command.{suggestion}")
    if context.instance.missing:
        return Text(NotConfigured(context.instance.missing, call.person.administrator).user_message)
    return Text(help_text(context.user_status, context.account, asked))


def help_text(user_status: UserStatus, account: Account | None, asked: str = "") -> str:
    """
    The help as Markdown, with the connected account at the end.

    Args:
        asked: Show only commands that begin with these words; "" for all.
    """
    lines = help_lines(user_status)
    if asked:
        lines = [line for line in lines if line.startswith(f"- `/servicenow {asked}")] or lines
    if user_status.connected and account is not None:
        lines += ["", f"Connected as {person_line(account.identity)}."]
    elif user_status.configured:
        lines += ["", "You are not connected yet: run `/servicenow connect`."]
    return "\n".join(lines)
