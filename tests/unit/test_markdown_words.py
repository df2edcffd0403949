"""Text without its Markdown, and text that is cut: the exact remaining characters."""

import pytest

from mattermost.markdown import escaped, first_words, plain_text, quoted, shortened, visible


@pytest.mark.parametrize(
    ("text", "most", "cut"),
    [
        ("abcde", 5, "abcde"),
        ("abcdef", 5, "abcd…"),
        ("ab", 1, "…"),
        ("seventeen to six", 13, "seventeen to…"),
        ("a long sentence here", 18, "a long sentence…"),
        ("abcde fghijklmno", 10, "abcde fgh…"),
        ("abcdef ghijklmno", 10, "abcdef…"),
    ],
)
def test_text_is_cut_between_words_unless_that_removes_half(text: str, most: int, cut: str) -> None:
    """The limit includes the ellipsis; a word that just fits is kept."""
    assert shortened(text, most) == cut


def test_a_quotation_is_cut_at_its_limit() -> None:
    """The cut is exact to the character."""
    assert quoted("abcde", 5) == "> abcde"
    assert quoted("abcdef", 5) == "> abcd…"
    assert quoted("ab\ncdefgh", 6) == "> ab\n> cd…"


def test_a_backslash_before_a_non_ascii_letter_is_escaped() -> None:
    """Before an ASCII letter it is shown unchanged."""
    assert escaped(r"\ä", 10) == r"\\ä"
    assert escaped(r"\a", 10) == r"\a"


@pytest.mark.parametrize(("text", "seen"), [("a", True), ("\u200ba", True), ("", False), ("\u200b\u00ad", False)])
def test_only_printed_characters_are_visible(text: str, seen: bool) -> None:
    """Spaces, format characters and control characters aren't."""
    assert visible(text) is seen
    assert visible(f" \t\u00a0\u3000\x00\x07{text}") is seen


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("**one** [two](http://x) *three*\n\n`four`  five", "one two (http://x) three four five"),
        ("one\ntwo  \nthree", "one two three"),
        ("![a picture](http://x/y.png) here", "a picture here"),
        ("![one [two](http://x)](http://y)", "one two"),
    ],
)
def test_our_markdown_becomes_text_with_addresses(text: str, plain: str) -> None:
    """It is one line; an image becomes its description."""
    assert plain_text(text) == plain


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("one  \ntwo", "one"),
        ("one\ntwo", "one"),
        ("    indented\n", "indented"),
        ("```\nfenced\n```", "fenced"),
        ("<div>words</div>", "<div>words</div>"),
        ("[one](http://x) two", "one two"),
        ("![**bold** picture](http://x/y.png) here", "bold picture here"),
        ("| one | two |\n|---|---|\n| three | four |", "one"),
    ],
)
def test_the_first_words_of_a_message_are_its_first_line(message: str, words: str) -> None:
    """Whatever kind of line that is, and without the addresses of links."""
    assert first_words(message, 160) == words
