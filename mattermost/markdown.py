"""
Escapes other people's text for our Markdown, and removes Markdown from messages. Pure.

Mattermost's clients render text in two steps, and record text has to pass both unchanged:

1. Their Markdown parser, a fork of marked. It takes the backslash from the signs in `_UNESCAPED` and from a backslash
   that no letter, digit or underscore follows. Any other backslash is shown. It keeps character references
   (``&commat;``) and draws ``$…$`` as a formula if LaTeX is on.
2. What is left is searched for ``@people``, ``~channels``, ``#tags``, mail addresses, ``:emoji:`` and emoticons. A
   zero-width space inside keeps them text. The server looks for the same when it decides whom to notify.
"""

import operator
import re
import unicodedata
from itertools import dropwhile

from markdown_it import MarkdownIt
from markdown_it.token import Token

_UNESCAPED = "`*{}[]()#+-.!_>|~"
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_NEWLINE_SYMBOL = "\u2424"  # becomes a line break in marked
_MENTION = re.compile(r"([@~])")
_MEANS_SOMETHING = re.compile(r"[\\`*_\[\]<>#!|~@&$]|:\S|;[-)]|www\.|\.\w+/|x-d", re.IGNORECASE)
_ZERO_WIDTH_SPACE = "\u200b"
_BEGINNING = 1000  # characters of a message that can hold its first words; a parser's work can grow by the square
_PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])

_SIGN = re.compile(
    rf"""
    (?P<time>(?<![A-Za-z0-9.+-])[0-9]+(?::[0-9]+)+)  # 17:38 is neither an address nor an emoji
  | (?P<broken>
        :(?![\s\\])                                 # :emoji:  :)  http:
      | [@~]
      | \#(?=[^\W\d_])                              # a hashtag begins with a letter
      | ;(?=[-)]|$)                                 # ;)
      | (?<![A-Za-z0-9_])[xX](?=-[dD])             # x-d
      | <(?=/?3)                                    # <3
      | \](?=:|$)                                   # [a]: address
    )
  | &(?=\#?\w+(?:;|$))                              # would become a character
  | (?<![A-Za-z0-9])\$                              # would begin a formula
  | [{re.escape(_UNESCAPED)}\\<]
    """,
    re.VERBOSE,
)
# There is no other way to write these: a backslash before them would be shown. Without a `<` there is no tag, no
# `<address>`, and no `<address|words>`, which the server makes a link of in attachments.
_REFERENCES = {"&": "&amp;", "$": "&#36;", "<": "&lt;"}


def escaped(text: str, most: int) -> str:
    """
    *text* without effect: no formatting, link, mention, channel link, hashtag or emoji.

    Line breaks become spaces. Control characters and marks for the writing direction are removed. Text of more than
    *most* characters is cut with ``…``.
    """
    return _SIGN.sub(_escape, _one_line(text, most))


def _escape(found: re.Match[str]) -> str:
    sign = found[0]
    if found["time"]:
        return sign
    if sign == "\\":
        follows = found.string[found.end() : found.end() + 1]
        return sign if follows.isascii() and follows.isalnum() else r"\\"
    kept = rf"\{sign}" if sign in _UNESCAPED else _REFERENCES.get(sign, sign)
    return f"{kept}{_ZERO_WIDTH_SPACE}" if found["broken"] else kept


def harmless(text: str, most: int) -> str:
    """
    As `escaped`, but unchanged if the text has no effect anyway. Some places, such as the line below the message box,
    don't render Markdown and would show the backslashes.
    """
    line = _one_line(text, most)
    return escaped(line, most) if _MEANS_SOMETHING.search(line) else line


def quoted(text: str, most: int) -> str:
    """
    *text* as an escaped quotation that keeps its lines, of at most *most* characters, cut with ``…``. Empty lines are
    kept, so that nothing leaves the quotation.
    """
    whole = text.strip()
    cut = whole if len(whole) <= most else whole[: most - 1].rstrip() + "…"
    # A line of `=` below another would make a heading of it, and a quotation can't begin with an empty line.
    lines = (re.sub("^=", f"{_ZERO_WIDTH_SPACE}=", escaped(line, most)) for line in cut.splitlines())
    return "\n".join(f"> {line}".rstrip() for line in dropwhile(operator.not_, lines))


def plain(text: str, most: int) -> str:
    """
    *text* for places that don't render Markdown, such as the linked title of an attachment: one line of at most *most*
    characters, without mentions.
    """
    return _defused(_one_line(text, most))


def _one_line(text: str, most: int) -> str:
    return shortened(" ".join(_CONTROL.sub("", text).replace(_NEWLINE_SYMBOL, " ").split()), most)


def _defused(text: str) -> str:
    return _MENTION.sub(rf"\1{_ZERO_WIDTH_SPACE}", text)


def shortened(text: str, most: int) -> str:
    """*text* cut at a word to at most *most* characters, including the ``…``."""
    if len(text) <= most:
        return text
    head = text[: most - 1]
    at_word = head.rsplit(None, 1)[0] if re.search(r"\s", head) and not text[most - 1].isspace() else head
    # A single long word would leave nothing: better half a word than none.
    return (at_word if len(at_word) > most // 2 else head).rstrip() + "…"


def first_words(message: str, most: int) -> str:
    """The first sentence or line of a message without its Markdown, of at most *most* characters."""
    for line in _plain_lines(message[:_BEGINNING]):
        words = " ".join(_CONTROL.sub("", line).split())
        if visible(words):
            return shortened(words, most)
    return ""


def plain_text(text: str) -> str:
    """Our Markdown as plain text, for example for errors in old servers' dialogs. Links keep their URLs."""
    return " ".join(" ".join(_plain_lines(text, addresses=True)).split())


def visible(text: str) -> bool:
    """Whether *text* has more than spaces, format and control characters."""
    return any(not one.isspace() and unicodedata.category(one) not in {"Cf", "Cc"} for one in text)


def _plain_lines(message: str, *, addresses: bool = False) -> list[str]:
    lines: list[str] = []
    for token in _PARSER.parse(message):
        if token.type == "inline":
            lines.extend(_text(token.children or [], addresses=addresses).splitlines())
        elif token.type in {"fence", "code_block"} or token.type == "html_block":
            lines.extend(token.content.splitlines())
    return lines


def _text(tokens: list[Token], *, addresses: bool = False) -> str:
    parts: list[str] = []
    address = ""
    for token in tokens:
        if token.type in {"softbreak", "hardbreak"}:
            parts.append("\n")
        elif token.type == "image":
            parts.append(_text(token.children or []))
        elif addresses and token.type == "link_open":
            address = str(token.attrs.get("href", ""))
        elif addresses and token.type == "link_close":
            parts.append(f" ({address})")
        else:
            parts.append(token.content)
    return "".join(parts)
