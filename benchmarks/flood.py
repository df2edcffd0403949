"""Latency while an attacker who knows the framework's secret sends 200 forged bot tokens at a time."""

import json
import secrets
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests

from benchmarks.floor import percentile
from tests.world import JWT_SECRET

Json = dict[str, Any]
Row = tuple[str, str, str]

AT_ONCE = 200
_PATH = "/account/connect/form"  # requires both proofs and has no rate limit
_EVERY = 2.0  # seconds between two bursts
_SECONDS = 8.0


def work(url: str, proof: Json, about: Json) -> list[Row]:
    """The p95 of a person's calls and of `/healthz`, without and with bursts of forged calls."""
    quiet = _times(url, proof, about)
    with subprocess.Popen([sys.executable, "-m", "benchmarks.flood", url], stdout=subprocess.PIPE) as attacker:
        assert attacker.stdout is not None
        attacker.stdout.readline()  # wait until it has started
        flooded = _times(url, proof, about)
        attacker.terminate()
    rows = []
    for name in quiet:
        before, during = (percentile(times[name], 0.95) * 1000 for times in (quiet, flooded))
        text = (
            f"{during / before:.1f} times ({during:.1f} / {before:.1f} ms, at most {max(flooded[name]) * 1000:.0f} ms)"
        )
        rows.append((f"p95 of {name}, {AT_ONCE} forged calls at once every {_EVERY:.0f} s", text, "≤ 2 times"))
    return rows


def _times(url: str, proof: Json, about: Json) -> dict[str, list[float]]:
    """Seconds of genuine requests, sent one after another."""
    found: dict[str, list[float]] = {"a person's call": [], "/healthz": []}
    until = time.monotonic() + _SECONDS
    with requests.Session() as session:
        session.trust_env = False
        while time.monotonic() < until:
            began = time.perf_counter()
            answer = session.post(url + _PATH, json={"path": _PATH, "context": about}, headers=proof, timeout=30)
            found["a person's call"].append(time.perf_counter() - began)
            assert answer.json()["type"] == "navigate", answer.text
            began = time.perf_counter()
            session.get(f"{url}/healthz", timeout=30)
            found["/healthz"].append(time.perf_counter() - began)
            time.sleep(0.01)
    return found


def forged() -> bytes:
    """A call of a made-up person with a made-up bot token."""
    person_id = secrets.token_hex(13)
    token = jwt.encode({"exp": int(time.time()) + 900, "acting_user_id": person_id}, JWT_SECRET, algorithm="HS256")
    context = {"acting_user": {"id": person_id}, "bot_access_token": secrets.token_hex(13)}
    body = json.dumps({"path": _PATH, "context": context})
    head = f"POST {_PATH} HTTP/1.1\r\nHost: x\r\nMattermost-App-Authorization: Bearer {token}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def flood(url: str) -> None:
    """Send bursts until this process is terminated. Requests are created before a burst starts."""
    host = urlsplit(url)

    def send(request: bytes) -> None:
        with socket.create_connection((str(host.hostname), int(host.port or 80)), timeout=30) as connection:
            connection.sendall(request)
            while connection.recv(65536):
                pass

    print("begun", flush=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while True:
            began = time.monotonic()
            list(pool.map(send, [forged() for _ in range(AT_ONCE)]))
            time.sleep(max(0.0, _EVERY - (time.monotonic() - began)))


if __name__ == "__main__":
    flood(sys.argv[1])
