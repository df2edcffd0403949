"""The load: a file's records become rows of a retrieved set (update-set reference §1.1 to §1.3)."""

import uuid

from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.update_sets.payload import BadPayload, parse


class BadFile(Exception):
    """The file isn't an update set. The text says why."""


def load(store: Store, xml: bytes) -> str:
    """
    Load a file, and return the sys_id of the retrieved set.

    If the set exists already, the file's updates are added to it (measured), and it becomes loaded again.

    Raises:
        BadFile: It isn't an update set.
    """
    try:
        root = parse(xml)
    except BadPayload as problem:
        raise BadFile(f"Not XML: {problem}") from problem
    children = [child for child in root if isinstance(child.tag, str)]
    if root.tag != "unload" or not root.get("unload_date"):
        raise BadFile("The root element is not unload with its date")
    if not children or children[0].tag != "sys_remote_update_set":
        raise BadFile("The first element is not sys_remote_update_set")
    if any(child.tag != "sys_update_xml" for child in children[1:]):
        raise BadFile("There is something else than sys_update_xml after the set")
    described, *updates = [{str(field.tag): field.text or "" for field in child} for child in children]
    missing = [name for name in ("sys_id", "name", "state", "remote_sys_id") if not described.get(name)]
    if missing or described["state"] != "loaded":
        raise BadFile(f"The set lacks {', '.join(missing) or 'state loaded'}")
    set_id = described["sys_id"]
    with store.lock:
        store.put("sys_remote_update_set", _known(store, "sys_remote_update_set", described))
        for update in updates:
            _add(store, update)
        mine = [row for row in store.rows("sys_update_xml") if row["remote_update_set"] == set_id]
        count = str(len(mine))
        counted = {"inserted": count, "summary": count, "state": "loaded"}
        store.put("sys_remote_update_set", store.find("sys_remote_update_set", set_id) | counted)  # type: ignore[operator]
    return set_id


def _add(store: Store, update: Row) -> None:
    sys_id = update.get("sys_id", "")
    if not sys_id or store.find("sys_update_xml", sys_id):
        update = update | {"sys_id": uuid.uuid4().hex}
    if update.get("update_set"):  # treated as a local set, so the file imports nothing
        update = update | {"remote_update_set": ""}
    store.put("sys_update_xml", _known(store, "sys_update_xml", update))


def _known(store: Store, table: str, row: Row) -> Row:
    """Silently drop unknown elements."""
    columns = store.columns(table)
    return {name: value for name, value in row.items() if name in columns}
