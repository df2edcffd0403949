"""
Remind people of suspended accounts and of connections that expire soon.

A reminder is stored before it is sent, so that it isn't sent twice after a crash.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import structlog

from core.accounts import Account
from core.storage_ports import Accounts

log = structlog.get_logger(__name__)

DAY = 86_400.0
ENDING_NOTICE = 7 * DAY  # before the refresh token expires
SUSPENSION_PAUSE = DAY  # at most one message per person in this time

SendDirectMessage = Callable[[str, str], None]  # person id and text


def expiring(accounts: Iterable[Account], now: float) -> list[Account]:
    """Accounts whose refresh token expires within seven days and whose owners weren't reminded."""
    return [
        account
        for account in accounts
        if not account.suspended
        and not account.ending_told_at
        and account.tokens.ends_at - ENDING_NOTICE <= now < account.tokens.ends_at
    ]


def remind_of_expiry(accounts: Accounts, send: SendDirectMessage, connect: str, now: float) -> None:
    """Remind everyone whose connection expires within seven days, once."""
    for account in expiring(accounts.all(), now):
        marked = replace(account, ending_told_at=now, version=account.version + 1)
        if not accounts.put(marked):
            continue  # it was just changed; the next round checks it again
        days = max(1, round((account.tokens.ends_at - now) / DAY))
        send(
            account.person_id,
            f"ServiceNow ends your connection in {days} day{'s' if days > 1 else ''}: it lets every sign-in "
            f"last 100 days. [Connect again]({connect}) now, and nothing is interrupted.",
        )


def remind_of_suspension(accounts: Accounts, send: SendDirectMessage, person_id: str, connect: str, now: float) -> None:
    """Ask the owner of a suspended account to connect again, at most once in 24 hours."""
    account = accounts.get(person_id)
    if account is None or now - account.suspension_told_at < SUSPENSION_PAUSE:
        return
    if accounts.put(replace(account, suspension_told_at=now, version=account.version + 1)):
        send(
            person_id,
            f"ServiceNow no longer accepts your connection. [Connect again]({connect}); what you had set up "
            "here is kept.",
        )


def client_suspect_text() -> str:
    """For administrators, when ServiceNow refuses several people's connections in a row."""
    return (
        "ServiceNow refused the connections of several people one after the other. Please check the OAuth "
        "client in ServiceNow (active, same client id and secret as in this app's settings). Their accounts "
        "are kept and are tried again as soon as the settings change."
    )
