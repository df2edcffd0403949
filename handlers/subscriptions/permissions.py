"""Who can manage a subscription, whether it posts, and what ServiceNow's refusals mean for subscriptions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.errors import NotPermitted, NotYours
from core.subscriptions import ROLE, Grant, Status, Subscription
from core.upstream_errors import AccessDenied, NotFound, NotInstalled, OldComponent
from handlers.context import Context
from mattermost.markdown import escaped

if TYPE_CHECKING:
    from servicenow.subscriptions import SubscriptionsClient

WAITING = "waiting"  # the row was created or changed in ServiceNow, and nothing is posted yet
STATUSES = (*(status.value for status in Status), WAITING)


class NotSetUp(NotInstalled):
    """The component is not installed on the instance."""

    user_message = "Subscriptions are not set up in ServiceNow yet. Ask a Mattermost system administrator to finish it."
    for_administrators = (
        "Subscriptions are not set up in ServiceNow yet: the instance lacks our update set. "
        "Run `/servicenow setup`; it has the file and says what to do with it."
    )


class NotAuthorized(AccessDenied):
    """The ServiceNow account lacks the role."""

    user_message = (
        f"Your ServiceNow account may not manage subscriptions. Ask your ServiceNow administrator for the role "
        f"`{ROLE}`."
    )
    for_administrators = (
        f"Your ServiceNow account may not manage subscriptions: it lacks the role `{ROLE}`. In ServiceNow open Users, "
        "the person, the tab Roles, press Edit, add the role and save."
    )


class NotTheCreator(NotPermitted):
    """The person manages the channel, but ServiceNow lets only the row's creator and its administrators write."""

    user_message = (
        "ServiceNow lets only who made this subscription, or a ServiceNow administrator, change it. "
        "You can pause or delete it: then nothing is posted here any more."
    )


class Gone(NotFound):
    """There is no such subscription, or it belongs to another Mattermost server."""

    user_message = (
        "There is no such subscription, it was removed meanwhile, or your ServiceNow account lacks the role "
        f"`{ROLE}`. `/servicenow subscriptions list` shows what there is."
    )


@contextmanager
def rows_of(context: Context) -> Iterator[SubscriptionsClient]:
    """
    The subscriptions table, with the person's permissions. In the block, its refusals become specific errors.

    Raises:
        NotSetUp, NotAuthorized, Gone: Instead of NotInstalled, AccessDenied and NotFound.
    """
    administrator = context.person.administrator
    try:
        yield context.servicenow.subscriptions(context.settings.app_url)
    except OldComponent:
        raise
    except NotInstalled as error:
        raise NotSetUp(error.log_message, NotSetUp.for_administrators if administrator else None) from error
    except NotFound as error:
        raise Gone(error.log_message) from error
    except AccessDenied as error:
        raise NotAuthorized(error.log_message, NotAuthorized.for_administrators if administrator else None) from error


def is_creator(context: Context, subscription: Subscription) -> bool:
    """
    Whether the person created it. The grant decides if it was created through this app; otherwise ServiceNow's
    ``sys_created_by`` does, never ``user_id``, which anyone with the role can write.
    """
    grant = context.stores.grants.get(subscription.sys_id)
    if grant is not None and grant.owner_id:  # without an owner, the grant only stops posts
        return grant.owner_id == context.person.id
    account = context.account
    return account is not None and account.identity.known and subscription.created_by == account.identity.user_name


def valid_grant(context: Context, subscription: Subscription) -> Grant | None:
    """The grant that matches the row as it is now. Without one, nothing is posted."""
    grant = context.stores.grants.get(subscription.sys_id)
    if grant is None or not grant.same_as(subscription) or grant.created_by not in {"", subscription.created_by}:
        return None
    return grant


