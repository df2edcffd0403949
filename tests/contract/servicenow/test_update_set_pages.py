"""Retrieved Update Sets as administrators use them: upload, preview, problems, commit."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.client import PASSWORD
from tests.contract.servicenow.conftest import Instance
from tests.contract.servicenow.update_set import UpdateSet, sys_id

LIST = "/sys_remote_update_set_list.do"
RECORDED = Path(__file__).parents[4] / "shared/recorded/servicenow/update_sets.json"
UPLOAD = "/upload.do?sysparm_target=sys_remote_update_set"


class Browser:
    """A signed-in browser."""

    def __init__(self, instance: Instance, who: str) -> None:
        self.url = instance.url
        self.http = requests.Session()
        self.http.trust_env = False
        self.post("/login.do", {"user_name": who, "user_password": PASSWORD})

    def get(self, path: str) -> requests.Response:
        """Open a page."""
        return self.http.get(self.url + path, timeout=10)

    def post(self, path: str, form: dict[str, str], **more: Any) -> requests.Response:
        """Submit a form and follow its redirect."""
        return self.http.post(self.url + path, data=form, timeout=10, **more)

    def token(self, path: str = UPLOAD) -> str:
        """The hidden token of a page's form."""
        found = re.search(r'name="sysparm_ck" value="(\w+)"', self.get(path).text)
        assert found is not None
        return found[1]

    def upload(self, xml: bytes) -> requests.Response:
        """Choose a file and press Upload."""
        form = {"sysparm_ck": self.token(), "sysparm_target": "sys_remote_update_set"}
        form["sysparm_referring_url"] = "sys_remote_update_set"
        return self.post("/sys_upload.do", form, files={"attachFile": ("set.xml", xml, "text/xml")})

    def press(self, page: requests.Response, action: str, problem: str = "") -> requests.Response:
        """Press a button that must be on a set's page."""
        assert f'value="{action}"' in page.text, page.text
        path = page.url.removeprefix(self.url)
        return self.post(path, {"sysparm_ck": self.token(path), "sys_action": action, "problem": problem})


@pytest.fixture
def browser(instance: Instance) -> Iterator[Browser]:
    """The administrator's."""
    made = Browser(instance, "admin")
    yield made
    made.http.close()


def shown(page: requests.Response, name: str) -> str:
    """A field's value on a page."""
    found = re.search(rf'data-field="{name}">([^<]*)<', page.text)
    assert found is not None
    return found[1]


def test_a_set_is_uploaded_previewed_and_committed(instance: Instance, browser: Browser) -> None:
    """The file becomes a loaded set, its preview finds no problem, its commit creates the table; the list shows it."""
    update_set = UpdateSet("Page 1")
    update_set.table("x_example_thing", {"name": "string:100"})
    assert "Import Update Set from XML" in browser.get(LIST).text
    page = browser.upload(update_set.xml())
    assert shown(page, "state") == "Loaded"
    assert shown(page, "summary") == "4"
    page = browser.press(page, "preview")
    assert "The preview found no problems." in page.text
    page = browser.press(page, "commit")
    assert shown(page, "state") == "Committed"
    assert "Creating table x_example_thing" in page.text
    assert "Page 1" in browser.get(LIST).text
    assert instance.insert("x_example_thing", {"name": "one"})["name"] == "one"


def test_problems_are_resolved_before_the_commit(instance: Instance, browser: Browser) -> None:
    """While a problem is open there is no commit button, and a commit is rejected; a skipped update is left out."""
    update_set = UpdateSet("Page 2")
    update_set.include("Good", "var Good = 1;")
    update_set.record(
        "sys_ws_operation", sys_id("stray"), {"name": "Stray", "web_service_definition": sys_id("nowhere")}
    )
    page = browser.press(browser.upload(update_set.xml()), "preview")
    assert "Could not find a record in sys_ws_definition for column web_service_definition" in page.text
    assert 'value="commit"' not in page.text
    path = page.url.removeprefix(browser.url)
    forced = browser.post(path, {"sysparm_ck": browser.token(path), "sys_action": "commit"})
    assert "problems that are not resolved" in forced.text
    found = re.search(r'name="problem" value="(\w+)"><button name="sys_action" value="skip"', page.text)
    assert found is not None
    page = browser.press(browser.press(page, "skip", found[1]), "commit")
    assert shown(page, "state") == "Committed"
    assert [row["name"] for row in instance.double.rows("sys_script_include")] == ["Good"]
    assert instance.double.rows("sys_ws_operation") == []


def test_an_accepted_problem_is_committed(instance: Instance, browser: Browser) -> None:
    """Accept Remote Update commits the update unchanged."""
    update_set = UpdateSet("Page 3")
    update_set.record(
        "sys_ws_operation", sys_id("stray"), {"name": "Stray", "web_service_definition": sys_id("nowhere")}
    )
    page = browser.press(browser.upload(update_set.xml()), "preview")
    found = re.search(r'name="problem" value="(\w+)"><button name="sys_action" value="accept"', page.text)
    assert found is not None
    browser.press(browser.press(page, "accept", found[1]), "commit")
    assert [row["name"] for row in instance.double.rows("sys_ws_operation")] == ["Stray"]


