"""A record's text is escaped wherever it is shown; a Markdown parser checks it."""

import string

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from core.records import Cell, Entries, JournalEntry, Record
from core.tables import TABLES, table_of
from forms.records.record_lookup import MOST_LABEL, record_option
from forms.records.view import view_form
from handlers.records.comments import entries_text
from handlers.records.record_updates import change_text, stale_text
from mattermost.cards import record_card, record_link, record_summary, record_title
from mattermost.markdown import quoted

ADDRESS = "https://example.service-now.com/nav_to.do?uri=incident.do%3Fsys_id%3D0"
JUDGE = MarkdownIt("commonmark").enable(["table", "strikethrough"])

_SIGNS = (
    "@all @here ~town-square [x](http://evil) ![i](http://evil) <b> `c` **b** # | > - 1. \\ "
    "\u202e\u2066\u200f\u200e\u061c :tada: \U0001f389\n\r\n\t"
)
_WHOLE = (
    "x" * 8000,
    "@all " * 200,
    "\n\n# Head\n\n```\ncode",
    "</details>",
    "https://evil.example",
    "www.evil.example",
)
hostile = st.one_of(
    st.text(max_size=400),
    st.text(alphabet=_SIGNS, max_size=200),
    st.text(alphabet=string.punctuation + "a \n", max_size=80),
    st.sampled_from(
        ["x" * 8000, "@all " * 200, "\n\n# Head\n\n```\ncode", "</details>", "https://evil.example", "www.evil.example"]
    ),
)


@st.composite
def records(draw: st.DrawFn) -> Record:
    """A record of any table with hostile text in every column."""
    table = draw(st.sampled_from([*TABLES, "u_own"]))
    cells = {column: Cell(draw(hostile), draw(hostile)) for column in table_of(table).card_columns}
    return Record(table, "0" * 32, cells)


def tokens(text: str) -> list[Token]:
    """All tokens, including inline ones."""
    found: list[Token] = []
    for token in JUDGE.parse(text):
        found.append(token)
        found += token.children or []
    return found


def types(text: str) -> set[str]:
    """The kinds of Markdown that a parser finds."""
    return {token.type for token in tokens(text)}


def links(text: str) -> list[str]:
    """Where links lead."""
    return [str(token.attrs["href"]) for token in tokens(text) if token.type == "link_open"]


STEERING = "\u202e\u2066\u200f\u200e\u061c"
PLAIN = {"paragraph_open", "inline", "text", "text_special", "paragraph_close", "softbreak"}
LINK = {"link_open", "link_close"}
STRONG = {"strong_open", "strong_close"}
LIST = {"bullet_list_open", "list_item_open", "list_item_close", "bullet_list_close"}
QUOTE = {"blockquote_open", "blockquote_close"}


def assert_harmless(text: str) -> None:
    """It mentions nobody and no channel, and changes no text direction."""
    for sign in "@~":
        assert all(part.startswith("\u200b") for part in text.split(sign)[1:]), text
    assert not set(STEERING) & set(text)


@given(records())
def test_a_card(record: Record) -> None:
    """Title and fallback are one plain line, fields have no formatting, and everything has a maximum length."""
    card = record_card(record, ADDRESS, "example.service-now.com")
    for text in (card["title"], card["fallback"]):
        assert_harmless(text)
        assert "\n" not in text
    assert len(card["title"].replace("\u200b", "")) <= 200
    for one in card["fields"]:
        assert_harmless(one["value"])
        assert types(one["value"]) <= PLAIN
        assert "\n" not in one["value"]
    assert [one["title"] for one in card["fields"]] == [label for _, label in table_of(record.table).card]
    assert len(str(card)) < 16_000


@given(records())
def test_a_view_and_a_preview(record: Record) -> None:
    """
    There is one link, ours; one line per field, whatever line breaks the texts have; and the form keeps both hosts'
    limits.
    """
    text = record_summary(record, ADDRESS)
    assert_harmless(text)
    assert links(text) == [ADDRESS]
    assert types(text) <= PLAIN | LINK | STRONG | LIST
    assert sum(token.type == "list_item_open" for token in tokens(text)) == len(table_of(record.table).card)
    offered = table_of(record.table).offer(record.value("state"))
    view_form(record.number, table_of(record.table).label, text, [*offered.buttons, *offered.more], "state")


@given(records(), records())
def test_lines_and_warnings(before: Record, after: Record) -> None:
    """The lines in threads and above forms."""
    for text in (change_text("State", before, after, "state"), stale_text(after)):
        assert_harmless(text)
        assert types(text) <= PLAIN | STRONG
        assert links(text) == []
    assert links(record_link(after, ADDRESS)) == [ADDRESS]
    assert "\n" not in record_title(after)


@given(
    st.lists(
        st.builds(JournalEntry, st.sampled_from(["comments", "work_notes"]), hostile, hostile, hostile), max_size=10
    )
)
def test_comments(entries: list[JournalEntry]) -> None:
    """Every entry is our heading and a quotation; nothing breaks out of the quotation, and nothing is a link."""
    text = entries_text(Entries(entries, older=True, work_notes=True))
    assert_harmless(text)
    assert links(text) == []
    assert types(text) <= PLAIN | STRONG | QUOTE
    assert sum(token.type == "blockquote_open" for token in tokens(text)) <= len(entries)
    assert len(text) < 16_000


@given(hostile)
@example("a heading\n===")
@example("a rule\n---")
def test_a_note(text: str) -> None:
    """A quotation keeps its lines, and everything stays inside."""
    found = quoted(text, 1000)
    assert_harmless(found)
    assert types(found) <= PLAIN | QUOTE
    outside = [token for token in JUDGE.parse(found) if token.level == 0]
    assert {token.type for token in outside} <= QUOTE


@given(records())
def test_a_choice(record: Record) -> None:
    """It is one line with a maximum length, never empty."""
    option = record_option(Record(record.table, record.sys_id, {**record.cells, "number": Cell("INC1", "INC1")}))
    assert "\n" not in option.label
    assert 0 < len(option.label) <= MOST_LABEL
    assert not set(STEERING) & set(option.label)
