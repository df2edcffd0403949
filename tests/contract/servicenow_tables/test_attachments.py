"""The Attachment API of the double: both uploads, metadata and headers as recorded, rights, limits."""

import json
import re
from typing import Any

import pytest
import requests

from sandbox.servicenow import ServiceNowDouble
from sandbox.servicenow.seed.records import sys_id
from tests.contract.servicenow_tables.asking import Json, error, recorded, send

API = "/api/now/attachment"
DATA = b"line one\n\x00\xff" * 40


def record(double: ServiceNowDouble, number: str = "INC0010003") -> Json:
    """A seeded incident of the requester's."""
    [row] = [row for row in double.rows("incident") if row["number"] == number]
    return row


def upload(
    double: ServiceNowDouble,
    row: Json,
    name: str = "notes.txt",
    who: str = "agent",
    data: bytes = DATA,
    kind: str = "text/plain",
    other: dict[str, str] | None = None,
) -> requests.Response:
    """A raw body; *other* replaces the parts of the URL."""
    where = {"table_name": "incident", "table_sys_id": row["sys_id"], "file_name": name} | (other or {})
    headers = {"Content-Type": kind}
    url = f"{double.url}{API}/file"
    return requests.post(url, params=where, data=data, headers=headers, auth=(who, "sandbox-1"), timeout=10)


def test_a_file_is_uploaded_and_downloaded(double: ServiceNowDouble) -> None:
    """201, the download URL, pending; then available and touched by the system; the bytes with their type."""
    row = record(double)
    answer = upload(double, row, 'we"ird ü.txt')
    made = answer.json()["result"]
    assert answer.status_code == 201
    assert answer.headers["Location"] == made["download_link"] == f"{double.url}{API}/{made['sys_id']}/file"
    where = {"table_name": "incident", "table_sys_id": row["sys_id"], "file_name": "v1.txt"}
    versioned = send(double, "POST", "/api/now/v1/attachment/file", {}, **where)
    assert versioned.headers["Location"].startswith(f"{double.url}/api/now/v1/attachment/")
    double.store.delete("sys_attachment", versioned.json()["result"]["sys_id"])
    assert (made["state"], made["size_bytes"], made["sys_mod_count"]) == ("pending", str(len(DATA)), "0")
    listed = send(double, "GET", API, sysparm_query=f"table_name=incident^table_sys_id={row['sys_id']}")
    assert listed.headers["X-Total-Count"] == "1"
    [about] = listed.json()["result"]
    assert (about["state"], about["sys_updated_by"], about["sys_created_by"]) == ("available", "system", "agent")
    assert send(double, "GET", f"{API}/{made['sys_id']}").json()["result"] == about
    file = send(double, "GET", f"{API}/{made['sys_id']}/file")
    assert file.content == DATA
    assert file.headers["Content-Type"] == "text/plain;charset=UTF-8"
    named = "attachment;filename=\"we_ird _.txt\";filename*=UTF-8''we%22ird%20%C3%BC.txt"
    assert file.headers["Content-Disposition"] == named
    assert json.loads(file.headers["x-attachment-metadata"])["hash"] == made["hash"]
    assert "Cache-Control" not in file.headers
    nothing = send(double, "GET", API, sysparm_query=f"table_sys_id={'0' * 32}")
    assert (nothing.json(), nothing.headers["X-Total-Count"]) == ({"result": []}, "0")


def test_a_file_is_uploaded_as_a_form(double: ServiceNowDouble) -> None:
    """Table and record are parts before the file."""
    row = record(double)
    parts: Any = {
        "table_name": (None, "incident"),
        "table_sys_id": (None, row["sys_id"]),
        "uploadFile": ("shot.png", DATA, "image/png"),
    }
    answer = requests.post(f"{double.url}{API}/upload", files=parts, auth=("agent", "sandbox-1"), timeout=10)
    made = answer.json()["result"]
    assert (answer.status_code, made["file_name"], made["content_type"]) == (201, "shot.png", "image/png")
    assert send(double, "GET", f"{API}/{made['sys_id']}/file").content == DATA
    without: Any = {"table_name": (None, "incident"), "table_sys_id": (None, row["sys_id"])}
    assert requests.post(f"{double.url}{API}/upload", files=without, auth=("agent", "sandbox-1")).status_code == 400


