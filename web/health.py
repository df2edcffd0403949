"""`/healthz`: the process answers. `/readyz`: it can do its work. They return only the names of failing parts."""

from collections.abc import Callable, Mapping

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from core.errors import AppError

Check = Callable[[], None]


def health_blueprint(checks: Mapping[str, Check]) -> Blueprint:
    """
    Args:
        checks: By name of the part, a function that raises AppError if the part doesn't work. It must be cheap and
            local, because it is called every few seconds.
    """
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def healthz() -> ResponseReturnValue:
        return jsonify({"status": "ok"})

    @blueprint.get("/readyz")
    def readyz() -> ResponseReturnValue:
        failing = [name for name, check in checks.items() if _fails(check)]
        return jsonify({"ready": not failing, "failing": failing}), 503 if failing else 200

    return blueprint


def _fails(check: Check) -> bool:
    try:
        check()
    except AppError:
        return True
    return False
