"""What one update of a set carries: the record document inside it (update-set reference §1.4)."""

from dataclasses import dataclass, field

from lxml import etree

from sandbox.servicenow.records.store import Row

DELETE = "DELETE"
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
# Types whose document has a wrapper of the same name around its records.
WRAPPED = {"sys_documentation", "sys_choice", "sys_ui_section", "sys_ui_form_sections", "sys_ui_list", "sys_ui_related"}
# How a canonical update name is built for types that are not known by their sys_id.
_BY_NAME = {
    "sys_dictionary": lambda a: f"sys_dictionary_{a['table']}_{a['element'] or 'null'}",
    "sys_documentation": lambda a: f"sys_documentation_{a['table']}_{a['element']}_{a['language']}",
    "sys_choice": lambda a: f"sys_choice_{a['table']}_{a['field']}",
}


class BadPayload(Exception):
    """Not a record document."""


@dataclass
class Payload:
    """
    Args:
        table: What it is of.
        action: ``INSERT_OR_UPDATE`` or ``DELETE``.
        records: The rows, one but for choice lists and layouts; the first is the one that the update is about.
        attributes: Of the handler's element; empty where the record has none.
        canonical: Whether it has the shape that the platform gives it (§1.8).
    """

    table: str
    action: str
    records: list[Row]
    attributes: Row = field(default_factory=dict)
    canonical: bool = True

    @property
    def record(self) -> Row:
        """The first row; empty where there is none."""
        return self.records[0] if self.records else {}


def parse(xml: str | bytes) -> "etree._Element":
    """A document, without reaching out for anything. Raises BadPayload."""
    try:
        return etree.fromstring(xml.encode() if isinstance(xml, str) else xml, _PARSER)
    except (etree.XMLSyntaxError, ValueError) as problem:
        raise BadPayload(str(problem)) from problem


def read(text: str, name: str) -> Payload:
    """
    Read a payload.

    Args:
        name: The update's name: for some types the shape counts only under the right one.

    Raises:
        BadPayload: It has no record.
    """
    root = parse(text)
    outer = next((child for child in root if isinstance(child.tag, str)), None)
    if root.tag != "record_update" or outer is None:
        raise BadPayload("no record_update with a record in it")
    table = str(outer.tag)
    elements = [child for child in outer if isinstance(child.tag, str)]
    wrapped = table in WRAPPED and any(child.get("action") for child in elements)
    if wrapped:
        same = [child for child in elements if child.tag == table and child.get("action")]
        action = outer.get("action") or next((child.get("action") or "" for child in same), "")
        records = [_row(child) for child in same]
    else:
        action = outer.get("action") or ""
        records = [_row(outer)]
    attributes = {str(key): str(value) for key, value in outer.attrib.items() if key != "action"}
    return Payload(table, action, records, attributes, _is_canonical(root, table, attributes, name))


def _is_canonical(root: "etree._Element", table: str, attributes: Row, name: str) -> bool:
    known = _BY_NAME.get(table)
    if known is None:
        return root.get("table") == table or table in WRAPPED
    try:
        return root.get("table") is None and known(attributes) == name
    except KeyError:
        return False


def _row(element: "etree._Element") -> Row:
    return {str(child.tag): child.text or "" for child in element if isinstance(child.tag, str)}
