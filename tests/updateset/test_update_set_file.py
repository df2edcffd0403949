"""The file's format: structure, IDs, dates and checksums. The same release always gives the same bytes."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lxml import etree

from tests.updateset.artifact import PARSER, content, of, root, rows
from tests.updateset.facts import APP, NEWEST_RECORDED, SCOPE
from updateset.build import RELEASE, Release, build
from updateset.payload import payload_hash

ROOT = Path(__file__).parent.parent.parent
SYS_ID = re.compile(r"[0-9a-f]{32}")
ROW = (
    "action application category comments name payload payload_hash remote_update_set replace_on_upgrade sys_created_by"
    " sys_created_on sys_id sys_mod_count sys_recorded_at sys_updated_by sys_updated_on table target_name type"
    " update_domain update_guid update_guid_history update_set view"
)
DESCRIPTOR = (
    "application application_name application_scope application_version collisions commit_date deleted description"
    " inserted name origin_sys_id parent release_date remote_base_update_set remote_parent_id remote_sys_id state"
    " summary sys_class_name sys_created_by sys_created_on sys_id sys_mod_count sys_updated_by sys_updated_on"
    " update_set update_source updated"
)


def _descriptor() -> dict[str, str]:
    return {str(child.tag): child.text or "" for child in root()[0]}


def test_it_is_clean_utf_8() -> None:
    """The file and its payloads have no byte order mark and no control characters except tab and line feed."""
    assert content().startswith(b'<?xml version="1.0" encoding="UTF-8"?><unload unload_date="')
    texts = [content().decode("utf-8"), *(row.columns["payload"] for row in rows())]
    for text in texts:
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]", text)
    assert content().endswith(b"</unload>\n")


def test_one_descriptor_comes_first_and_every_row_is_complete() -> None:
    """The descriptor has the state loaded. Each row has all 24 columns in order."""
    assert root().tag == "unload"
    assert [child.tag for child in root()].count("sys_remote_update_set") == 1
    assert root()[0].tag == "sys_remote_update_set"
    assert [child.tag for child in root()[0]] == DESCRIPTOR.split()
    assert _descriptor()["state"] == "loaded"
    assert len(rows()) > 100
    for element in root()[1:]:
        assert element.tag == "sys_update_xml"
        assert [child.tag for child in element] == ROW.split()
    assert {element.get("action") for element in root()} == {"INSERT_OR_UPDATE"}


def test_the_descriptor_names_the_release_for_administrators() -> None:
    """Its name and application version have the release's version, and its description names the scope."""
    descriptor = _descriptor()
    assert RELEASE.version in descriptor["name"]
    assert SCOPE in descriptor["description"]
    assert descriptor["application_version"] == of("sys_app")[0].value("version") == RELEASE.version == "3.0.0"


def test_ids_are_valid_and_unique() -> None:
    """This holds for rows, records and update GUIDs. Names are unique too."""
    for values in (
        [row.columns["sys_id"] for row in rows()],
        [row.value("sys_id") for row in rows()],
        [row.columns["update_guid"] for row in rows()],
    ):
        assert all(SYS_ID.fullmatch(value) for value in values)
        assert len(set(values)) == len(values)
    names = [row.name for row in rows()]
    assert len(set(names)) == len(names)
    assert SYS_ID.fullmatch(_descriptor()["sys_id"])
    assert SYS_ID.fullmatch(_descriptor()["remote_sys_id"])


def test_every_row_belongs_to_the_set_and_the_application() -> None:
    """Each row has the descriptor's ID, the application and no local update set."""
    descriptor = _descriptor()
    assert descriptor["application"] == APP
    for row in rows():
        assert row.columns["remote_update_set"] == descriptor["sys_id"]
        assert row.columns["update_set"] == ""
        assert row.columns["application"] == APP
        if row.table != "sys_app":
            assert row.value("sys_scope") == row.value("sys_package") == APP


def test_nothing_is_deleted() -> None:
    """Deletes would lose people's data and need a confirmation."""
    for row in rows():
        assert row.columns["action"] == "INSERT_OR_UPDATE"
        assert {element.get("action") for element in row.payload.iter() if element.get("action")} <= {
            "INSERT_OR_UPDATE",
            "delete_multiple",  # translations of a rule's texts, as in every export of a rule
        }


