"""Every route gets what nobody sends: it is answered, in time, with words that were meant for it."""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings

import handlers.capabilities  # noqa: F401  # registers the calls
from handlers.registry import calls
from tests.fuzz.conftest import Trouble
from tests.fuzz.mutations import Plan, plans
from tests.fuzz.site import Site

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
SLOWEST = 1.0  # seconds that 99 of 100 requests keep

CALLS = [f"/{route.path}/{route.kind}" for route in calls.routes]
# The other rules of the service, and where requests of them are: those below a path end in a slash.
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
# What can be done once only: gone back to more often, so that more than the first request gets far.
ONCE = {
    "/account/disconnect/submit", "/lifecycle/uninstall", "/lifecycle/disable", "/oauth2/complete", "/plain/dialog",
    "/configure/settings/submit", "/subscriptions/delete/submit",
}  # fmt: skip


def test_every_rule_is_fuzzed(site: Site) -> None:
    """A new one needs a row above; a new call is fuzzed by itself, once the tour has made a request of it."""
    assert {rule.rule for rule in site.world.running.service.app.url_map.iter_rules()} == set(RULES)


@pytest.mark.parametrize("path", [*CALLS, *RULES.values()])
def test_a_route_answers_whatever_comes(site: Site, trouble: Trouble, path: str) -> None:
    """No 5xx, no unexpected error, no traceback, and 99 of 100 answers within a second."""
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


# No form of ours leads to these calls, or only one about a record that the tour itself has made.
LESS_FAR = {
    "/record/mine/submit", "/record/watch/submit", "/record/refresh/submit", "/subscriptions/edit/submit",
    "/record/priority/form", "/record/priority/submit", "/record/close/form", "/record/close/submit",
    "/record/reopen/form", "/record/reopen/submit",
}  # fmt: skip


def test_unchanged_requests_are_not_refused(site: Site) -> None:
    """So that changed ones get far: what was asked before is answered once more."""
    refused = {}
    for path in CALLS:
        site.restore()
        answers = [site.send([base], Plan(0, [], 0))[1].body.decode() for base in site.of_call(path)]
        if all('"type":"error"' in answer for answer in answers):
            refused[path] = answers[0]
    assert set(refused) <= LESS_FAR, refused
