"""Pages for people: home, lists, a record. Classic addresses lead here."""

import re
from urllib.parse import quote, unquote

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup, escape

from sandbox.servicenow.lists import Forbidden, Lists
from sandbox.servicenow.oauth_routes import OAuthRoutes
from sandbox.servicenow.people import Caller, People
from sandbox.servicenow.shapes import Shapes
from sandbox.servicenow.store import Store

_LISTS = ("incident", "u_facility_incident", "sys_user", "sys_user_group", "cmdb_ci")
_SHOWN = {
    "sys_user": ("user_name", "name", "email", "active"),
    "sys_user_group": ("name", "active"),
    "cmdb_ci": ("name",),
}
_TASK_LIST = (
    "number",
    "short_description",
    "caller_id",
    "priority",
    "state",
    "assignment_group",
    "opened_at",
)
_TASK_FORM = (
    "number", "caller_id", "category", "subcategory", "cmdb_ci", "impact", "urgency", "priority", "state",
    "assignment_group", "assigned_to", "opened_by", "opened_at", "correlation_id",
)  # fmt: skip
_MOST_SHOWN = 50
_ADDRESS = re.compile(r"https?://[^\s<>\"')\]]+")


class Pages:
    """Everything that a browser opens."""

    def __init__(self, store: Store, people: People, oauth: OAuthRoutes) -> None:
        self._store = store
        self._people = people
        self._oauth = oauth
        self._lists = Lists(store, people)

    def blueprint(self) -> Blueprint:
        """All routes."""
        blueprint = Blueprint("pages", __name__)
        blueprint.add_url_rule("/", "home", lambda: redirect("/incident_list.do"))
        blueprint.add_url_rule("/nav_to.do", "framed", self.framed)
        target = "/now/nav/ui/classic/params/target/<path:target>"
        blueprint.add_url_rule(target, "next", lambda target: redirect(f"/{unquote(target)}"))
        blueprint.add_url_rule("/<table>.do", "record", self.record)
        blueprint.add_url_rule("/<table>_list.do", "list", self.list)
        blueprint.add_app_template_filter(linked)
        return blueprint

    def framed(self) -> ResponseReturnValue:
        """The classic frame: on to what it holds."""
        uri = request.args.get("uri", "")
        if not re.fullmatch(r"/?\w+\.do(\?.*)?", uri):
            return render_template("message.html", title="Not found", message="There is no such page."), 404
        return redirect("/" + uri.lstrip("/"))

    def list(self, table: str) -> ResponseReturnValue:
        """The newest rows that the person may see, of those that `sysparm_query` asks for."""
        caller = self._oauth.signed_in()
        if caller is None:
            return _sign_in()
        if table not in _LISTS:
            return render_template("message.html", title="Not found", message="There is no such list."), 404
        parsed = self._lists.parse(table, request.args.get("sysparm_query", ""))
        try:
            found = self._lists.visible(caller, table, self._lists.select(caller, table, parsed))
        except Forbidden:
            found = []
        rows = found if parsed.order else found[::-1]
        columns = self._store.columns(table)
        names = [name for name in _SHOWN.get(table, _TASK_LIST) if name in columns]
        shapes = self._shapes(caller)
        shown = [(row["sys_id"], [shapes.text(table, row, name) for name in names]) for row in rows[:_MOST_SHOWN]]
        labels = [columns[name].label for name in names]
        return render_template("list.html", **self._frame(caller, table), labels=labels, rows=shown, total=len(rows))

    def record(self, table: str) -> ResponseReturnValue:
        """One record by sys_id, or by number as `sysparm_query=number=…`."""
        caller = self._oauth.signed_in()
        if caller is None:
            return _sign_in()
        row = self._find(table) if table in _LISTS or table == "task" else None
        if row is None or not self._people.may_read(caller, table, row):
            text = "Record doesn't exist, or your account may not see it."
            return render_template("message.html", title="Record not found", message=text), 404
        real = row["sys_class_name"] if table == "task" or table in self._store.descendants("task") else table
        columns = self._store.columns(real)
        names = [name for name in _SHOWN.get(table, _TASK_FORM) if name in columns]
        names += [name for name in columns if name.startswith("u_")]
        shapes = self._shapes(caller)
        fields = [(columns[name].label, name, shapes.text(real, row, name)) for name in names]
        journal = shapes.text(real, row, "comments_and_work_notes").strip()
        title = row.get("number") or row.get("name") or row["sys_id"]
        frame = self._frame(caller, real)
        return render_template("record.html", **frame, title=title, fields=fields, row=row, journal=journal)

    def _find(self, table: str) -> dict[str, str] | None:
        if sys_id := request.args.get("sys_id"):
            return self._store.find(table, sys_id)
        number = request.args.get("sysparm_query", "").removeprefix("number=")
        return next((row for row in self._store.rows(table) if number and row.get("number") == number), None)

    def _frame(self, caller: Caller, table: str) -> dict[str, object]:
        names = {"incident": "Incidents", "sys_user": "Users", "sys_user_group": "Groups"}
        names |= {"cmdb_ci": "Configuration Items", "u_facility_incident": "Facility Incidents"}
        return {
            "who": self._store.display("sys_user", caller.sys_id),
            "table": table,
            "heading": names.get(table, table),
            "lists": [(name, names[name]) for name in _LISTS],
        }

    def _shapes(self, caller: Caller) -> Shapes:
        return Shapes(self._store, self._people, caller, "", "true", False)


def linked(text: str) -> Markup:
    """Text with its web addresses as links."""
    parts, position = [], 0
    for match in _ADDRESS.finditer(text):
        address = escape(match.group())
        parts += [escape(text[position : match.start()]), Markup(f'<a href="{address}">{address}</a>')]
        position = match.end()
    return Markup("").join([*parts, escape(text[position:])])


def _sign_in() -> ResponseReturnValue:
    return redirect("/login.do?to=" + quote(request.full_path, safe=""))
