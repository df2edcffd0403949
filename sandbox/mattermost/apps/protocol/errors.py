"""Errors of the plugin, with its own texts."""

from flask import Response


class PluginError(Exception):
    """An error with the HTTP status of the plugin's REST API."""

    def __init__(self, text: str, status: int = 500) -> None:
        super().__init__(text)
        self.status = status


def as_plain_text(error: PluginError) -> Response:
    """The plugin's REST API returns errors as one line of plain text."""
    return Response(f"{error}\n", error.status, {"Content-Type": "text/plain; charset=utf-8"})


def as_go_error(problems: list[str]) -> str:
    """Join several problems as the plugin's multi-error type does."""
    head = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
    return f"{head} occurred:\n" + "".join(f"\t* {problem}\n" for problem in problems) + "\n"
