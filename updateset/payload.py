"""A record of the update set as the XML document that ServiceNow exports, and its checksum."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from updateset.published import Published, published
from updateset.shapes import APP_REF, SCOPE, FileType, Ref, Value

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
ACTION = "INSERT_OR_UPDATE"
SCRIPTS = Path(__file__).with_name("js")

# Elements that the checksum ignores: identity and dates.
_UNHASHED = (
    "sys_code", "sys_created_by", "sys_created_on", "sys_id", "sys_mod_count", "sys_package", "sys_update_name",
    "sys_updated_by", "sys_updated_on", "sys_translated_text",
)  # fmt: skip
_LEFT_OUT = re.compile("|".join(rf"<{tag}(?: [^>]*)?/>|<{tag}(?: [^>]*)?>.*?</{tag}>" for tag in _UNHASHED), re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class ApplicationFile:
    """
    One record of the component.

    Args:
        sys_id: 32 hex digits; the same as in version 2.1 if that has the record.
        values: Columns that differ from the kind's defaults.
        target: The update's target in lists; the record's name by default.
        row_table: The update's column ``table``.
        policy: ``sys_policy``; ``read`` protects scripts.
    """

    kind: FileType
    sys_id: str
    values: Mapping[str, Value]
    target: str = ""
    row_table: str = ""
    policy: str = ""

    def __post_init__(self) -> None:
        unknown = set(self.values) - set(self.kind.defaults)
        if unknown:
            raise ValueError(f"{self.kind.table} has no columns {sorted(unknown)}")

    def value(self, column: str) -> str:
        """A column's plain value."""
        value = {**self.kind.defaults, **self.values}[column]
        return value.value if isinstance(value, Ref) else value

    @property
    def update_name(self) -> str:
        """The update's name, which is the same for all updates of this record."""
        table, values = self.kind.table, self.values
        if table == "sys_dictionary":
            return f"{table}_{values['name']}_{values.get('element') or 'null'}"
        if table == "sys_documentation":
            return f"{table}_{values['name']}_{values.get('element', '')}_en"
        return f"{table}_{self.sys_id}"

    @property
    def display_name(self) -> str:
        """``sys_name``."""
        if self.kind.table == "sys_security_acl_role":
            acl, role = self.values["sys_security_acl"], self.values["sys_user_role"]
            assert isinstance(acl, Ref)
            assert isinstance(role, Ref)
            return f"{acl.display}.{role.display}"
        if self.kind.table == "sys_dictionary":
            return self.value("column_label") or self.value("name")
        return self.value(self.kind.name_from)

    @property
    def before(self) -> Published | None:
        """The record in version 2.1, or None if it is new."""
        return published().get(self.update_name)


def new_id(kind: FileType, key: str) -> str:
    """The sys_id of a record that version 2.1 doesn't have. It is the same in every release."""
    return hashlib.md5(f"{SCOPE}|{kind.table}|{key}".encode(), usedforsecurity=False).hexdigest()


def script(name: str) -> str:
    """The script ``js/<name>.js`` (ES5.1) without the line feed at its end."""
    return (SCRIPTS / f"{name}.js").read_text(encoding="ascii").rstrip("\n")


def record_xml(record: ApplicationFile, *, released_on: str) -> tuple[str, bool]:
    """
    The record's document, and whether it differs from version 2.1.

    Args:
        released_on: When new and changed records were saved; UTC, ``YYYY-MM-DD HH:MM:SS``.
    """
    before = record.before
    if before is not None:
        same = _document(record, before.created_on, before.updated_on, before.mod_count)
        if payload_hash(same) == before.payload_hash:
            return same, False
        return _document(record, before.created_on, released_on, before.mod_count + 1), True
    return _document(record, released_on, released_on, 0), True


def payload_hash(text: str) -> str:
    """Java's ``String.hashCode`` of the document without identity and dates, in decimal."""
    value = 0
    units = _LEFT_OUT.sub("", text).encode("utf-16-be")
    for high, low in zip(units[::2], units[1::2], strict=True):
        value = (31 * value + (high << 8) + low) & 0xFFFFFFFF
    return str(value - (1 << 32) if value >> 31 else value)


def _document(record: ApplicationFile, created_on: str, updated_on: str, mod_count: int) -> str:
    kind = record.kind
    root = etree.Element("record_update")
    if not kind.handler:
        if kind.domain:
            root.set("sys_domain", "global")
        root.set("table", kind.table)
    parent = root
    if kind.table == "sys_documentation":
        parent = etree.SubElement(root, kind.table)
        for attribute in ("element", "label", "language"):
            parent.set(attribute, record.value(attribute))
        parent.set("table", record.value("name"))
    element = etree.SubElement(parent, kind.table, action=ACTION)
    if kind.table == "sys_dictionary":
        element.set("element", record.value("element"))
        element.set("table", record.value("name"))
    columns: dict[str, Value] = {
        **kind.defaults,
        **record.values,
        "sys_class_name": kind.table,
        "sys_created_by": "admin",
        "sys_created_on": created_on,
        "sys_id": record.sys_id,
        "sys_mod_count": str(mod_count),
        "sys_updated_by": "admin",
        "sys_updated_on": updated_on,
    }
    if kind.table != "sys_app":  # is the package and the scope
        columns |= {
            "sys_name": record.display_name,
            "sys_package": APP_REF,
            "sys_policy": record.policy,
            "sys_scope": APP_REF,
            "sys_update_name": record.update_name,
        }
    if kind.domain:
        columns |= {"sys_domain": "global", "sys_domain_path": "/", "sys_overrides": ""}
    for column in sorted(columns):
        _add(element, column, columns[column], script=column in kind.scripts)
    if kind.translated:
        etree.SubElement(root, "sys_translated_text", action="delete_multiple", query=f"documentkey={record.sys_id}")
    return DECLARATION + etree.tostring(root, encoding="unicode")


def _add(parent: etree._Element, column: str, value: Value, *, script: bool) -> None:
    element = etree.SubElement(parent, column)
    if isinstance(value, Ref):
        element.set("display_value", value.display)
        if value.name:
            element.set("name", value.name)
        if column == "sys_package":
            element.set("source", SCOPE)
        element.text = value.value
    elif script and value:
        element.text = etree.CDATA(value)
    elif value:
        element.text = value
