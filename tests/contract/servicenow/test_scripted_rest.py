"""Scripted REST works as recorded and documented (API reference §10)."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.contract.servicenow.conftest import Instance
from tests.contract.servicenow.update_set import UpdateSet

BASE = "/api/x_example/things"
RECORDED = Path(__file__).parents[4] / "shared/recorded/servicenow/scripted_rest.json"


def answers(instance: Instance, script: str, path: str = "/one", method: str = "GET", **more: str) -> requests.Response:
    """The answer of a resource with that script."""
    update_set = UpdateSet()
    update_set.resource("/one", script, method, **more)
    instance.commit(update_set)
    return instance.send(method, f"{BASE}{path}", {"a": 1} if method == "POST" else None, "agent")


@pytest.mark.parametrize(
    ("script", "status", "body"),
    [
        ("response.setBody([{label: 'New', value: '1'}]);", 200, {"result": [{"label": "New", "value": "1"}]}),
        ("return {n: 1, b: true, x: null};", 200, {"result": {"n": 1, "b": True, "x": None}}),
        ("response.setStatus(202); response.setBody({id: 'x'});", 202, {"result": {"id": "x"}}),
        ("", 200, {"result": {}}),
        ("var g = new GlideRecord('sys_user'); g.get('user_name', 'agent'); response.setBody({who: g.user_name});",
         200, {"result": {"who": "agent"}}),
        ("return gs.getUserName() + ' ' + gs.hasRole('itil');", 200, {"result": "agent true"}),
        ("response.setError(new sn_ws_err.BadRequestError('no', 'why'));", 400,
         {"error": {"message": "no", "detail": "why"}, "status": "failure"}),
        ("throw new sn_ws_err.NotFoundError('none');", 404,
         {"error": {"message": "none", "detail": ""}, "status": "failure"}),
        ("response.setError(new sn_ws_err.ConflictError('c'));", 409,
         {"error": {"message": "c", "detail": ""}, "status": "failure"}),
        ("var e = new sn_ws_err.ServiceError(); e.setStatus(418); e.setMessage('m'); e.setDetail('d'); throw e;", 418,
         {"error": {"message": "m", "detail": "d"}, "status": "failure"}),
    ],
)  # fmt: skip
def test_a_scripts_result_is_the_answer(instance: Instance, script: str, status: int, body: Any) -> None:
    """A body or a returned value under `result`; an error object in the usual format, with its status."""
    response = answers(instance, script)
    assert response.status_code == status
    assert response.json() == body
    assert response.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert response.headers["X-Is-Logged-In"] == "true"


def test_a_script_that_throws_is_a_500(instance: Instance) -> None:
    """The exception's text is in the detail and in the log."""
    response = answers(instance, "null.x;")
    assert response.status_code == 500
    assert response.json()["error"]["detail"] == "TypeError: cannot read property 'x' of null"
    assert instance.logged("2") == ["Evaluator: TypeError: cannot read property 'x' of null"]


def test_the_request_as_seen_by_the_script(instance: Instance) -> None:
    """Path and query parameters (arrays), headers without case, the body as text and as data."""
    update_set = UpdateSet()
    script = """
        response.setHeader('X-Answer', 'yes');
        response.setBody([request.pathParams.id, request.queryParams.q, request.getHeader('x-ASKED'),
          request.headers.nothing, request.body.data.a, request.body.dataString, request.uri, request.queryString]);
    """
    update_set.resource("/{id}/parts", script, "POST")
    update_set.resource("/fixed/parts", "return 'fixed';", "POST")
    instance.commit(update_set)
    response = requests.post(
        f"{instance.url}{BASE}/a%20b/parts?q=1&q=2",
        data='{"a": "ü"}'.encode(),
        headers={"X-Asked": "v", "Content-Type": "application/json"},
        auth=("agent", "sandbox-1"),
        timeout=10,
    )
    assert response.headers["X-Answer"] == "yes"
    assert response.json()["result"] == [
        "a b", ["1", "2"], "v", None, "ü", '{"a": "ü"}', f"{BASE}/a b/parts", "q=1&q=2",
    ]  # fmt: skip
    assert instance.send("POST", f"{BASE}/fixed/parts").json()["result"] == "fixed"