def new_grant(
    context: Context,
    subscription: Subscription,
    granted: Grant | None = None,
    *,
    creator: bool = True,
    record_read: bool = False,
) -> Grant:
    """
    The grant to store for *subscription*.

    Args:
        granted: The grant so far, whose owner is kept.
        creator: Whether the person created the subscription, and so owns it if nobody does.
        record_read: Whether the person could read its record just now.
    """
    read_before = (
        granted is not None
        and granted.record_read
        and (granted.table, granted.record_id) == (subscription.table, subscription.record_id)
    )
    return Grant(
        sys_id=subscription.sys_id,
        owner_id=(granted.owner_id if granted else "") or (context.person.id if creator else ""),
        channel_id=subscription.channel_id,
        table=subscription.table,
        record_id=subscription.record_id,
        filter_query=subscription.filter_query,
        events=",".join(subscription.events),
        options=",".join(subscription.options),
        name=subscription.name,
        status=subscription.status.value,
        reason=subscription.status_reason,
        granted_at=context.clock(),
        created_by=(granted.created_by if granted else "") or (subscription.created_by if creator else ""),
        record_read=bool(subscription.record_id) and ((creator and record_read) or read_before),
        version=granted.version + 1 if granted else 1,
    )


def owner_of(context: Context, subscription: Subscription) -> str:
    """Mattermost id of the person who created it through this app, or ""."""
    grant = context.stores.grants.get(subscription.sys_id)
    return grant.owner_id if grant is not None and grant.created_by in {"", subscription.created_by} else ""


def is_effective(context: Context, subscription: Subscription) -> bool:
    """
    Whether a row posts, or will after its owner's permissions are checked.

    Anyone with the role can write rows in another person's name. Those never post, so they aren't duplicates.
    """
    if valid_grant(context, subscription) is not None:
        return True
    account = context.stores.accounts.get(subscription.user_id)
    return account is not None and account.identity.known and account.identity.user_name == subscription.created_by


def check_may_manage(context: Context, subscription: Subscription) -> bool:
    """
    Check that the person can change or delete it. Return whether the person created it.

    Raises:
        NotYours: Neither its creator nor an administrator of its channel, team or the system.
    """
    if is_creator(context, subscription):
        return True
    if not subscription.channel_id:
        raise NotYours("a row without channel")
    grant = context.stores.grants.get(subscription.sys_id)
    for channel_id in {subscription.channel_id, grant.channel_id if grant else subscription.channel_id}:
        context.mattermost.may_manage(channel_id)
    return False


def read_managed(context: Context, sys_id: str) -> tuple[Subscription, bool]:
    """
    A stored subscription that the person can manage, and whether the person created it.

    Raises:
        Gone, NotYours: It doesn't exist, or the person can't manage it.
    """
    with rows_of(context) as rows:
        stored = rows.get(sys_id)
    return stored, check_may_manage(context, stored)


def current_status(context: Context, subscription: Subscription) -> tuple[Status, str]:
    """Its status, and why it is broken. A broken grant takes precedence over the row."""
    grant = context.stores.grants.get(subscription.sys_id)
    if grant is not None and grant.status == Status.BROKEN:
        return Status.BROKEN, grant.reason or subscription.status_reason
    if subscription.status is Status.BROKEN:
        return Status.BROKEN, subscription.status_reason
    if subscription.filter_error and subscription.status is Status.ACTIVE:
        return Status.BROKEN, f"ServiceNow can't evaluate its filter: {subscription.filter_error}"
    return subscription.status, ""


def shown_status(context: Context, subscription: Subscription) -> tuple[str, str]:
    """One of `STATUSES`, and the reason if it is broken or waiting."""
    status, reason = current_status(context, subscription)
    if status is Status.ACTIVE and valid_grant(context, subscription) is None:
        granted = context.stores.grants.get(subscription.sys_id) is not None
        what = "changed in ServiceNow, not through this app" if granted else "not created through this app"
        return WAITING, f"{what}; nothing is posted until its owner's permissions are checked"
    return status.value, reason


def status_text(context: Context, subscription: Subscription, most: int = 300) -> str:
    """`shown_status` in words, with at most *most* characters of the reason. Markdown."""
    word, reason = shown_status(context, subscription)
    return f"{word}: {escaped(reason, most)}" if reason else word
