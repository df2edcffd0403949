"""Who may do what with subscriptions, and what ServiceNow's refusals mean here."""

from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import AccessDenied, NotFound, NotInstalled, NotPermitted, NotYours, OldComponent
from core.subscription_ports import Subscriptions
from core.subscriptions import ROLE, Grant, Subscription
from handlers.context import Context


class NotSetUp(NotInstalled):
    """The component is not installed on the instance."""

    user_message = "Subscriptions are not set up in ServiceNow yet. Ask a Mattermost system administrator to finish it."
    user_message_for_administrators = (
        "Subscriptions are not set up in ServiceNow yet: the instance lacks our update set. "
        "Run `/servicenow setup`; it has the file and says what to do with it."
    )

    def __init__(self, log_message: str, administrator: bool) -> None:
        super().__init__(log_message)
        if administrator:
            self.user_message = self.user_message_for_administrators


class NotAuthorized(AccessDenied):
    """The account lacks the role."""

    user_message = (
        f"Your ServiceNow account may not manage subscriptions. Ask your ServiceNow administrator for the role "
        f"`{ROLE}`."
    )
    user_message_for_administrators = (
        f"Your ServiceNow account may not manage subscriptions: it lacks the role `{ROLE}`. In ServiceNow open Users, "
        "the person, the tab Roles, press Edit, add the role and save."
    )

    def __init__(self, log_message: str, administrator: bool) -> None:
        super().__init__(log_message)
        if administrator:
            self.user_message = self.user_message_for_administrators


class NotTheCreator(NotPermitted):
    """Mattermost's rights would do, but ServiceNow lets only the row's creator and its administrators write."""

    user_message = (
        "ServiceNow lets only who made this subscription, or a ServiceNow administrator, change it. "
        "You can pause or delete it: then nothing is posted here any more."
    )


class Gone(NotFound):
    """There is no such subscription, or it is of another Mattermost server."""

    user_message = (
        "There is no such subscription, it was removed meanwhile, or your ServiceNow account lacks the role "
        f"`{ROLE}`. `/servicenow subscriptions list` shows what there is."
    )


@contextmanager
def rows_of(context: Context) -> Iterator[Subscriptions]:
    """
    The subscriptions table with the person's rights; refusals about the table come out as what they mean.

    Raises:
        NotSetUp, NotAuthorized, Gone: Instead of NotInstalled, AccessDenied and NotFound.
    """
    administrator = context.person.administrator
    try:
        yield context.servicenow.subscriptions(context.settings.app_url)
    except OldComponent:
        raise
    except NotInstalled as error:
        raise NotSetUp(error.log_message, administrator) from error
    except NotFound as error:
        raise Gone(error.log_message) from error
    except AccessDenied as error:
        raise NotAuthorized(error.log_message, administrator) from error


def is_creator(subscription: Subscription, context: Context) -> bool:
    """
    Whether the person made it. What was set up through us says so itself; else ServiceNow's user name counts,
    never ``user_id``, which any holder of the role can write.
    """
    grant = context.stores.grants.get(subscription.sys_id)
    if grant is not None and grant.owner_id:  # one without an owner only keeps posts from being made
        return grant.owner_id == context.person.id
    account = context.account
    return account is not None and account.identity.known and subscription.created_by == account.identity.user_name


def grant_for(subscription: Subscription, context: Context) -> Grant | None:
    """The grant that covers the row as it is now, created by whom it was; None where nothing is posted of it."""
    grant = context.stores.grants.get(subscription.sys_id)
    if grant is None or not grant.same_as(subscription) or grant.created_by not in {"", subscription.created_by}:
        return None
    return grant


def owner_of(subscription: Subscription, context: Context) -> str:
    """Mattermost id of who set it up through us, whatever was changed since; "" where somebody else created the row."""
    grant = context.stores.grants.get(subscription.sys_id)
    return grant.owner_id if grant is not None and grant.created_by in {"", subscription.created_by} else ""


def counts(subscription: Subscription, context: Context) -> bool:
    """
    Whether a row posts, or will when its owner was asked. Any holder of the role can write rows in another's
    name; those post nothing, and must not keep anybody from subscribing.
    """
    if grant_for(subscription, context) is not None:
        return True
    account = context.stores.accounts.get(subscription.user_id)
    return account is not None and account.identity.known and account.identity.user_name == subscription.created_by


def check_may_manage(subscription: Subscription, context: Context) -> bool:
    """
    Check that the person may change or remove it; True for its creator.

    Raises:
        NotYours: Neither its creator nor an administrator of its channel, team or the system.
    """
    if is_creator(subscription, context):
        return True
    if not subscription.channel_id:
        raise NotYours("a row without channel")
    grant = context.stores.grants.get(subscription.sys_id)
    for channel_id in {subscription.channel_id, grant.channel_id if grant else subscription.channel_id}:
        context.mattermost.may_manage(channel_id)
    return False
