"""The pages of Retrieved Update Sets, with the platform's URLs and field names (recorded)."""

import hashlib
from collections.abc import Callable
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from flask import Blueprint, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from sandbox.servicenow.auth.access_control import Caller
from sandbox.servicenow.auth.oauth_routes import SESSION, OAuthRoutes
from sandbox.servicenow.records.store import Row, Store
from sandbox.servicenow.update_sets import BadFile, Unresolved, UpdateSets
from sandbox.servicenow.update_sets.tracking import RETRIEVED

Frame = Callable[[Caller, str], dict[str, object]]
_LIST = f"/{RETRIEVED}_list.do"


class UpdateSetPages:
    """
    The pages and their routes.

    Args:
        frame: Returns what every page needs: the account and the tables.
    """

    def __init__(self, store: Store, update_sets: UpdateSets, oauth: OAuthRoutes, frame: Frame) -> None:
        self._store = store
        self._update_sets = update_sets
        self._oauth = oauth
        self._frame = frame

    def blueprint(self) -> Blueprint:
        """All routes."""
        blueprint = Blueprint("update_set_pages", __name__)
        for path, method, view in (
            (_LIST, "GET", self.listed),
            ("/upload.do", "GET", self.form),
            ("/sys_upload.do", "POST", self.upload),
            (f"/{RETRIEVED}.do", "GET", self.record),
            (f"/{RETRIEVED}.do", "POST", self.act),
            ("/xmlhttp.do", "POST", self.ajax),
        ):
            name = f"{method.lower()}{path.replace('.', '_').replace('/', '_')}"
            blueprint.add_url_rule(path, name, self._guarded(view), methods=[method])
        return blueprint

    def listed(self, caller: Caller) -> ResponseReturnValue:
        """All retrieved sets, newest first."""
        rows = self._store.rows(RETRIEVED)[::-1]
        return render_template("update_sets.html", **self._frame(caller, RETRIEVED), rows=rows)

    def form(self, caller: Caller) -> ResponseReturnValue:
        """The upload form."""
        return self._form(caller, "")

    def upload(self, caller: Caller) -> ResponseReturnValue:
        """
        Load the uploaded file. Returns an empty response (recorded), or redirects to the page that the form names.
        """
        if not self._genuine() or request.form.get("sysparm_target") != RETRIEVED:
            return self._form(caller, "The form is out of date. Choose the file once more."), 403
        file = request.files.get("attachFile")
        try:
            set_id = self._update_sets.load(file.read() if file else b"")
        except BadFile as problem:
            return self._form(caller, f"The file was not loaded: {problem}."), 200
        if request.form.get("sysparm_referring_url") == RETRIEVED:
            return redirect(f"/{RETRIEVED}.do?sys_id={set_id}", 303)
        return Response("", 200, {"Content-Type": "text/html;charset=UTF-8"})

    def record(self, caller: Caller) -> ResponseReturnValue:
        """One set with its state, problems and log, and the buttons that apply."""
        found = self._store.find(RETRIEVED, request.args.get("sys_id", ""))
        return self._record(caller, found) if found else self._missing()

    def act(self, caller: Caller) -> ResponseReturnValue:
        """Handle a button: preview, accept or skip a problem, commit, confirm data loss, delete."""
        found = self._store.find(RETRIEVED, request.args.get("sys_id", ""))
        if found is None or not self._genuine():
            return self._missing()
        set_id, action = found["sys_id"], request.form.get("sys_action", "")
        try:
            match action:
                case "preview":
                    self._update_sets.preview(set_id)
                case "accept" | "skip":
                    status = "ignored" if action == "accept" else "skipped"
                    self._update_sets.decide(request.form.get("problem", ""), status)
                case "commit" if deletes := self._update_sets.deletes(set_id):
                    return self._record(caller, found, deletes=deletes)
                case "commit" | "proceed":
                    self._update_sets.commit(set_id)
                case "delete":
                    self._store.delete(RETRIEVED, set_id, caller.user_name, caller.sys_id)
                    return redirect(_LIST, 303)
                case _:
                    return self._missing()
        except (Unresolved, KeyError) as problem:
            return self._record(caller, found, refused=str(problem))
        return redirect(f"/{RETRIEVED}.do?sys_id={set_id}", 303)

    def ajax(self, caller: Caller) -> ResponseReturnValue:
        """The request of the platform's preview button. Returns XML with the tracker's ID (recorded)."""
        wanted = request.form
        if wanted.get("sysparm_processor") != "UpdateSetPreviewAjax" or not self._genuine():
            return Response("<xml error='Security constraint'/>", 403, {"Content-Type": "text/xml;charset=UTF-8"})
        set_id = wanted.get("sysparm_ajax_processor_sys_id", "")
        if self._store.find(RETRIEVED, set_id) is None:
            return self._missing()
        self._update_sets.preview(set_id)
        tracker = hashlib.md5(set_id.encode(), usedforsecurity=False).hexdigest()
        body = f'<xml answer={quoteattr(tracker)} sysparm_max="15" sysparm_processor="UpdateSetPreviewAjax"/>'
        return Response(body, 200, {"Content-Type": "text/xml;charset=UTF-8"})

    def _guarded(self, view: Callable[[Caller], ResponseReturnValue]) -> Callable[[], ResponseReturnValue]:
        """Admins only. Others are redirected to the sign-in page, or get an error."""

        def guarded() -> ResponseReturnValue:
            caller = self._oauth.signed_in()
            if caller is None:
                return redirect("/login.do?to=" + quote(request.full_path, safe=""))
            return view(caller) if caller.admin else self._missing()

        return guarded

    def _form(self, caller: Caller, refused: str) -> str:
        frame = self._frame(caller, RETRIEVED)
        return render_template("update_set_upload.html", **frame, refused=refused, token=self._token())

    def _record(
        self, caller: Caller, found: Row, refused: str = "", deletes: list[str] | None = None
    ) -> ResponseReturnValue:
        names = {row["sys_id"]: row["name"] for row in self._store.rows("sys_update_xml")}
        problems = self._update_sets.problems(found["sys_id"])
        return render_template(
            "update_set.html",
            **self._frame(caller, RETRIEVED),
            row=found,
            problems=problems,
            open=[problem for problem in problems if not problem["status"]],
            names=names,
            log=self._update_sets.log(found["sys_id"]),
            refused=refused,
            deletes=deletes or [],
            token=self._token(),
        )

    def _token(self) -> str:
        """72 characters, bound to the session (recorded length)."""
        return hashlib.sha384(request.cookies.get(SESSION, "").encode()).hexdigest()[:72]

    def _genuine(self) -> bool:
        return request.form.get("sysparm_ck") == self._token()

    def _missing(self) -> ResponseReturnValue:
        text = "Record doesn't exist, or your account may not see it."
        return render_template("message.html", title="Record not found", message=text), 404
