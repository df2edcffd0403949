"""Rounds to Mattermost: which requests the service sends at the same time."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tests.world import World

CHANNEL = "GET /channels/{id}"
MEMBER = "GET /channels/{id}/members/{id}"
USER = "GET /users/{id}"
CARD = "GET /posts/{id}"
PATCH = "PUT /posts/{id}/patch"
POST = "POST /posts"
ROLES = "POST /roles/names"

_ID = re.compile(r"[a-z0-9]{26}")


@contextmanager
def rounds(world: World, *expected: list[str]) -> Iterator[None]:
    """
    Check that the service sends exactly these requests, those of each round at the same time.

    The double holds each request until its whole round is there, so requests that are sent one after the other
    can't pass as one round.
    """
    world.settle()
    world.mattermost.hold_rounds(*map(len, expected))
    try:
        yield
    finally:
        seen = world.mattermost.rounds()
    found = [sorted(map(_shape, requests)) for requests in seen]
    assert found == [sorted(one) for one in expected], found


def _shape(request: str) -> str:
    return _ID.sub("{id}", request.replace("/api/v4", ""))
