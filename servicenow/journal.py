"""
Comments and work notes (API reference §5.6).

Entries are read from the text that a journal column shows, which is one request for everybody: entries one after
the other, newest first, each under a heading with time, name, and the column's label. Blank lines belong to entries,
so only headings separate them. To find an entry whose write wasn't answered, the rows of `sys_journal_field` are asked
first. Mostly administrators can read those.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from core.records import Entries, Identity, JournalEntry, Record
from core.times import shown, zone_of
from core.upstream_errors import AccessDenied, NotFound, NotInstalled, NotSaved
from servicenow.queries import Query, Term, at_or_after, equals, one_of
from servicenow.table_api import TableApi

ELEMENTS = ("comments", "work_notes")
_NEWEST = 5
_LOOKED_AT = 500  # entries of one person on one record since a form was first sent
_CLOCK_MARGIN = 300.0  # seconds that the instance's clock can be behind ours
_FORM_LIFE = 86_400.0  # seconds for which an attempt to write is remembered
_ANY_ZONE = 14 * 3600.0  # the reader's zone is not known
_TIME = r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4} \d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?: ?[AaPp]\.?[Mm]\.?)?"
_HEADING = re.compile(rf"(?:\A|(?<=\n\n))(?P<at>{_TIME}) - (?P<author>[^\n]+) \((?P<label>[^()\n]+)\)\n")
_FORMATS = tuple(
    f"{day} {time}"
    for day in ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%Y/%m/%d")
    for time in ("%H:%M:%S", "%H:%M", "%H.%M.%S", "%I:%M:%S %p", "%I:%M %p")
)
_OUT = "%Y-%m-%d %H:%M"


class JournalClient:
    """
    Reads and adds entries with one person's permissions. Raises the errors of `ServiceNowClient`.

    Args:
        zone: The person's IANA time zone.
    """

    def __init__(self, api: TableApi, zone: str, identity: Identity) -> None:
        self._api = api
        self._zone = zone
        self._identity = identity

    def latest(self, table: str, sys_id: str, *, skip: int = 0, most: int = 10) -> Entries:
        """The newest entries after the first *skip*. One request."""
        record = self._api.row(table, sys_id, ("sys_id", *ELEMENTS))
        entries = split_columns({name: record.display(name) for name in ELEMENTS})
        return Entries(entries[skip : skip + most], len(entries) > skip + most, "work_notes" in record.cells)

    def count(
        self, table: str, sys_id: str, element: str, matches: Callable[[str], bool], since: float, text: str = ""
    ) -> int:
        """
        How many entries the person has written at or after *since* (Unix seconds) whose text *matches*.

        Looks at the newest 500. If the entries of a journal can't be told apart, 1 if the whole text contains *text*.
        """
        author = self._identity.user_name
        after = at_or_after("sys_created_on", since - _CLOCK_MARGIN)
        # Others may have added any number of entries meanwhile.
        mine = [equals("element", element), equals("sys_created_by", author)]
        rows = self._rows(sys_id, _LOOKED_AT, after, *mine)
        rows = [one for one in rows if (one.element, one.author) == (element, author)]
        if rows:
            return sum(matches(one.text) for one in rows)
        column = self._api.row(table, sys_id, ("sys_id", element)).display(element)
        if _HEADING.match(column) is None:
            return int(bool(text) and _squeezed(text) in _squeezed(column))
        found = islice(self._own(column, since), _LOOKED_AT)
        return sum(any(map(matches, texts)) for texts in found)

    def _own(self, column: str, since: float) -> Iterator[list[str]]:
        """Possible texts of the person's entries after *since*, newest first; everyone's if the person is unknown."""
        authors = {self._identity.name, self._identity.user_name} if self._identity.known else set()
        for heading, texts in _possible(column):
            if (not authors or heading["author"] in authors) and self._in_time(heading["at"], since - _CLOCK_MARGIN):
                yield texts

    def _in_time(self, at: str, since: float) -> bool:
        """Whether a heading's time can be after *since* in one of the formats. A form lives for less than a day."""
        off = 0.0 if self._zone else _ANY_ZONE
        moments = [moment.timestamp() for moment in _moments(at, zone_of(self._zone))]
        return not moments or any(since - off <= moment <= since + _FORM_LIFE + off for moment in moments)

    def add(self, table: str, sys_id: str, element: str, text: str, wanted: Sequence[str], since: float) -> Record:
        """
        Add an entry and return *wanted*. One request.

        Args:
            since: Unix seconds. The entry is among the person's since then, however many of others follow.

        Raises:
            NotSaved: ServiceNow accepted the request but the entry isn't there. The account may not write it.
        """
        record = self._api.update(table, sys_id, {element: text}, tuple(dict.fromkeys((*wanted, element))))
        column = record.display(element)
        # Others may have added entries at the same time, and the text itself can contain a heading.
        newest = split(column, element)[:_NEWEST]
        kept = any(entry.text and _same(text, entry) for entry in newest)
        if not kept and not any(_squeezed(text) in map(_squeezed, texts) for texts in self._own(column, since)):
            raise NotSaved(
                f"{table}: {element} not kept",
                "ServiceNow shows no such entry afterwards: your account may not write it here, or not see it.",
            )
        return record

    def _rows(self, sys_id: str, most: int, *terms: Term) -> list[JournalEntry]:
        query = Query().where(equals("element_id", sys_id)).where(one_of("element", ELEMENTS))
        for term in terms:
            query = query.where(term)
        query = query.order_by("sys_created_on", descending=True)
        columns = ("element_id", "element", "value", "sys_created_on", "sys_created_by")
        try:
            rows = self._api.rows("sys_journal_field", query, columns, most)
        except (AccessDenied, NotFound, NotInstalled):
            return []
        return [
            JournalEntry(
                element=str(row["element"]),
                author=str(row.get("sys_created_by") or ""),
                at=shown(str(row.get("sys_created_on") or ""), self._zone),
                text=str(row.get("value") or "").strip(),
            )
            for row in rows
            if row.get("element_id") == sys_id and row.get("element") in ELEMENTS
        ]


