"""Every capability there is: importing this registers their paths."""

from handlers import (  # noqa: F401 - each registers its own
    account,
    assign,
    change,
    comments,
    configure,
    help,
    incident,
    menu,
    message,
    open_record,
    priority,
    setup,
    share,
    state,
    status,
    subscriptions_edit,
    subscriptions_list,
    subscriptions_manage,
    view,
    watch,
)
