"""Other people's text in our Markdown is drawn as text; a message becomes a title without its Markdown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mattermost.markdown import escaped, first_words, plain, shortened

JUDGE = MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"])


def _inline(text: str) -> list[str]:
    """Token types that a Markdown parser sees in *text*."""
    types = []
    for token in JUDGE.parse(text):
        types.append(token.type)
        types += [child.type for child in token.children or []]
    return types


@given(st.text(max_size=300))
def test_escaped_text_has_no_formatting(text: str) -> None:
    """A Markdown parser finds one paragraph of text in it, whatever was in the record."""
    types = set(_inline(escaped(text, 300)))
    assert types <= {"paragraph_open", "inline", "text", "text_special", "paragraph_close"}


@given(st.text(alphabet="@~allhere ch:*_[](){}<>`#\n\u202e", max_size=80))
def test_escaped_text_mentions_nobody(text: str) -> None:
    """No `@word` and no `~word` is left, nor a mark that turns the writing direction."""
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
    """The first words that people read, not their markup."""
    assert first_words(message, 160) == title


@given(st.text(max_size=500), st.integers(10, 160))
def test_a_title_never_grows_over_its_limit(message: str, most: int) -> None:
    """At most the given number of characters, on one line."""
    words = first_words(message, most)
    assert len(words) <= most
    assert "\n" not in words


def test_text_is_cut_at_a_word() -> None:
    """The cut shows, and no word is halved where that can be helped."""
    assert shortened("one two three four", 12) == "one two…"
    assert shortened("x" * 20, 10) == "x" * 9 + "…"
    assert shortened("short", 10) == "short"


def test_plain_text_keeps_its_signs() -> None:
    """Places without Markdown show what is there, defused."""
    assert plain("**a** @all\nb", 50) == "**a** @\u200ball b"
