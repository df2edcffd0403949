"""Web pages: home, lists, and record forms. Classic URLs lead here."""

import re
from urllib.parse import quote, unquote

from flask import Blueprint, Response, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup, escape

from sandbox.servicenow.api.attachment import download
from sandbox.servicenow.auth.access_control import AccessControl, Caller
from sandbox.servicenow.auth.oauth_routes import OAuthRoutes
from sandbox.servicenow.pages.record_form import CREATED, RecordForm
from sandbox.servicenow.queries.record_queries import Forbidden, RecordQueries
from sandbox.servicenow.queries.serializer import RowSerializer
from sandbox.servicenow.records.attachments import TABLE, Attachments
from sandbox.servicenow.records.store import Refusal, Row, Store
from sandbox.servicenow.web import http

_LISTS = {
    "incident": "Incidents",
    "problem": "Problems",
    "change_request": "Change Requests",
    "change_task": "Change Tasks",
    "cert_follow_on_task": "Follow On Tasks",
    "task": "Tasks",
    "kb_knowledge": "Knowledge",
    "sysapproval_approver": "Approvals",
    "u_facility_incident": "Facility Incidents",
    "sys_user": "Users",
    "sys_user_group": "Groups",
    "cmdb_ci": "Configuration Items",
}
_FOR_ADMINISTRATORS = {"sys_remote_update_set": "Retrieved Update Sets"}  # with pages of their own
_SHOWN: dict[str, tuple[str, ...]] = {
    "sys_user": ("user_name", "name", "email", "active"),
    "sys_user_group": ("name", "manager", "active"),
    "cmdb_ci": ("name",),
    "kb_knowledge": ("number", "short_description", "kb_category", "author", "workflow_state", "sys_updated_on"),
    "sysapproval_approver": ("approver", "sysapproval", "sysapproval.short_description", "state", "sys_created_on"),
    "task": ("number", "short_description", "sys_class_name", "priority", "state", "assignment_group", "opened_at"),
    "change_request": ("number", "short_description", "type", "state", "approval", "assignment_group", "start_date"),
}
_TASK_LIST = ("number", "short_description", "caller_id", "priority", "state", "assignment_group", "opened_at")
_TASK_FORM = (
    "number", "caller_id", "type", "approval", "change_request", "category", "subcategory", "cmdb_ci", "impact",
    "urgency", "priority", "state", "assignment_group", "assigned_to", "opened_by", "opened_at", "closed_at",
    "correlation_id", "sys_mod_count",
)  # fmt: skip
_MOST_SHOWN = 50
_MOST_COLUMNS = 7
_MOST_SHOWN_OF_TEXT = 160
_ADDRESS = re.compile(r"https?://[^\s<>\"')\]]+")


