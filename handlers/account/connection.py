"""Connect a ServiceNow account, show it, and disconnect it."""

import re
import secrets
from dataclasses import replace

import structlog

from core.accounts import Account, SignIn, Tokens
from core.calls import Call, Link, Navigate, Reply, Text
from core.errors import AppError, InvalidInput, NotConfigured, StorageFailed
from core.menus import Requirement
from core.times import day_text
from core.upstream_errors import MattermostError, OAuthRefused, ServiceNowError
from handlers.account.help import help_text
from handlers.context import Context
from handlers.registry import calls
from mattermost.cards import person_line
from mattermost.markdown import escaped

_STATE = re.compile(r"[!-~]{1,200}")

log = structlog.get_logger(__name__)


class Declined(AppError):
    """The person didn't give consent in ServiceNow."""

    user_message = "You did not allow Mattermost to use your ServiceNow account, so nothing was connected."


class SignInFailed(AppError):
    """ServiceNow sent the browser back with an error, or without a code."""

    user_message = (
        "ServiceNow did not let the sign-in finish. Start again with /servicenow connect; if it stays, "
        "ask an administrator to check the OAuth client and its redirect address."
    )


class UnknownSignIn(AppError):
    """The person didn't start this sign-in, or it has ended."""

    user_message = "This sign-in has expired or was already finished. Start again with /servicenow connect."


@calls.form("account/connect", needs=Requirement.NOT_CONNECTED)
def open_connect(call: Call, context: Context) -> Reply:
    """Open the sign-in page."""
    return Navigate(context.settings.connect_address)


@calls.submit("account/connect", needs=Requirement.CONFIGURED)
def connect(call: Call, context: Context) -> Reply:
    """Show the link, because browsers can block a tab that a command opens."""
    address = context.settings.connect_address
    if context.account is not None and context.user_status.connected:
        return Text(
            f"You are connected as {person_line(context.account.identity)}. To use another account, "
            f"[connect again]({address}), or run `/servicenow disconnect` first."
        )
    return Text(f"[Connect your ServiceNow account]({address}). You sign in at ServiceNow and come back here.")


def authorize(call: Call, context: Context) -> Reply:
    """
    Return the address of ServiceNow's consent page.

    The sign-in is stored first, because `complete` accepts only one that this person started.

    Raises:
        NotConfigured: There is no instance.
    """
    if context.instance.missing:
        raise NotConfigured(context.instance.missing)
    state = call.values.text("state")
    if not _STATE.fullmatch(state):
        raise InvalidInput({}, "This sign-in link is incomplete. Start again with /servicenow connect.")
    sign_in = SignIn(
        person_id=call.person.id,
        state=state,
        verifier=secrets.token_urlsafe(32),
        instance=context.instance.url,
        started_at=context.clock(),
    )
    context.stores.sign_ins.start(sign_in)
    return Link(context.oauth.authorization_address(state, sign_in.verifier))


def complete(call: Call, context: Context) -> Reply:
    """
    Finish a sign-in: exchange the code, identify the account, and store it.

    Raises:
        UnknownSignIn: This person didn't start the sign-in, or it is expired, finished, or of another instance.
        Declined, SignInFailed: ServiceNow sent an error instead of a code.
        OAuthRefused, ServiceNowError: The exchange failed; nothing was stored.
        StorageFailed: Nothing could be stored; the tokens were revoked.
    """
    sign_in = context.stores.sign_ins.take(call.person.id, call.values.text("state"))
    if sign_in is None or sign_in.instance != context.instance.url:
        raise UnknownSignIn("no sign-in with this state was started by this person")
    if error := call.values.text("error"):
        if error == "access_denied":
            raise Declined("consent declined")
        raise SignInFailed(f"authorization error {error[:60]!r}")
    code = call.values.text("code")
    if not code:
        raise SignInFailed("no code")
    tokens = context.oauth.exchange(code, sign_in.verifier)
    try:
        identity = context.oauth.identify(tokens)
    except ServiceNowError:
        _revoke(context, tokens)
        raise
    before = context.account
    account = Account(
        person_id=call.person.id,
        instance=context.instance.url,
        tokens=tokens,
        identity=identity,
        connected_at=context.clock(),
        version=before.version + 1 if before else 1,
    )
    try:
        while not context.stores.accounts.put(account):
            stored = context.stores.accounts.get(call.person.id)
            account = replace(account, version=(stored.version if stored else 0) + 1)
    except StorageFailed:
        _revoke(context, tokens)
        raise
    log.info("connected", person=call.person.id, identified=identity.known)
    _refresh_menus(context, connected=True)
    _welcome(call, context, account)
    return Text("Connected. You can close this tab.")


