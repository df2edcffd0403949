"""
Builds the update set: an XML file with a descriptor and a row per record, to import with System Update Sets > Retrieved
Update Sets > Import Update Set from XML.

The same release always has the same bytes. Records of version 2.1 keep their sys_id and history, and unchanged ones
their guid too. So one file works for new instances and for upgrades.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from updateset.payload import ACTION, DECLARATION, ApplicationFile, payload_hash, record_xml
from updateset.records import records
from updateset.shapes import APP, APP_NAME, ORDER, SCOPE
from updateset.tables import table_records


@dataclass(frozen=True)
class Release:
    """
    One release of the component.

    Args:
        version: The scripts contain it too, and ``component/version`` returns it.
        released_at: The UTC time of new and changed records. It must be later than version 2.1 (November 2022) and not
            in the future, because an instance prefers the newer of two updates with the same name.
    """

    version: str
    released_at: datetime


RELEASE = Release("3.0.0", datetime(2026, 11, 24, 12, 0, tzinfo=UTC))

DESCRIPTION = (
    "Tells Mattermost what happens to incidents, problems, changes, tasks and knowledge articles that its channels"
    " subscribed to: signed requests, with retries. Upgrades version 2.1 in place and keeps all subscriptions; deletes"
    " nothing. After the commit: give the role x_830655_mm_std.user to those who may subscribe. To switch it off, set"
    " the system property x_830655_mm_std.enabled (type string) to false."
)

# The instance that loads the file fills these.
_EMPTY = (
    "collisions", "commit_date", "deleted", "inserted", "origin_sys_id", "release_date", "remote_parent_id", "summary",
    "updated",
)  # fmt: skip
_EMPTY_REFERENCES = ("parent", "remote_base_update_set", "update_set", "update_source")

Columns = dict[str, str | tuple[str, str]]  # a reference is a value and a display value


def build(release: Release) -> bytes:
    """The file in UTF-8."""
    released_on = release.released_at.strftime("%Y-%m-%d %H:%M:%S")
    name = f"{APP_NAME} {release.version}"
    descriptor = _id(release, "sys_remote_update_set")
    root = etree.Element("unload", unload_date=released_on)
    root.text = "\n"
    _append(root, "sys_remote_update_set", _descriptor(release, name, descriptor, released_on))
    for number, record in enumerate(sorted([*records(release.version), *table_records()], key=_order)):
        _append(root, "sys_update_xml", _row(release, name, descriptor, released_on, number, record))
    return (DECLARATION + etree.tostring(root, encoding="unicode") + "\n").encode()


def _order(record: ApplicationFile) -> tuple[int, bool]:
    """Sorts by kind, and a table's own definition and label before those of its columns."""
    return ORDER.index(record.kind), bool(record.values.get("element"))


def _descriptor(release: Release, name: str, sys_id: str, released_on: str) -> Columns:
    return {
        **dict.fromkeys(_EMPTY, ""),
        **dict.fromkeys(_EMPTY_REFERENCES, ("", "")),
        "application": (APP, APP_NAME),
        "application_name": APP_NAME,
        "application_scope": SCOPE,
        "application_version": release.version,
        "description": DESCRIPTION,
        "name": name,
        "remote_sys_id": _id(release, "sys_update_set"),
        "state": "loaded",
        "sys_class_name": "sys_remote_update_set",
        "sys_created_by": "admin",
        "sys_created_on": released_on,
        "sys_id": sys_id,
        "sys_mod_count": "0",
        "sys_updated_by": "admin",
        "sys_updated_on": released_on,
    }


def _row(
    release: Release, set_name: str, descriptor: str, released_on: str, number: int, record: ApplicationFile
) -> Columns:
    text, changed = record_xml(record, released_on=released_on)
    checksum = payload_hash(text)
    before = record.before
    if before is not None and not changed:
        guid, history = before.guid, before.history
    else:
        guid = _id(release, f"{record.update_name}|{checksum}")
        history = ",".join([f"{guid}:{checksum}", *([before.history] if before else [])])
    # Milliseconds since 1970 and a counter, in the order of the rows.
    recorded_at = f"{int(release.released_at.timestamp() * 1000) + number:011x}{1:07x}"
    return {
        "action": ACTION,
        "application": (APP, APP_NAME),
        "category": "customer",
        "comments": "",
        "name": record.update_name,
        "payload": text,
        "payload_hash": checksum,
        "remote_update_set": (descriptor, set_name),
        "replace_on_upgrade": "false",
        "sys_created_by": "admin",
        "sys_created_on": released_on,
        "sys_id": _id(release, record.update_name),
        "sys_mod_count": "0",
        "sys_recorded_at": recorded_at,
        "sys_updated_by": "admin",
        "sys_updated_on": released_on,
        "table": record.row_table,
        "target_name": record.target or record.display_name,
        "type": record.kind.label,
        "update_domain": "global",
        "update_guid": guid,
        "update_guid_history": history,
        "update_set": ("", ""),
        "view": "",
    }


def _append(root: etree._Element, tag: str, columns: Columns) -> None:
    element = etree.SubElement(root, tag, action=ACTION)
    element.text = element.tail = "\n"
    for column in sorted(columns):
        child = etree.SubElement(element, column)
        child.tail = "\n"
        value = columns[column]
        if isinstance(value, tuple):
            value, display = value
            child.set("display_value", display)
        if column == "payload" and "]]>" not in value:
            child.text = etree.CDATA(value)
        elif value:
            child.text = value


def _id(release: Release, key: str) -> str:
    text = f"{SCOPE}|{release.version}|{release.released_at.isoformat()}|{key}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