class RecordPages:
    """The pages and their routes."""

    def __init__(
        self, store: Store, access_control: AccessControl, oauth: OAuthRoutes, attachments: Attachments
    ) -> None:
        self._store = store
        self._access_control = access_control
        self._oauth = oauth
        self._attachments = attachments
        self._queries = RecordQueries(store, access_control)

    def blueprint(self) -> Blueprint:
        """All routes."""
        blueprint = Blueprint("pages", __name__)
        blueprint.add_url_rule("/", "home", lambda: redirect("/incident_list.do"))
        blueprint.add_url_rule("/nav_to.do", "framed", self.framed)
        target = "/now/nav/ui/classic/params/target/<path:target>"
        blueprint.add_url_rule(target, "next", lambda target: redirect(f"/{unquote(target)}"))
        blueprint.add_url_rule("/sys_attachment.do", "attachment", self.attachment)
        blueprint.add_url_rule("/<table>.do", "record", self.record)
        blueprint.add_url_rule("/<table>.do", "save", self.save, methods=["POST"])
        blueprint.add_url_rule("/<table>_list.do", "list", self.list)
        blueprint.add_app_template_filter(linked)
        return blueprint

    def framed(self) -> ResponseReturnValue:
        """Redirect from the classic frameset to its content."""
        uri = request.args.get("uri", "")
        if not re.fullmatch(r"/?\w+\.do(\?.*)?", uri):
            return render_template("message.html", title="Not found", message="There is no such page."), 404
        return redirect("/" + uri.lstrip("/"))

    def list(self, table: str) -> ResponseReturnValue:
        """The newest rows of `sysparm_query` that the user can see."""
        caller = self._caller()
        if not self._has_pages(caller, table):
            return render_template("message.html", title="Not found", message="There is no such list."), 404
        parsed = self._queries.parse(table, request.args.get("sysparm_query", ""))
        try:
            found = self._queries.visible(caller, table, self._queries.select(caller, table, parsed))
        except Forbidden:
            found = []
        rows = found if parsed.order else found[::-1]
        wanted = _SHOWN.get(table, _TASK_LIST) if table in _LISTS else self._own(table)[:_MOST_COLUMNS]
        names = [name for name in wanted if self._store.column(table, name) is not None]
        serializer = self._serializer(caller)
        shown = [
            (row["sys_id"], [serializer.text(table, row, name)[:_MOST_SHOWN_OF_TEXT] for name in names])
            for row in rows[:_MOST_SHOWN]
        ]
        labels = [column.label for name in names if (column := self._store.column(table, name))]
        new = table in CREATED and self._access_control.may_insert(caller, table)
        frame = self.frame(caller, table)
        return render_template("list.html", **frame, labels=labels, rows=shown, total=len(rows), new=new)

    def record(self, table: str) -> ResponseReturnValue:
        """A record by sys_id, or by number with `sysparm_query=number=…`. `sys_id=-1` is a new record."""
        caller, row = self._opened(table)
        return self._page(caller, self._class(table, row), row)

    def save(self, table: str) -> ResponseReturnValue:
        """Save the changes in a form. If they are rejected, the page shows why and keeps what was entered."""
        caller, row = self._opened(table)
        table = self._class(table, row)
        if "delete" in request.form:
            return self._delete(caller, table, row)
        form = RecordForm(self._store, self._access_control, caller, table, row)
        given = form.given(request.form)
        if not form.fields():
            return self._page(caller, table, row, given, "ACL Exception Update Failed due to security constraints")
        if missing := form.missing(given):
            told = f"The following mandatory fields are not filled in: {', '.join(missing)}"
            return self._page(caller, table, row, given, told)
        try:
            if row.get("sys_id"):
                self._store.update(table, row["sys_id"], given, caller.user_name, caller.sys_id)
            else:
                row = self._store.insert(table, given, caller.user_name, caller.sys_id)
        except Refusal as refusal:
            return self._page(caller, table, row, given, refusal.detail)
        except KeyError:  # deleted in the meantime
            return _not_found()
        return redirect(f"/{table}.do?sys_id={row['sys_id']}&saved=yes", 303)

    def attachment(self) -> ResponseReturnValue:
        """Download a record's file."""
        caller = self._caller()
        row = self._store.find(TABLE, request.args.get("sys_id", ""))
        if row is None or not self._access_control.may_read(caller, TABLE, row):
            return _not_found()
        return download(row, self._attachments.content(row["sys_id"]))

    def _caller(self) -> Caller:
        """The signed-in account. Raises Refused: redirect to the sign-in page."""
        caller = self._oauth.signed_in()
        if caller is None:
            there = "/login.do?to=" + quote(request.full_path, safe="")
            raise http.Refused(make_response(redirect(there)))
        return caller

    def _opened(self, table: str) -> tuple[Caller, Row]:
        """The signed-in account and the requested record. Raises Refused: redirect to the sign-in page, or 404."""
        caller = self._caller()
        row = self._find(table) if self._has_pages(caller, table) else None
        if row is None or not self._visible(caller, table, row):
            raise http.Refused(_not_found())
        return caller, row

    def _delete(self, caller: Caller, table: str, row: Row) -> ResponseReturnValue:
        if not row.get("sys_id") or not self._access_control.may_delete(caller, table, row):
            return self._page(caller, table, row, {}, "ACL Exception Delete Failed due to security constraints")
        self._store.delete(table, row["sys_id"], caller.user_name, caller.sys_id)
        return redirect(f"/{table}_list.do", 303)

    def _page(
        self, caller: Caller, table: str, row: Row, typed: dict[str, str] | None = None, refused: str = ""
    ) -> ResponseReturnValue:
        columns = self._store.columns(table)
        form = RecordForm(self._store, self._access_control, caller, table, row).fields(typed)
        serializer = self._serializer(caller)
        usual = (*_SHOWN.get(table, ()), *_TASK_FORM, *(name for name in columns if name.startswith("u_")))
        wanted = dict.fromkeys(usual if table in self._listed() else self._own(table))
        names = [name for name in wanted if name in columns and name != "short_description"]
        known = row.get("sys_id")
        return render_template(
            "record.html",
            **self.frame(caller, table),
            title=row.get("number")
            or row.get("name")
            or (serializer.text(table, row, "sysapproval") if known else "New"),
            fields=[(columns[name].label, name, serializer.text(table, row, name)) for name in names] if known else [],
            form=form,
            was=row,
            row=row,
            journal=serializer.text(table, row, "comments_and_work_notes").strip(),
            files=self._attachments.of(table, row["sys_id"]) if known else [],
            history=serializer.text(table, row, "comments").strip() if table == "sysapproval_approver" else "",
            refused=refused,
            saved="saved" in request.args and not refused,
            deletable=bool(known) and self._access_control.may_delete(caller, table, row),
        )

    def _has_pages(self, caller: Caller, table: str) -> bool:
        """Whether the user can open the table: one of the usual tables, or as an admin any."""
        return table in _LISTS or (caller.admin and table in self._store.tables)

    def _listed(self) -> set[str]:
        return {name for table in _LISTS for name in self._store.descendants(table)}

    def _own(self, table: str) -> tuple[str, ...]:
        """The table's columns, without those that every table has."""
        return tuple(name for name in self._store.columns(table) if not name.startswith("sys_"))

    def _find(self, table: str) -> Row | None:
        sys_id, query = request.args.get("sys_id", ""), request.args.get("sysparm_query", "")
        if sys_id == "-1":
            return self._new(table, query)
        if sys_id:
            return self._store.find(table, sys_id)
        number = query.removeprefix("number=")
        return next((row for row in self._store.rows(table) if number and row.get("number") == number), None)

    def _new(self, table: str, query: str) -> Row | None:
        """A new row, with the presets of `sysparm_query=column=value^…`."""
        if table not in CREATED:
            return None
        columns = self._store.columns(table)
        row = {name: column.default for name, column in columns.items()} | {"sys_id": ""}
        presets = dict(term.partition("=")[::2] for term in query.split("^") if "=" in term)
        return row | {name: value for name, value in presets.items() if name in columns and name != "sys_id"}

    def _visible(self, caller: Caller, table: str, row: Row) -> bool:
        return (
            self._access_control.may_read(caller, table, row)
            if row["sys_id"]
            else self._access_control.may_insert(caller, table)
        )

    def _class(self, table: str, row: Row) -> str:
        return row["sys_class_name"] if row.get("sys_class_name") in self._store.descendants(table) else table

    def frame(self, caller: Caller, table: str) -> dict[str, object]:
        """What every page shows: the account and the tables."""
        return {
            "who": self._store.display("sys_user", caller.sys_id),
            "table": table,
            "heading": _LISTS.get(table) or self._store.tables[table].label,
            "lists": [*_LISTS.items(), *(_FOR_ADMINISTRATORS.items() if caller.admin else ())],
        }

    def _serializer(self, caller: Caller) -> RowSerializer:
        return RowSerializer(self._store, self._access_control, caller, "", "true", False)


def linked(text: str) -> Markup:
    """Text with its URLs as links."""
    parts, position = [], 0
    for match in _ADDRESS.finditer(text):
        address = escape(match.group())
        parts += [escape(text[position : match.start()]), Markup(f'<a href="{address}">{address}</a>')]
        position = match.end()
    return Markup("").join([*parts, escape(text[position:])])


def _not_found() -> Response:
    text = "Record doesn't exist, or your account may not see it."
    return make_response(render_template("message.html", title="Record not found", message=text), 404)
