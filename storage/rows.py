"""Checks that a stored row fits its dataclass."""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any


def check_row(row: Mapping[str, Any], of: type, sealed: Collection[str] = (), column: str = "") -> None:
    """
    Raise ValueError with the column's name unless *row* fits the dataclass *of*.

    Rejects unknown columns too. An older version of the app that starts on a newer version's files would drop them at
    the next write.

    Args:
        of: A dataclass of JSON scalars and of other such dataclasses.
        sealed: Fields that are sealed together in *column*.
    """
    plain = [field for field in fields(of) if field.name not in sealed]
    if unknown := set(row) - {field.name for field in plain} - {column}:
        raise ValueError(f"unknown column {min(unknown)}")
    if column and not isinstance(row.get(column), str):
        raise ValueError(f"{column} is no text")
    for field in plain:
        _check_field(row, field)


def _check_field(row: Mapping[str, Any], field: Field[Any]) -> None:
    if field.name not in row:
        if field.default is MISSING:
            raise ValueError(f"{field.name} is missing")
        return
    value, kind = row[field.name], field.type
    if isinstance(kind, type) and is_dataclass(kind):
        if not isinstance(value, dict):
            raise ValueError(f"{field.name} is no object")
        check_row(value, kind)
    elif type(value) is not kind and not (kind is float and type(value) is int):
        raise ValueError(f"{field.name} is of another type")
