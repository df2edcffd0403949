"""Refusals of the plugin, in its own words."""

from flask import Response


class PluginError(Exception):
    """A refusal, with the HTTP status of its REST API."""

    def __init__(self, text: str, status: int = 500) -> None:
        super().__init__(text)
        self.status = status


def as_plain_text(error: PluginError) -> Response:
    """The plugin's REST API says what is wrong in plain text, on a line."""
    return Response(f"{error}\n", error.status, {"Content-Type": "text/plain; charset=utf-8"})


def as_go_error(problems: list[str]) -> str:
    """Several problems in one text, as the plugin's error type writes them."""
    head = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
    return f"{head} occurred:\n" + "".join(f"\t* {problem}\n" for problem in problems) + "\n"
