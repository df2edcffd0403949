"""
A test oracle for Mattermost's Markdown: the text people see, and the markup and mentions in it.

It follows the rules of Mattermost's fork of marked and of the web client's text formatting, and shares no code with
the product, whose escaping it checks. On random lines, it agrees with the fork but for a rare extra email address.
"""

import html
import re
from dataclasses import dataclass, field

# JavaScript's \w, \b and \B match only ASCII, unlike \p{L}.
_LETTER = r"[^\W\d_]"
_SCHEMES = {"http", "https", "ftp", "mailto", "tel"}  # schemes of automatic links, unless configured

_ESCAPE = re.compile(r"(?a:\\([`*{}\[\]()#+\-.!_>|~]|\\(?!\w)))")
_AUTOLINK = re.compile(r"(?a:<((?:[^ >]+(?:@|:/)|www\d{0,3}\.)[^ >]+)>)")
_ADDRESS = re.compile(
    r"(?:(?a:[A-Za-z][A-Za-z\d.+-]*:)(?:/{1,3}|" + _LETTER + r"|[\d%])|www[0-9]{0,3}\.|(?:" + _LETTER + r"|[\d.-])+\."
    rf"{_LETTER}{{2,4}}/)(?:\[[\da-f:]+\]|[^\s`!()\[\]{{;:'\",<>?«»“”‘’]|[`!\[\]{{;:'\",<>?«»“”‘’](?=[^\s()<>])"
    r"|\((?:[^\s()<>]|\([^\s()<>]+\))*\))+"
)
_TAG = re.compile(
    r"""</[a-zA-Z][\w:-]*\s*>|<[a-zA-Z][\w-]*(?:\s[^<>]*)?/?>|<\?.*?\?>|<![a-zA-Z]+\s.*?>|<!--.*?-->""", re.S
)
_LINK = re.compile(
    r"!?\[((?:\[(?:\\.|[^\[\]\\])*\]|\\.|`+[^`]*?`+(?!`)|[^\[\]\\`])*)\]\(((?:[^()]|\([^()]*\))*)\)", re.S
)
_STRONG = re.compile(r"__(.+?)__(?!_)|\*\*(.+?)\*\*(?!\*)", re.S)
_PUNCTUATION = r"!\"#$%&'()*+,\-./:;<=>?@\[^_{|}~"
_EM = re.compile(
    rf"_([^\s_])_(?!_)|\*([^\s*\"<])\*(?!\*)|_([^\s].*?[^\s_])_(?!_|[^\s{_PUNCTUATION}])"
    rf"|_([^\s_].*?[^\s])_(?!_|[^\s{_PUNCTUATION}])|\*([^\s\"<].*?[^\s*])\*(?!\*)|\*([^\s*\"<].*?[^\s])\*(?!\*)",
    re.S,
)
_CODE = re.compile(r"(`+)([^`]|[^`].*?[^`])\1(?!`)", re.S)
_DELETED = re.compile(r"~~(?=\S)(.*?\S)~~", re.S)
_FORMULA = re.compile(r"(?a:\$([^$\n]+)\$(?!\w))")
_TEXT = re.compile(
    r"(?a:(?:`+|[^`])(?:.*?(?:(?=[\\<!\[`*~]|\b[a-z][a-z0-9.+-]{1,31}:|\bwwwd{0,3}.|\B\$|\b_|\Z)|[^ ](?= {2,}\n))"
    r"|(?= {2,}\n)))",
    re.S,
)

_MEANINGS = (
    ("mention", re.compile(r"(?a:(?:\B|\b_+)@[a-z0-9.\-_]+)", re.I)),
    ("channel", re.compile(r"(?a:\B~[a-z0-9.\-_]+)", re.I)),
    ("mail", re.compile(rf"[\w!#$%&'*+/=?^`{{|}}~.-]@[\w.-]+\.{_LETTER}{{2,5}}(?!{_LETTER})")),
    ("hashtag", re.compile(rf"(?<![A-Za-z0-9_])#{_LETTER}[\w.-]+(?<![-_.])")),
    ("emoji", re.compile(r"(?a:(?<!\w):[\w+-]+:(?!\w))")),
    ("emoticon", re.compile(r"(?a:(?:^|\B)(?::-?\)|;-?\))(?!\))(?:$|\B))")),
    ("emoticon", re.compile(r"(?ai:(?:^|\B):(?:-?[dps]|-?o|-x)(?:$|\b))")),
    ("emoticon", re.compile(r"(?a:(?:^|\B):-?(?:\](?!\])|[\[@]|\((?!\()|/|\||\$)(?:$|\B))")),
    ("emoticon", re.compile(r"(?a:(?:^|\B):[`'’]-?\((?:$|\B))")),
    ("emoticon", re.compile(r"(?ai:(?:^|\b)x-d(?:$|\b))")),
    ("emoticon", re.compile(r"(?a:(?:^|\B)</?3(?:$|\b))")),
)  # fmt: skip

_RULE = re.compile(r"(?: *[-*_]){3,} *$")
_HEADING = re.compile(r" *#{1,6} +\S")
_UNDERLINE = re.compile(r" *(?:=|-){2,} *$")
_ITEM = re.compile(r" *(?:[*+-]|[0-9]+\.) +")
_FENCE = re.compile(r" {0,3}(?:`{3,}|~{3,})")
_DEFINITION = re.compile(r"(?a: *\[[^\]]+\]: *<?(?:\w*?:(?://)?|/|#)[^\s>]+)")
_COLUMNS = re.compile(r" *\|? *[-:]+ *\|[-| :]*$|  *\| *[-:]+[-| :]*$")