def split(text: str, element: str) -> list[JournalEntry]:
    """
    Parse the text of one journal column. Times and names are kept as the instance formats them.

    All headings of a column have the same label. A line that looks like a heading with another label is text. A text
    without a known heading becomes one entry without an author, so that nothing is lost.
    """
    first = _HEADING.match(text)
    if first is None:
        return [JournalEntry(element, "", "", text.strip())] if text.strip() else []
    headings = [found for found in _HEADING.finditer(text) if found["label"] == first["label"]]
    ends = [found.start() for found in headings[1:]] + [len(text)]
    return [
        JournalEntry(element, found["author"], found["at"], text[found.end() : end].strip())
        for found, end in zip(headings, ends, strict=True)
    ]


def _possible(text: str) -> Iterator[tuple[re.Match[str], list[str]]]:
    """
    Each heading of a journal column's text, with the texts that its entry can have.

    An entry can contain lines that look like headings, so the next few headings can belong to its text.
    """
    headings = list(_HEADING.finditer(text))
    ends = [found.start() for found in headings[1:]] + [len(text)]
    for number, found in enumerate(headings):
        yield found, [text[found.end() : end].strip() for end in ends[number : number + _NEWEST]]


def _moments(at: str, zone: ZoneInfo) -> Iterator[datetime]:
    """The moments that a heading's time can mean."""
    for form in _FORMATS:
        with suppress(ValueError):
            yield datetime.strptime(at.upper(), form).replace(tzinfo=zone)


def split_columns(texts: Mapping[str, str]) -> list[JournalEntry]:
    """
    Merge the entries of several columns into one list, newest first.

    An entry's kind is its column, never a word in its heading. Times are compared in the one format that fits every
    column. If none does, the columns follow one another.
    """
    columns = [split(text, element) for element, text in texts.items()]
    for form in _FORMATS:
        try:
            dated = [[(datetime.strptime(e.at.upper(), form), e) for e in entries] for entries in columns]
        except ValueError:
            continue
        if all(a[0] >= b[0] for column in dated for a, b in pairwise(column)):
            every = sorted((pair for column in dated for pair in column), key=lambda pair: pair[0], reverse=True)
            return [JournalEntry(e.element, e.author, at.strftime(_OUT), e.text) for at, e in every]
    return [entry for entries in columns for entry in entries]


def _same(text: str, entry: JournalEntry) -> bool:
    """Whether *entry* is *text*. An entry without a heading is the whole column, so it only has to contain *text*."""
    if not entry.at:
        return _squeezed(text) in _squeezed(entry.text)
    return _squeezed(text).startswith(_squeezed(entry.text))


def _squeezed(text: str) -> str:
    return " ".join(text.split())
