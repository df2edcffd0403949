"""A name in the instance's error is plain text in ours: no link, mention, markup or line break."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from core.upstream_errors import Refused

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = "[Pay](https://evil.example) <b>@all</b> ~town-square `x`\n# **y** | ![z](//q)"


def kinds(text: str) -> set[str]:
    """The kinds of Markdown, blocks and inline, that a parser finds in *text*."""
    tokens = PARSER.parse(text)
    return {one.type for token in tokens for one in [token, *(token.children or [])]}


PLAIN = {"paragraph_open", "paragraph_close", "inline", "text"}


@pytest.mark.parametrize("refused", [Refused("x", labels=[HOSTILE]), Refused("x", rule=HOSTILE)])
def test_a_hostile_name_is_plain_text(refused: Refused) -> None:
    """One paragraph of text; nobody is mentioned, no channel linked, no address can be followed."""
    assert kinds(refused.user_message) <= PLAIN
    assert not set("@~[]<`") & set(refused.user_message)
    assert "://" not in refused.user_message
    assert "Pay" in refused.user_message


@given(st.text(max_size=300))
def test_any_name_remains_inside_its_sentence(name: str) -> None:
    """Whatever the instance calls its rules: one line, no link or mention, and the next step is still shown."""
    told = Refused("x", rule=name).user_message
    assert "\n" not in told
    assert not set("@~[]<`") & set(told)
    assert told.endswith("or ask your ServiceNow administrator.")
    assert not kinds(told) & {"link_open", "image", "html_inline", "code_inline", "heading_open"}


def test_an_ordinary_name_is_unchanged() -> None:
    """Names without markup are shown as the instance sends them."""
    assert Refused("x", rule="Change Model: Check State Transition").rule == "Change Model: Check State Transition"
    assert Refused("x", labels=["Close notes", "Übergabe (intern)"]).labels == ("Close notes", "Übergabe (intern)")