def test_deletes_are_confirmed(instance: Instance, browser: Browser) -> None:
    """A commit that deletes first lists what is deleted; until it is confirmed nothing changes."""
    first = UpdateSet("Page 4")
    first.include("Old", "var Old = 1;")
    instance.commit(first)
    second = UpdateSet("Page 5")
    second.record("sys_script_include", sys_id("include Old"), {"name": "Old"}, action="DELETE")
    page = browser.press(browser.press(browser.upload(second.xml()), "preview"), "commit")
    assert "Confirm Data Loss" in page.text
    assert instance.double.rows("sys_script_include")
    page = browser.press(page, "proceed")
    assert shown(page, "state") == "Committed"
    assert instance.double.rows("sys_script_include") == []


@pytest.mark.parametrize(
    ("xml", "says"),
    [
        (b"not xml", "Not XML"),
        (
            b'<unload unload_date="2026-01-01 00:00:00"><incident/></unload>',
            "first element is not sys_remote_update_set",
        ),
        (b"<xml/>", "root element is not unload"),
    ],
)
def test_other_files_are_rejected(instance: Instance, browser: Browser, xml: bytes, says: str) -> None:
    """Only an update set is loaded; the page and the switch say why."""
    assert says in browser.upload(xml).text
    response = requests.post(f"{instance.url}/_sandbox/update-sets", data=xml, timeout=10)
    assert response.status_code == 400
    assert says in response.json()["error"]
    assert instance.double.rows("sys_remote_update_set") == []


def test_the_pages_require_an_administrator_and_the_forms_token(instance: Instance, browser: Browser) -> None:
    """Others see nothing, people who aren't signed in are redirected, and a form without its token does nothing."""
    xml = UpdateSet("Page 6").xml()
    page = browser.upload(xml)
    path = page.url.removeprefix(browser.url)
    assert browser.post(path, {"sys_action": "preview"}).status_code == 404
    assert browser.post("/sys_upload.do", {"sysparm_target": "sys_remote_update_set"}).status_code == 403
    agent = Browser(instance, "agent")
    for address in (LIST, UPLOAD, path):
        assert agent.get(address).status_code == 404
        stranger = requests.get(instance.url + address, timeout=10, allow_redirects=False)
        assert stranger.headers["Location"].startswith("/login.do")
    assert instance.double.row("sys_remote_update_set", sys_id("set Page 6"))["state"] == "loaded"
    agent.http.close()


def test_deleting_a_retrieved_set_deletes_its_parts(instance: Instance, browser: Browser) -> None:
    """The set's updates and problems are deleted; what was committed is kept."""
    update_set = UpdateSet("Page 7")
    update_set.include("Kept", "var Kept = 1;")
    instance.commit(update_set)
    page = browser.get(f"/sys_remote_update_set.do?sys_id={update_set.sys_id}")
    browser.press(page, "delete")
    assert instance.double.rows("sys_remote_update_set") == []
    assert all(row["update_set"] for row in instance.double.rows("sys_update_xml"))
    assert instance.double.rows("sys_script_include")


@pytest.mark.skipif(not RECORDED.exists(), reason=f"no recordings at {os.path.relpath(RECORDED)}")
def test_a_script_can_use_the_pages_as_recorded(instance: Instance, browser: Browser) -> None:
    """A new token of 72 characters, an upload answered empty, a preview answered with its tracker."""
    entries = {entry["what"].split(":")[0]: entry for entry in json.loads(RECORDED.read_text(encoding="utf-8"))}
    form = entries["Upload form"]
    assert browser.get(form["request"]["path"] + "?sysparm_target=sys_remote_update_set").status_code == 200
    token = browser.token()
    assert len(token) == 72
    upload = entries["Upload of the XML file"]
    update_set = UpdateSet("Recorded")
    sent = {"sysparm_ck": token, "sysparm_target": upload["request"]["body"]["sysparm_target"]}
    answer = browser.post(
        upload["request"]["path"], sent, files={"attachFile": ("s.xml", update_set.xml(), "text/xml")}
    )
    assert (answer.status_code, answer.text) == (200, upload["response"]["body"])
    preview = entries["Start the preview"]
    asked = preview["request"]["body"] | {"sysparm_ck": token, "sysparm_ajax_processor_sys_id": update_set.sys_id}
    answer = browser.post(preview["request"]["path"], asked)
    assert answer.status_code == 200
    expected = re.sub(r'answer="\w+"', 'answer="X"', preview["response"]["body"])
    assert re.sub(r'answer="[0-9a-f]{32}"', 'answer="X"', answer.text) == expected
    assert instance.double.row("sys_remote_update_set", update_set.sys_id)["state"] == "previewed"
    assert browser.post("/xmlhttp.do", asked | {"sysparm_ck": "x"}).status_code == 403