def test_checksums_are_the_platforms() -> None:
    """`payload_hash` matches the payload, and the newest pair of the history is this version's."""
    for row in rows():
        assert row.columns["payload_hash"] == payload_hash(row.columns["payload"])
        first = row.columns["update_guid_history"].split(",")[0]
        assert first == f"{row.columns['update_guid']}:{row.columns['payload_hash']}"


def test_the_checksum_is_javas() -> None:
    """It matches known values of Java's String.hashCode, including a surrogate pair and an overflow."""
    assert payload_hash("") == "0"
    assert payload_hash("hello") == "99162322"
    assert payload_hash("polygenelubricants") == "-2147483648"
    assert payload_hash("\U0001f600") == "1772899"
    assert payload_hash(
        "<a><sys_id>1</sys_id><sys_code/><sys_package source='x'>2</sys_package>hello</a>"
    ) == payload_hash("<a>hello</a>")


def test_rows_are_dated_after_the_previous_version() -> None:
    """Rows are dated in the order of the file, after version 2.1 and not in the future."""
    recorded = [row.columns["sys_recorded_at"] for row in rows()]
    assert all(re.fullmatch("[0-9a-f]{18}", value) for value in recorded)
    assert recorded == sorted(set(recorded))
    assert recorded[0] > NEWEST_RECORDED
    newest = datetime.fromtimestamp(int(recorded[-1][:11], 16) / 1000, UTC)
    assert newest < datetime.now(UTC)
    assert timedelta() <= newest - RELEASE.released_at < timedelta(seconds=1)


def test_rows_come_after_the_rows_they_depend_on() -> None:
    """The application is first. Tables precede columns, columns precede ACLs, and includes precede their callers."""
    order = [row.table for row in rows()]
    kinds = list(dict.fromkeys(order))
    assert order == sorted(order, key=kinds.index)
    assert kinds == [
        "sys_app",
        "sys_user_role",
        "sys_db_object",
        "sys_dictionary",
        "sys_documentation",
        "sys_security_acl",
        "sys_security_acl_role",
        "sysevent_register",
        "sys_script_include",
        "sys_ws_definition",
        "sys_ws_operation",
        "sys_script",
        "sysevent_script_action",
        "sys_scope_privilege",
    ]
    elements = [row.value("element") for row in of("sys_dictionary")]
    assert elements[:3] == ["", "", ""]
    assert all(elements[3:])


def test_serializing_the_parsed_file_gives_the_same_bytes() -> None:
    """This holds for the file and for each payload."""
    again = '<?xml version="1.0" encoding="UTF-8"?>' + etree.tostring(root(), encoding="unicode") + "\n"
    assert again.encode() == content()
    for row in rows():
        payload = etree.fromstring(row.columns["payload"].encode(), PARSER)
        text = '<?xml version="1.0" encoding="UTF-8"?>' + etree.tostring(payload, encoding="unicode")
        assert text == row.columns["payload"]


def test_only_payloads_with_cdata_are_escaped() -> None:
    """No `]]>` ends a CDATA section too early."""
    for element in root()[1:]:
        payload = element.find("payload")
        assert payload is not None
        raw = etree.tostring(payload, encoding="unicode")
        assert ("<![CDATA[" in raw) == ("]]>" not in (payload.text or ""))


def test_the_same_release_gives_the_same_bytes_and_another_gives_other_ids() -> None:
    """The file depends only on the release. A later release can be loaded in addition to this one."""
    assert build(RELEASE) == content()
    later = etree.fromstring(build(Release("3.0.1", RELEASE.released_at + timedelta(days=1))), PARSER)
    ours = {row.columns["sys_id"] for row in rows()} | {_descriptor()["sys_id"], _descriptor()["remote_sys_id"]}
    theirs = {text for element in later for tag in ("sys_id", "remote_sys_id") if (text := element.findtext(tag))}
    assert len(theirs) == len(ours)
    assert not ours & theirs


def test_the_command_writes_only_the_file() -> None:
    """`cli.py update-set` needs no settings and prints only the XML."""
    result = subprocess.run(
        [sys.executable, "cli.py", "update-set"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
    )
    assert result.stdout == content()
    assert result.stderr == b""