def test_metadata_matches_the_recording(double: ServiceNowDouble) -> None:
    """The same keys on upload, in the list and with the download; constants and header names are equal."""
    uploaded, listed = recorded("attachments", "Upload by /attachment/file"), recorded("attachments", "List of the rec")
    double.store.put("incident", {"sys_id": uploaded["request"]["query"]["table_sys_id"], "sys_class_name": "incident"})
    row = {"sys_id": uploaded["request"]["query"]["table_sys_id"]}
    answer = upload(double, row, "test", "admin", b'{"a": 1}', "application/json")
    ours, theirs = answer.json()["result"], uploaded["response"]["body"]["result"]
    changing = r"sys_id|size_.*|hash|download_link|sys_(created|updated)_on"
    assert set(ours) == set(theirs)
    same = [name for name in theirs if not re.fullmatch(changing, name)]
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    found = send(double, "GET", API, who="admin", sysparm_query=f"table_sys_id={row['sys_id']}").json()["result"]
    theirs = listed["response"]["body"]["result"][0]
    assert {name: found[0][name] for name in same} == {name: theirs[name] for name in same}
    download = recorded("attachments", "Download: bytes")["response"]["headers"]
    file = send(double, "GET", f"{API}/{ours['sys_id']}/file", who="admin")
    wanted = json.loads(download["x-attachment-metadata"])
    assert set(json.loads(file.headers["x-attachment-metadata"])) == set(wanted)
    assert file.headers["Content-Disposition"] == download["Content-Disposition"]
    assert file.headers["Content-Type"] == download["Content-Type"]


def test_a_file_has_its_records_rights(double: ServiceNowDouble) -> None:
    """Whoever can read the record can read its files; whoever can write it can add and delete them."""
    own, other = record(double), record(double, "INC0010001")
    mine = upload(double, own, who="requester")
    assert mine.status_code == 201
    theirs = upload(double, other).json()["result"]["sys_id"]
    assert upload(double, other, who="requester").status_code == 404
    assert send(double, "GET", f"{API}/{theirs}", who="requester").status_code == 404
    assert send(double, "GET", f"{API}/{theirs}/file", who="requester").status_code == 404
    listed = send(double, "GET", API, who="requester")
    assert (len(listed.json()["result"]), listed.headers["X-Total-Count"]) == (1, "2")
    [asked] = [row for row in double.rows("sysapproval_approver") if row["state"] == "requested"]
    change = {"sys_id": asked["sysapproval"]}
    refused = upload(double, change, who="approver", other={"table_name": "change_request"})
    assert error(refused) == (403, "Operation Failed", "ACL Exception Insert Failed due to security constraints")
    gone = f"{API}/{mine.json()['result']['sys_id']}"
    assert send(double, "DELETE", gone, who="requester").status_code == 204
    assert send(double, "GET", gone).status_code == 404
    assert requests.get(f"{double.url}{API}", auth=("agent", "wrong"), timeout=10).status_code == 401


@pytest.mark.parametrize(
    ("other", "status"),
    [
        ({"table_name": "nosuch"}, 400),
        ({"table_name": ""}, 400),
        ({"file_name": ""}, 400),
        ({"table_sys_id": "0" * 32}, 404),
    ],
)
def test_invalid_uploads(double: ServiceNowDouble, other: dict[str, str], status: int) -> None:
    """Unknown tables, missing names, missing records."""
    assert upload(double, record(double), other=other).status_code == status
    assert double.rows("sys_attachment") == []


def test_the_page_lists_a_records_files(double: ServiceNowDouble) -> None:
    """By name, escaped; people who can see the record can download them."""
    row = record(double)
    made = upload(double, row, "<b>.txt").json()["result"]
    for who, status in (("agent", 200), ("requester", 200), ("approver", 404)):
        browser = requests.Session()
        browser.post(f"{double.url}/login.do", data={"user_name": who, "user_password": "sandbox-1"}, timeout=10)
        page = browser.get(f"{double.url}/incident.do?sys_id={row['sys_id']}", timeout=10)
        assert page.status_code == status
        assert ("&lt;b&gt;.txt</a>" in page.text) == (status == 200)
        file = browser.get(f"{double.url}/sys_attachment.do?sys_id={made['sys_id']}", timeout=10)
        assert (file.status_code, file.content == DATA) == (status, status == 200)
        browser.close()
    assert sys_id("user requester") == row["caller_id"]


def test_an_instance_limits_size_and_type(double: ServiceNowDouble) -> None:
    """By two properties: too large is a 400 with both numbers, an unlisted type is a 403."""
    limits = {"com.glide.attachment.max_size": "0.001", "glide.attachment.extensions": "txt, PNG"}
    for name, value in limits.items():
        made = send(double, "POST", "/api/now/table/sys_properties", {"name": name, "value": value}, "admin")
        assert made.status_code == 201
    row = record(double)
    assert upload(double, row, "ok.TXT", data=b"x" * 1048).status_code == 201
    assert upload(double, row, "ok.png", data=b"x").status_code == 201
    told = "Rejected large REST payload with content-length = 1049 bytes. Max allowed: 1048 bytes."
    large = upload(double, row, data=b"x" * 1049)
    assert error(large) == (400, "Exception while reading request", told)
    refused = upload(double, row, "run.exe", data=b"x")
    assert error(refused) == (403, "Operation Failed", "Error during insert of sys_attachment (run.exe)")
    assert len(double.rows("sys_attachment")) == 2
