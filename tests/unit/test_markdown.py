"""Other people's text is escaped in our Markdown; a message becomes a title without its Markdown."""

import re
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mattermost.markdown import escaped, first_words, harmless, plain, quoted, shortened
from tests.markdown_oracle import drawn, seen

JUDGE = MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"])


def _inline(text: str) -> list[str]:
    """Token types that a Markdown parser finds in *text*."""
    types = []
    for token in JUDGE.parse(text):
        types.append(token.type)
        types += [child.type for child in token.children or []]
    return types


@given(st.text(max_size=300))
def test_escaped_text_has_no_formatting(text: str) -> None:
    """A Markdown parser finds one paragraph of text, whatever the record contains."""
    types = set(_inline(escaped(text, 300)))
    assert types <= {"paragraph_open", "inline", "text", "text_special", "paragraph_close"}


# What Mattermost interprets, and characters that change the meaning of their neighbors.
PIECES = (
    "@", "@all", "~", "~town-square", "#", "#tag", ":", ":smile:", ":)", ";)", ":-/", "x-d", "X-D", "<3", "</3",
    "<", ">", "<b>", "</a>", "<!--", "http://", "https://evil.example/x", "www.", "evil.com/", "a@b.com",
    "<a@b.com>", "mailto:x", "tel:12", "<http://x|y>", "$", "$a$", "&", "&commat;", "&lt;", "&#64;", "&amp", "\\",
    "\\\\", "`", "*", "**", "_", "__", "~~", "[", "](", "]: ", "![", ")", "{", "-", "--", "+", "=", "==", "!", "|",
    " ", "\n", "1.", "1)", "a", "B", "z", "0", "17:38", "é", "ſ", "\u212a", "\u2424", "\u00a0", "'", "\"", "/", "?",
    "%", "C:\\W", ".", ",", ";", "o", "p", "s", "(", "^", "d", "x",
)  # fmt: skip
meaningful = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)
anything = st.one_of(meaningful, st.text(max_size=60))
AROUND: tuple[tuple[str, str, list[str]], ...] = (
    ("", "", []),
    ("Label: ", "", []),
    ("(", ")", []),
    ("x ", ", y", []),
    ("**", "**", ["strong"]),
    ("- L: ", "", ["item"]),
    ("[", "](http://ours)", ["link"]),
)


def one_line(text: str) -> str:
    """*text* as one line should show it."""
    for unseen in (*"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", "\u200b"):
        text = text.replace(unseen, "")
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text)
    return " ".join(text.replace("\u2424", " ").split())


@given(anything, st.sampled_from(AROUND))
@example("10:00 UTC on C:\\Windows", AROUND[0])
@example("Abel <abel@example.com>", AROUND[0])
@example("]: :", AROUND[-1])
@example("\\", AROUND[4])
def test_escaped_text_is_shown_unchanged(text: str, around: tuple[str, str, list[str]]) -> None:
    """Mattermost's client shows exactly the text, wherever in our line it is."""
    before, after, ours = around
    words = one_line(text)
    found = drawn(before + escaped(text, 300) + after)
    if words:
        assert found.meanings == ours
        assert words in found.text.replace("\u200b", "")
    if words and not before:
        assert found.text.replace("\u200b", "") == words


@given(st.lists(meaningful, min_size=1, max_size=4).map("\n".join))
@example("a\n==\n--")
@example("a\n\n    b")
def test_a_quotation_is_shown_unchanged(text: str) -> None:
    """One quotation has the text's lines, and nothing in it is formatted."""
    lines = [words for line in text.splitlines() if (words := one_line(line))]
    if lines:
        found = drawn(quoted(text, 1000))
        assert found.meanings == ["quote"]
        assert [line for line in found.text.replace("\u200b", "").split("\n") if line] == lines


@given(st.one_of(meaningful, st.text(max_size=200)), st.integers(10, 60))
@example("x-d\u00e9", 10)
def test_unescaped_text_has_no_meaning(text: str, most: int) -> None:
    """`harmless` leaves out backslashes only where the text has no meaning inside a sentence."""
    words = one_line(text)
    if words and len(words) <= most:
        found = drawn(f"No match for “{harmless(text, most)}”.")
        assert found.meanings == []
        assert words in found.text.replace("\u200b", "")


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("17:38", "17:38"),
        ("10:00:05 UTC", "10:00:05 UTC"),
        ("Note: a = b", "Note: a = b"),
        ('AT&T, R&D, it\'s "5" / 6 %', 'AT&T, R&D, it\'s "5" / 6 %'),
        ("US$5", "US$5"),
        ("a#1 #1", r"a\#1 \#1"),
        (r"C:\Windows", r"C:\Windows"),
    ],
)
def test_plain_text_is_hardly_changed(text: str, markdown: str) -> None:
    """No character is added that copying would include, and no backslash that Mattermost would show."""
    assert escaped(text, 100) == markdown
    assert seen(markdown) == text


