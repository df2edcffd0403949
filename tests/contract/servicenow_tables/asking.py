"""How this package's tests send requests to the double, and where the recordings are, if they exist."""

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.servicenow import ServiceNowDouble

Json = dict[str, Any]

RECORDED = Path(__file__).parents[4] / "shared" / "recorded" / "servicenow"


def send(
    double: ServiceNowDouble, method: str, path: str, body: Any = None, who: str = "agent", **params: str
) -> requests.Response:
    """A request with basic auth."""
    url, login = double.url + path, (who, "sandbox-1")
    return requests.request(method, url, json=body, params=params, auth=login, timeout=10)


def error(response: requests.Response) -> tuple[int, str, str | None]:
    """An error's status, message and detail."""
    told = response.json()["error"]
    return response.status_code, told["message"], told["detail"]


def recorded(name: str, starts: str) -> Json:
    """The recorded exchange whose description starts like this; skips the test without recordings."""
    path = RECORDED / f"{name}.json"
    if not path.exists():
        pytest.skip("the recordings do not lie beside the repository")
    entries = json.loads(path.read_text(encoding="utf-8"))
    [entry] = [entry for entry in entries if entry["what"].startswith(starts)]
    found: Json = entry
    return found


def raw(row: Json) -> dict[str, str]:
    """A recorded row with the instance's raw values."""
    return {name: cell.get("value", "") if isinstance(cell, dict) else (cell or "") for name, cell in row.items()}