def test_paths_and_methods(instance: Instance) -> None:
    """No resource: 400 with the known text; another method: 405; inactive: as if missing; without a service ID: 400."""
    update_set = UpdateSet()
    update_set.resource("/one", "return 1;")
    update_set.resource("/off", "return 1;", active="false")
    instance.commit(update_set)
    assert instance.send("GET", f"{BASE}/one").json() == {"result": 1}
    assert instance.send("DELETE", f"{BASE}/one").status_code == 405
    for path in (
        f"{BASE}/off",
        f"{BASE}/two",
        f"{BASE}/one/more",
        BASE,
        "/api/x_example/other",
        "/api/x_nobody/things/one",
    ):
        response = instance.send("GET", path)
        assert response.status_code == 400
        assert response.json()["error"]["message"] == "Requested URI does not represent any resource"
    [definition] = instance.double.rows("sys_ws_definition")
    instance.update("sys_ws_definition", definition["sys_id"], {"service_id": ""})
    assert instance.send("GET", f"{BASE}/one").status_code == 400


def test_who_can_call(instance: Instance) -> None:
    """401 without credentials if they are required; a rule's role admits its holders and administrators."""
    update_set = UpdateSet()
    role = update_set.role("x_example.user")
    rule = update_set.access("things", "execute", role=role, kind="REST_Endpoint")
    update_set.resource("/role", "return 1;", requires_acl_authorization="true", enforce_acl=rule)
    stock = "cf9d01d3e73003009d6247e603f6a990"
    update_set.resource("/any", "return 1;", requires_acl_authorization="true", enforce_acl=f"{rule},{stock}")
    update_set.resource("/open", "return gs.getUserName();", requires_authentication="false")
    instance.commit(update_set)
    instance.grant("x_example.user", "agent")
    statuses = [instance.send("GET", f"{BASE}/role", who=who).status_code for who in ("agent", "admin", "agent2")]
    assert statuses == [200, 200, 403]
    refused = instance.send("GET", f"{BASE}/role", who="agent2").json()["error"]
    assert refused == {"message": "User Not Authorized", "detail": "Failed API level ACL Validation"}
    assert instance.send("GET", f"{BASE}/any", who="requester").status_code == 200
    assert requests.get(f"{instance.url}{BASE}/role", timeout=10).status_code == 401
    assert requests.get(f"{instance.url}{BASE}/open", timeout=10).status_code == 200


def test_other_parts_of_the_platform_are_still_rejected(instance: Instance) -> None:
    """A path that scripted REST doesn't know is handled by the rest of the double."""
    assert instance.send("GET", "/api/sn_sc/servicecatalog/items").status_code == 501
    assert instance.send("GET", "/api/now/table/incident").status_code == 200


@pytest.mark.skipif(not RECORDED.exists(), reason=f"no recordings at {os.path.relpath(RECORDED)}")
def test_recorded_answers(instance: Instance) -> None:
    """The format of an error object, a missing API, and values under `result`, as recorded."""
    entries = {entry["what"].split(":")[0]: entry["response"] for entry in json.loads(RECORDED.read_text())}
    envelope = entries["Error envelope of a scripted REST API (sn_ws_err objects)"]
    response = answers(instance, "throw new sn_ws_err.NotFoundError('My error message', 'My details');")
    assert (response.status_code, response.json()) == (envelope["status"], envelope["body"])
    absent = entries["No API at the path"]
    response = instance.send("GET", "/api/x_830655_mm_std/getstates/incident")
    assert (response.status_code, response.json()) == (absent["status"], absent["body"])
    anonymous = entries["Anonymous scripted resource"]
    update_set = UpdateSet("Recorded")
    body = json.dumps(anonymous["body"]["result"])
    update_set.resource("/anonymous", f"response.setBody({body});", requires_authentication="false")
    instance.commit(update_set)
    response = requests.get(f"{instance.url}{BASE}/anonymous", timeout=10)
    assert (response.status_code, response.json()) == (anonymous["status"], anonymous["body"])
