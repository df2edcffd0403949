"""The first step: a file's records become rows of the retrieved set (update-set reference §1.1 to §1.3)."""

import uuid

from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.update_sets.payload import BadPayload, parse


class BadFile(Exception):
    """The file is no update set; the text says why."""


def load(store: Store, xml: bytes) -> str:
    """
    Load a file; the sys_id of the retrieved set.

    A file whose set is there already appends its updates to it (measured), and the set is loaded again.

    Raises:
        BadFile: It is no update set.
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
    if update.get("update_set"):  # taken for a local one: such a file imports into nothing
        update = update | {"remote_update_set": ""}
    store.put("sys_update_xml", _known(store, "sys_update_xml", update))


def _known(store: Store, table: str, row: Row) -> Row:
    """Unknown elements are dropped without a word."""
    columns = store.columns(table)
    return {name: value for name, value in row.items() if name in columns}