@dataclass
class Drawn:
    """The visible text, and the types of all other elements in order."""

    text: str = ""
    meanings: list[str] = field(default_factory=list)


def drawn(markdown: str) -> Drawn:
    """Render *markdown* as people see it."""
    found = Drawn()
    lines = re.sub(r"\r\n?|\u2424", "\n", markdown).replace("\t", "    ").replace("\u00a0", " ").split("\n")
    found.text = "\n".join(_blocks(lines, found.meanings))
    return found


def seen(markdown: str) -> str:
    """The visible text without zero-width spaces, for tests that compare words."""
    return drawn(markdown).text.replace("\u200b", "")


def _blocks(lines: list[str], meanings: list[str]) -> list[str]:
    texts: list[str] = []
    at = 0
    while at < len(lines):
        line, following = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
        if not line.strip():
            at += 1
        elif re.match(" {4}", line) or _FENCE.match(line):
            meanings.append("code")
            texts, at = [*texts, line.strip()], at + 1
        elif _RULE.match(line):
            meanings.append("rule")
            at += 1
        elif _HEADING.match(line) or (_UNDERLINE.match(following) and following.strip()):
            meanings.append("heading")
            texts.append(_inline(line.strip("# "), meanings))
            at += 1 if _HEADING.match(line) else 2
        elif "|" in line and _COLUMNS.match(following):
            meanings.append("table")
            texts, at = [*texts, line], at + 2
        elif re.match(" *>.", line):
            end = at
            while end < len(lines) and lines[end]:
                end += 1
            meanings.append("quote")
            texts += _blocks([re.sub("^ *> ?", "", one) for one in lines[at:end]], meanings)
            at = end
        elif _ITEM.match(line):
            meanings.append("item")
            texts += _blocks([_ITEM.sub("", line, count=1)], meanings)
            at += 1
        elif _DEFINITION.match(line):
            meanings.append("definition")
            at += 1
        else:
            end = at + 1
            while end < len(lines) and not _begins_block(lines[end], lines[end + 1] if end + 1 < len(lines) else ""):
                end += 1
            texts.append(_inline("\n".join(lines[at:end]), meanings))
            at = end
    return texts


def _begins_block(line: str, following: str) -> bool:
    starts = (_RULE, _HEADING, _ITEM, _FENCE, _DEFINITION, re.compile(" *>."))
    return not line.strip() or any(one.match(line) for one in starts) or bool(_UNDERLINE.match(following))


def _inline(text: str, meanings: list[str], *, linked: bool = False) -> str:
    """Apply marked's inline rules in order. Adjacent texts are formatted as one text."""
    parts: list[str] = []
    plain = ""

    def flush() -> None:
        nonlocal plain
        if plain:
            parts.append(_formatted(plain, meanings))
        plain = ""

    while text:
        if found := _ESCAPE.match(text):
            plain += found[1]
        elif found := _AUTOLINK.match(text):
            flush()
            meanings.append("link")
            parts.append(_characters(found[1]))
        elif not linked and (address := _address(text)):
            flush()
            meanings.append("link")
            parts.append(_characters(address))
            text = text[len(address) :]
            continue
        elif found := _TAG.match(text):
            plain += found[0]
        elif found := _LINK.match(text):
            flush()
            meanings.append("image" if found[0].startswith("!") else "link")
            parts.append(_inline(found[1], meanings, linked=True))
        elif re.match(r"!?\[(?:\\.|[^\[\]\\])*\]", text):  # could refer to a definition, but none exists
            plain += text[0]
            text = text[1:]
            continue
        elif found := _STRONG.match(text):
            flush()
            meanings.append("strong")
            parts.append(_inline(found[1] or found[2], meanings, linked=linked))
        elif found := _EM.match(text):
            flush()
            meanings.append("em")
            parts.append(_inline(next(one for one in found.groups() if one), meanings, linked=linked))
        elif found := _CODE.match(text):
            flush()
            meanings.append("code")
            parts.append(found[2].strip())
        elif found := re.match(r" {2,}\n(?!\s*$)", text):
            flush()
            parts.append("\n")
        elif found := _DELETED.match(text):
            flush()
            meanings.append("deleted")
            parts.append(_inline(found[1], meanings, linked=linked))
        elif found := _FORMULA.match(text):
            flush()
            meanings.append("formula")
            parts.append(found[1])
        else:
            found = _TEXT.match(text)
            assert found is not None
            assert found[0]
            plain += found[0]
        text = text[found.end() :]
    flush()
    return "".join(parts)


def _address(text: str) -> str:
    """The URL or email address at the start of *text* that becomes a link automatically."""
    found = _ADDRESS.match(text)
    if found is None:
        return ""
    address = re.sub(r"[?!.,:*_~'\"]+$", "", found[0])
    scheme = re.match(r"!?([a-z0-9+.-]+):", address, re.I)
    return address if scheme is None or scheme[1] in _SCHEMES else ""


def _characters(text: str) -> str:
    """The text as a browser shows it: references end with a semicolon, and everything else is escaped."""
    return re.sub(r"(?a:&#?\w+;)", lambda one: html.unescape(one[0]), text)


def _formatted(text: str, meanings: list[str]) -> str:
    """Decode character references last, as the browser does. No formatting applies after that."""
    looked_at = re.sub(r"&(amp|lt|gt);", lambda one: html.unescape(one[0]), text)
    meanings += [name for name, pattern in _MEANINGS if pattern.search(looked_at)]
    shown = _characters(text)
    if re.search(r"(?a:&(?!amp;|lt;|gt;|#36;)#?\w+;)", text):
        meanings.append("reference")
    return shown
