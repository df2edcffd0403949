"""The routes and pages of the OAuth provider (API reference §4)."""

import hmac
import json
import secrets
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from sandbox.common import Faults
from sandbox.servicenow.auth.access_control import AccessControl, Caller
from sandbox.servicenow.auth.oauth_tokens import Grant, OAuthTokens
from sandbox.servicenow.queries.encoded_query import Unsupported
from sandbox.servicenow.records.store import Row, Store

SESSION = "glide_session"
_NOT_DONE = {"urn:ietf:params:oauth:grant-type:jwt-bearer"}


class OAuthRoutes:
    """Sign-in and consent for people, and tokens for clients."""

    def __init__(self, store: Store, access_control: AccessControl, state: OAuthTokens, faults: Faults) -> None:
        self._store = store
        self._access_control = access_control
        self._state = state
        self._faults = faults
        self.sessions: dict[str, str] = {}

    def blueprint(self) -> Blueprint:
        """All routes."""
        blueprint = Blueprint("oauth", __name__)
        blueprint.add_url_rule("/oauth_auth.do", "authorize", self.authorize, methods=["GET"])
        blueprint.add_url_rule("/oauth_auth.do", "decide", self.decide, methods=["POST"])
        for path in ("login", "oauth_login"):
            blueprint.add_url_rule(f"/{path}.do", path, self.login, methods=["GET", "POST"])
        blueprint.add_url_rule("/logout.do", "logout", self.logout)
        blueprint.add_url_rule("/oauth_token.do", "token", self.token, methods=["POST"])
        blueprint.add_url_rule("/oauth_revoke_token.do", "revoke", self.revoke, methods=["GET", "POST"])
        return blueprint

    def signed_in(self) -> Caller | None:
        """The account that is signed in in this browser."""
        user_id = self.sessions.get(request.cookies.get(SESSION, ""))
        return self._access_control.by_id(user_id) if user_id else None

    def authorize(self) -> ResponseReturnValue:
        """Check the client, then show the sign-in or consent page."""
        wrong = self._wrong_request()
        if wrong:
            return render_template("message.html", title="OAuth", message=wrong), 200
        caller = self.signed_in()
        if caller is None:
            return redirect(f"/oauth_login.do?{urlencode({'to': request.full_path})}")
        client = self._client(request.args.get("client_id", ""))
        who = self._store.display("sys_user", caller.sys_id)
        return render_template("consent.html", client=client, who=who, query=request.query_string.decode())

    def decide(self) -> ResponseReturnValue:
        """Allow or deny, then redirect to the client."""
        wrong = self._wrong_request()
        caller = self.signed_in()
        if wrong or caller is None:
            return render_template("message.html", title="OAuth", message=wrong or "Sign in first."), 200
        target, state = request.args["redirect_uri"], request.args["state"]
        if "allow" not in request.form:
            return redirect(_with(target, {"error": "access_denied", "state": state}))
        challenge = request.args.get("code_challenge", "")
        code = self._state.issue_code(request.args["client_id"], caller.sys_id, target, challenge)
        return redirect(_with(target, {"code": code, "state": state}))

    def login(self) -> ResponseReturnValue:
        """The sign-in form with the real field names. Success returns 302; failure returns 200 with the form again."""
        target = request.args.get("to", "/")
        target = target if target.startswith("/") and not target.startswith("//") else "/"
        if request.method == "GET":
            return render_template("login.html", failed=False)
        caller = self._access_control.by_password(
            request.form.get("user_name", ""), request.form.get("user_password", "")
        )
        if caller is None:
            return render_template("login.html", failed=True)
        session = secrets.token_hex(16)
        self.sessions[session] = caller.sys_id
        response = redirect(target)
        response.set_cookie(SESSION, session, httponly=True, samesite="Lax")
        return response

    def logout(self) -> ResponseReturnValue:
        """Sign out."""
        self.sessions.pop(request.cookies.get(SESSION, ""), None)
        return redirect("/login.do")

    def token(self) -> ResponseReturnValue:
        """
        Return tokens for a code, a refresh token, a password or client credentials. All errors look alike.

        Raises:
            Unsupported: A real grant type that isn't implemented here.
        """
        client = None if request.query_string else self._authenticated()
        if client is None:
            return _refused()
        kind = request.form.get("grant_type", "")
        if kind in _NOT_DONE:
            raise Unsupported(f"grant_type={kind}")
        if kind not in {one.strip() for one in client["grant_types"].split(",")}:
            return _refused()
        grant = self._granted(client, kind)
        if grant is None or self._access_control.by_id(grant.user_id) is None:
            return _refused()
        return self._tokens(grant)

    def _authenticated(self) -> Row | None:
        """
        Authenticate the client by its ID and secret in the body or in basic auth.

        Only the body is documented, but PySNC, pysnow and other clients on requests-oauthlib send basic auth.
        """
        given = request.form.get("client_id", ""), request.form.get("client_secret", "")
        if "Authorization" in request.headers:
            basic = request.authorization
            if basic is None or basic.type != "basic" or given[0] not in {"", basic.username}:
                return None
            given = basic.username or "", basic.password or ""
        client = self._client(given[0])
        return client if client is not None and _same(client["client_secret"], given[1]) else None

    def _granted(self, client: Row, kind: str) -> Grant | None:
        form, client_id = request.form, client["client_id"]
        lives = float(client["access_token_lifespan"] or 0), float(client["refresh_token_lifespan"] or 0)
        match kind:
            case "authorization_code":
                address, verifier = form.get("redirect_uri", ""), form.get("code_verifier", "")
                return self._state.redeem(form.get("code", ""), client_id, address, verifier, lives)
            case "refresh_token":
                if self._faults.take(request.path, "refresh_refused"):
                    return None
                return self._state.refresh(form.get("refresh_token", ""), client_id)
            case "password":
                caller = self._access_control.by_password(form.get("username", ""), form.get("password", ""))
                row = self._store.find("sys_user", caller.sys_id) if caller else None
                if row is None or row["password_needs_reset"] == "true":
                    return None
                return self._state.give(client_id, row["sys_id"], kind, lives)
            case "client_credentials":  # needs an application user to act as
                return self._state.give(client_id, client["user"], kind, lives) if client["user"] else None
        return None

    def revoke(self) -> ResponseReturnValue:
        """Revoke an access or refresh token. Needs no client credentials."""
        self._state.revoke(request.values.get("token", ""))
        return Response("", 200)

    def _tokens(self, grant: Grant) -> Response:
        body = {
            "access_token": grant.access_token,
            "refresh_token": grant.refresh_token,
            "scope": "useraccount",
            "token_type": "Bearer",
            "expires_in": self._state.remaining(grant),
        }
        if not grant.refresh_token or self._faults.take(request.path, "no_refresh_token"):
            del body["refresh_token"]
        return Response(json.dumps(body), 200, {"Content-Type": "application/json;charset=UTF-8"})

    def _wrong_request(self) -> str:
        arguments = request.args
        client = self._client(arguments.get("client_id", ""))
        if client is None:
            return "The OAuth client is not known to this instance."
        allowed = [address.strip() for address in client["redirect_url"].split(",")]
        if arguments.get("redirect_uri") not in allowed:
            return "The redirect address is not one of those registered for this OAuth client."
        if not arguments.get("state"):
            return "Missing State parameter in request."
        if arguments.get("response_type") != "code":
            return "The response type is not supported."
        return ""

    def _client(self, client_id: str) -> Row | None:
        return next(
            (
                row
                for row in self._store.rows("oauth_entity")
                if client_id and row["client_id"] == client_id and row["active"] == "true"
            ),
            None,
        )


def _with(address: str, parameters: dict[str, str]) -> str:
    """Add query parameters to a redirect URL, which may have a query already."""
    return f"{address}{'&' if '?' in address else '?'}{urlencode(parameters)}"


def _refused() -> Response:
    body = {"error_description": "access_denied", "error": "server_error"}
    return Response(json.dumps(body), 401, {"Content-Type": "application/json;charset=UTF-8"})


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
