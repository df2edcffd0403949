"""Imports every module that registers handlers. Add new ones here."""

# ruff: noqa: F401
from handlers.account import connection, help, menu
from handlers.admin import configure, setup, status
from handlers.records import (
    assign,
    change,
    comments,
    incident,
    message,
    open_record,
    priority,
    share,
    state,
    view,
    watch,
)
from handlers.subscriptions import edit, list, manage