@calls.submit("account/disconnect", needs=Requirement.LINKED)
def disconnect(call: Call, context: Context) -> Reply:
    """Revoke the tokens in ServiceNow, and delete the account here."""
    account = context.account
    assert account is not None  # the requirement was checked
    revoked = account.instance == context.instance.url and _revoke(context, account.tokens)
    context.stores.accounts.delete(call.person.id)
    _refresh_menus(context, connected=False)
    log.info("disconnected", person=call.person.id, revoked=revoked)
    outcome = (
        " and revoked at ServiceNow."
        if revoked
        else ". ServiceNow did not confirm that it revoked them; they expire by themselves, at the latest "
        "after 100 days. Your ServiceNow administrator can revoke them at once."
    )
    return Text(f"Disconnected: your ServiceNow tokens are deleted here{outcome}", refresh_menus=True)


@calls.submit("account/me", needs=Requirement.LINKED)
def me(call: Call, context: Context) -> Reply:
    """Show the connected account, and until when the connection lasts."""
    account = context.account
    assert account is not None  # the requirement was checked
    rows = [
        ("Mattermost", f"`{call.person.username}`"),
        ("ServiceNow", person_line(account.identity)),
        ("Instance", account.instance),
        ("State", _state_text(context)),
        ("Connected since", day_text(account.connected_at)),
        ("Connect again before", day_text(account.tokens.ends_at)),
    ]
    return Text("\n".join(["| | |", "|:--|:--|", *(f"| **{name}** | {value} |" for name, value in rows)]))


def _revoke(context: Context, tokens: Tokens) -> bool:
    """Return whether ServiceNow confirmed it. If not, the tokens expire by themselves."""
    try:
        context.oauth.revoke(tokens)
    except (ServiceNowError, OAuthRefused) as error:
        log.warning("revocation failed", person=context.person.id, reason=error.log_message)
        return False
    return True


def _state_text(context: Context) -> str:
    if context.user_status.connected:
        return "works"
    return f"ServiceNow no longer accepts it; [connect again]({context.settings.connect_address})"


def _refresh_menus(context: Context, *, connected: bool) -> None:
    """Update the person's menus now. If that fails, they change at the next channel switch."""
    try:
        context.mattermost.show_connected(connected)
    except MattermostError as error:
        log.warning("menus not refreshed", reason=error.log_message)


def _welcome(call: Call, context: Context, account: Account) -> None:
    """Send a direct message that says who is connected and what to do next."""
    mail = escaped(account.identity.email, 100)
    lines = [
        "#### Your ServiceNow account is connected",
        f"You work in ServiceNow as {person_line(account.identity)}"
        + (f", e-mail {mail}." if mail else ".")
        + " Everything you do here happens with that account's rights.",
        "",
        "What to do next: open the menu of a message and choose **Create ServiceNow incident**, press the "
        "ServiceNow icon in the app bar, or type one of these:",
        "",
        help_text(replace(context.user_status, linked=True, connected=True), account),
    ]
    try:
        context.mattermost.send_direct_message(call.person.id, "\n".join(lines))
    except MattermostError as error:
        log.warning("no welcome message", person=call.person.id, reason=error.log_message)
