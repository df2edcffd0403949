"""Read the built update set like an instance: rows, and the record in each."""

from dataclasses import dataclass
from functools import cache

from lxml import etree

from updateset.build import RELEASE, build

PARSER = etree.XMLParser(strip_cdata=False, huge_tree=True)
SCRIPT_COLUMNS = ("script", "operation_script")


@dataclass(frozen=True)
class Row:
    """One update: its columns, the parsed payload and the record in it."""

    columns: dict[str, str]
    payload: etree._Element
    record: etree._Element

    @property
    def name(self) -> str:
        """The update name."""
        return self.columns["name"]

    @property
    def table(self) -> str:
        """The record's table."""
        return str(self.record.tag)

    def value(self, column: str) -> str:
        """A column of the record; fails where it is missing."""
        element = self.record.find(column)
        assert element is not None, f"{self.name} has no {column}"
        return element.text or ""

    @property
    def script(self) -> str:
        """The record's script, "" for none."""
        return next((self.value(column) for column in SCRIPT_COLUMNS if self.record.find(column) is not None), "")


@cache
def content() -> bytes:
    """The file."""
    return build(RELEASE)


@cache
def root() -> etree._Element:
    """The parsed file."""
    return etree.fromstring(content(), PARSER)


@cache
def rows() -> tuple[Row, ...]:
    """All updates, in the order of the file."""
    found = []
    for element in root()[1:]:
        columns = {str(child.tag): child.text or "" for child in element}
        payload = etree.fromstring(columns["payload"].encode())
        record = payload[0]
        if record.tag == "sys_documentation":
            record = record[0]
        found.append(Row(columns, payload, record))
    return tuple(found)


def of(table: str) -> list[Row]:
    """The updates of one table's records."""
    return [row for row in rows() if row.table == table]


def by_id() -> dict[str, Row]:
    """The updates by their record's sys_id."""
    return {row.value("sys_id"): row for row in rows()}


def scripts() -> dict[str, str]:
    """Every script in the file, by update name."""
    return {row.name: row.script for row in rows() if row.script}


def includes() -> list[str]:
    """The script includes, in an order in which they can be loaded."""
    return [row.script for row in of("sys_script_include")]
