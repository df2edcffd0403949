"""Every route handles malformed requests in time and without unexpected errors."""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings

import handlers.capabilities  # noqa: F401  # registers the calls
from handlers.registry import calls
from tests.fuzz.conftest import Trouble
from tests.fuzz.mutations import Plan, plans
from tests.fuzz.site import Site

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
SLOWEST = 1.0  # maximum seconds for 99 of 100 requests

CALLS = [f"/{route.path}/{route.kind}" for route in calls.routes]
# The service's other URL rules, with the path of their requests. A path with a final slash includes all paths below.
RULES = {
    "/static/<path:filename>": "/static/",
    "/webhook/<segment>": "/webhook/",
    "/<path:path>": "/no/such/",
} | {
    rule: rule
    for rule in (
        "/healthz", "/readyz", "/manifest.json", "/ping", "/bindings", "/lifecycle/install", "/lifecycle/uninstall",
        "/lifecycle/enable", "/lifecycle/disable", "/oauth2/connect", "/oauth2/complete",
        "/plain/press", "/plain/dialog",
        "/webhooks/servicenow", "/plugins/mattermost-plugin-servicenow/api/v1/notification", "/update-set",
    )
}  # fmt: skip
# Requests that work only once. The state is restored more often, so that later requests get further too.
ONCE = {
    "/account/disconnect/submit", "/lifecycle/uninstall", "/lifecycle/disable", "/oauth2/complete", "/plain/dialog",
    "/configure/settings/submit", "/subscriptions/delete/submit",
}  # fmt: skip


def test_every_rule_is_fuzzed(site: Site) -> None:
    """A new rule needs an entry above. A new call is included once the crawler sends a request for it."""
    assert {rule.rule for rule in site.world.running.service.app.url_map.iter_rules()} == set(RULES)


@pytest.mark.parametrize("path", [*CALLS, *RULES.values()])
def test_a_route_handles_any_request(site: Site, trouble: Trouble, path: str) -> None:
    """There are no 5xx, unexpected errors or tracebacks, and 99 of 100 answers take less than a second."""
    bases = site.of_call(path) if path in CALLS else site.of(path)
    assert bases, f"no request of {path} was seen: extend the tour"
    took: list[float] = []
    site.restore()

    @settings(
        max_examples=EXAMPLES,
        derandomize=EXAMPLES <= 300,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(plans)
    def fuzz(plan: Plan) -> None:
        if path in ONCE and len(took) % 25 == 24:
            site.restore()
        document, answer = site.send(bases, plan)
        took.append(answer.seconds)
        found, trouble.found = trouble.found, []
        assert not found, (found, document)
        assert answer.status < 500, (answer.status, document)

    fuzz()
    site.world.settle()
    assert not trouble.found
    took.sort()
    assert took[int(len(took) * 0.99)] < SLOWEST, took[-10:]


# No form leads to these calls, or only one about a record that the crawler has created.
LESS_FAR = {
    "/record/mine/submit", "/record/watch/submit", "/record/refresh/submit", "/subscriptions/edit/submit",
    "/record/priority/form", "/record/priority/submit", "/record/close/form", "/record/close/submit",
    "/record/reopen/form", "/record/reopen/submit",
}  # fmt: skip


def test_unchanged_requests_are_accepted(site: Site) -> None:
    """Otherwise, changed requests would fail too early to test much."""
    refused = {}
    for path in CALLS:
        site.restore()
        answers = [site.send([base], Plan(0, [], 0))[1].body.decode() for base in site.of_call(path)]
        if all('"type":"error"' in answer for answer in answers):
            refused[path] = answers[0]
    assert set(refused) <= LESS_FAR, refused
