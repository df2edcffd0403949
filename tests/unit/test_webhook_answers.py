"""The door of reports never says 200 for what is not stored, whatever goes wrong behind it."""

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
    """Intake and old dialect in one, which fail."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def receive(self, *_: Any) -> bool:
        """Never returns."""
        raise self._error


@pytest.mark.parametrize("path", ["/webhooks/servicenow", PATH])
@pytest.mark.parametrize(("error", "status"), [(StorageFailed("full"), 503), (RuntimeError("a mistake of ours"), 500)])
def test_a_failure_of_ours_makes_servicenow_send_again(path: str, error: Exception, status: int) -> None:
    """5xx, beside doors whose errors are HTTP 200 with words."""
    app = Flask(__name__)
    answer_errors(app, write_error)
    failing = Failing(error)
    app.register_blueprint(reports_blueprint(cast("Intake", failing), cast("LegacyWebhook", failing)))
    answer = app.test_client().post(path, json={})
    assert answer.status_code == status
    assert "mistake" not in answer.text
