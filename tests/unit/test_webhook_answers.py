"""The webhook never answers 200 for a report that isn't stored, whatever fails behind it."""

from typing import Any, cast

import pytest
from flask import Flask

from core.errors import StorageFailed
from mattermost.apps_framework import write_error
from notifications.legacy_webhook import PATH, LegacyWebhook
from notifications.webhook import Intake
from web.errors import answer_errors
from web.webhooks import reports_blueprint


class Failing:
    """Intake and legacy webhook in one, which fail."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def receive(self, *_: Any) -> bool:
        """Always raise."""
        raise self._error


@pytest.mark.parametrize("path", ["/webhooks/servicenow", PATH])
@pytest.mark.parametrize(("error", "status"), [(StorageFailed("full"), 503), (RuntimeError("a mistake of ours"), 500)])
def test_our_own_failure_makes_servicenow_retry(path: str, error: Exception, status: int) -> None:
    """5xx, unlike routes whose errors are HTTP 200 with a message."""
    app = Flask(__name__)
    answer_errors(app, write_error)
    failing = Failing(error)
    app.register_blueprint(reports_blueprint(cast("Intake", failing), cast("LegacyWebhook", failing)))
    answer = app.test_client().post(path, json={})
    assert answer.status_code == status
    assert "mistake" not in answer.text
