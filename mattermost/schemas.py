"""What the schemas of Mattermost's requests share."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, post_load, pre_load

from core.calls import is_mattermost_id


class LooseSchema(Schema):
    """
    Ignores unknown keys and nulls, which Mattermost sends for values it doesn't have.

    ``makes`` is called with the loaded values.
    """

    makes: ClassVar[Callable[..., Any]] = dict

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def _without_nulls(self, data: Any, **_: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, Mapping) else data

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Any:
        return type(self).makes(**data)


def valid_id(text: str) -> None:
    """Validate a field that contains an id."""
    if not is_mattermost_id(text):
        raise ValidationError("Not an id of Mattermost.")


def optional_id(text: str) -> None:
    """Validate a field that contains an id or nothing. Direct messages have no team, and new threads no root."""
    if text:
        valid_id(text)
