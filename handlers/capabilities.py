"""Every capability there is: importing this registers their paths."""

from handlers import (
    account,
    assign,
    comments,
    configure,
    help,
    incident,
    menu,
    message,
    priority,
    setup,
    share,
    state,
    status,
    subscriptions_manage,
    view,
    watch,
)

CAPABILITIES = (
    account,
    assign,
    comments,
    configure,
    help,
    incident,
    menu,
    message,
    priority,
    setup,
    share,
    state,
    status,
    subscriptions_manage,
    view,
    watch,
)