@pytest.mark.parametrize(
    ("markdown", "text", "meanings"),
    [
        (r"17\:38 \< \= \@", r"17\:38 \< \= \@", []),
        (r"\\ \\\\ \\a \*", r"\ \\ \\a *", []),
        (r"\#tag", "#tag", ["hashtag"]),
        (r"http\://evil", r"http\://evil", ["emoticon"]),
        ("\\@all", "\\@all", ["mention"]),
        ("&commat;all", "@all", ["reference"]),
        ("$a$ b", "a b", ["formula"]),
        ("US$5 and US$6", "US$5 and US$6", []),
        ("see https://x.example.", "see https://x.example.", ["link"]),
        ("<b>x</b> :smile: <3", "<b>x</b> :smile: <3", ["emoji", "emoticon"]),
        ("a\n==", "a", ["heading"]),
        ("> a\n> b", "a\nb", ["quote"]),
        ("**a** _b_ `c` ~~d~~ [e](http://f)", "a b c d e", ["strong", "em", "code", "deleted", "link"]),
        ("[a]: http://b", "", ["definition"]),
    ],
)
def test_the_oracle_renders_like_mattermost(markdown: str, text: str, meanings: list[str]) -> None:
    """It matches what was seen on a real server and its parser's rules (findings on 9.11 and 11.6)."""
    found = drawn(markdown)
    assert (found.text, found.meanings) == (text, meanings)


@given(st.text(alphabet="@~allhere ch:*_[](){}<>`#\n\u202e", max_size=80))
def test_escaped_text_mentions_nobody(text: str) -> None:
    """No `@word` and no `~word` is left, and no mark that changes the text direction."""
    result = escaped(text, 80)
    for sign in "@~":
        for part in result.split(sign)[1:]:
            assert part.startswith("\u200b")
    assert "\u202e" not in result
    assert "\n" not in result


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("**Printer** on _fire_", "Printer on fire"),
        ("# Heading\n\nbody", "Heading"),
        ("\n\n- first point\n- second", "first point"),
        ("[the wiki](https://example.com/x) is down", "the wiki is down"),
        ("```\nTraceback here\n```", "Traceback here"),
        ("> quoted words", "quoted words"),
        ("![screenshot](https://example.com/a.png)", "screenshot"),
        ("~~old~~ new", "old new"),
        ("one\ntwo", "one"),
        ("   ", ""),
        ("<b>bold</b>", "<b>bold</b>"),
    ],
)
def test_the_title_is_the_first_line_without_markdown(message: str, title: str) -> None:
    """It has the first words that people read, not their markup."""
    assert first_words(message, 160) == title


@given(st.text(max_size=500), st.integers(10, 160))
def test_a_title_never_exceeds_its_limit(message: str, most: int) -> None:
    """It has at most the given number of characters, on one line."""
    words = first_words(message, most)
    assert len(words) <= most
    assert "\n" not in words


@pytest.mark.parametrize("piece", ["![", "[", "[a](", "*a _", "`a``", "> ", "- ", "<a ", "~~a", "&a;", "\\"])
def test_the_work_for_a_title_is_bounded(piece: str) -> None:
    """Only the start of a message is parsed, because some characters cost the square of their number."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    def work(length: int) -> int:
        nonlocal calls
        calls = 0
        before = sys.getprofile()
        sys.setprofile(count)
        try:
            first_words((piece * length)[:length], 160)
        finally:
            sys.setprofile(before)
        return calls

    assert work(16_000) < 1.2 * work(4_000) + 100
    assert work(16_000) < 200_000


def test_a_title_can_start_after_a_long_address() -> None:
    """The words after a link are still found."""
    assert first_words(f"[wiki](https://example.com/{'x' * 700}) is down", 160) == "wiki is down"


def test_text_is_cut_at_a_word() -> None:
    """The cut is visible, and words are kept whole if possible."""
    assert shortened("one two three four", 12) == "one two…"
    assert shortened("x" * 20, 10) == "x" * 9 + "…"
    assert shortened("short", 10) == "short"


def test_plain_text_keeps_its_characters() -> None:
    """Places without Markdown show the text without effect."""
    assert plain("**a** @all\nb", 50) == "**a** @\u200ball b"
