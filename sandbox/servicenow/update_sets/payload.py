"""Parses the payload of an update: its record document (update-set reference §1.4)."""

from dataclasses import dataclass, field

from lxml import etree

from sandbox.servicenow.records.store import Row

DELETE = "DELETE"
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
# Types whose records are inside an element with the type's name.
WRAPPED = {"sys_documentation", "sys_choice", "sys_ui_section", "sys_ui_form_sections", "sys_ui_list", "sys_ui_related"}
# The canonical update names of types that aren't identified by sys_id.
_BY_NAME = {
    "sys_dictionary": lambda a: f"sys_dictionary_{a['table']}_{a['element'] or 'null'}",
    "sys_documentation": lambda a: f"sys_documentation_{a['table']}_{a['element']}_{a['language']}",
    "sys_choice": lambda a: f"sys_choice_{a['table']}_{a['field']}",
}


class BadPayload(Exception):
    """It isn't a record document."""


@dataclass
class Payload:
    """
    A parsed payload.

    Args:
        table: The table of the records.
        action: ``INSERT_OR_UPDATE`` or ``DELETE``.
        records: The rows. Only choice lists and layouts have more than one. The first is the main one.
        attributes: Those of the handler's element. Empty without one.
        canonical: Whether it has the platform's own format (§1.8).
    """

    table: str
    action: str
    records: list[Row]
    attributes: Row = field(default_factory=dict)
    canonical: bool = True

    @property
    def record(self) -> Row:
        """The first row, or an empty one."""
        return self.records[0] if self.records else {}


def parse(xml: str | bytes) -> "etree._Element":
    """Parse XML without external entities. Raises BadPayload."""
    try:
        return etree.fromstring(xml.encode() if isinstance(xml, str) else xml, _PARSER)
    except (etree.XMLSyntaxError, ValueError) as problem:
        raise BadPayload(str(problem)) from problem


def read(text: str, name: str) -> Payload:
    """
    Parse a payload.

    Args:
        name: The update's name. Some types are canonical only under the right one.

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
