"""Tables, columns and choices of a small instance (API reference §5)."""

from dataclasses import dataclass, field


@dataclass
class Column:
    """A column: ``type`` is ServiceNow's internal type; ``reference`` names the table it points to."""

    name: str
    label: str
    type: str = "string"
    reference: str = ""
    max_length: int = 40
    mandatory: bool = False
    default: str = ""
    choices: str = ""  # table whose choices it uses


@dataclass
class Table:
    """A table; ``display`` names the column that stands for a row."""

    name: str
    label: str
    extends: str = ""
    prefix: str = ""
    display: str = "name"
    columns: dict[str, Column] = field(default_factory=dict)


def _columns(*columns: Column) -> dict[str, Column]:
    return {column.name: column for column in columns}


def _audit() -> dict[str, Column]:
    return _columns(
        Column("sys_id", "Sys ID", "GUID", max_length=32),
        Column("sys_created_on", "Created", "glide_date_time"),
        Column("sys_created_by", "Created by"),
        Column("sys_updated_on", "Updated", "glide_date_time"),
        Column("sys_updated_by", "Updated by"),
        Column("sys_mod_count", "Updates", "integer"),
    )


def _choice(name: str, label: str, table: str, default: str = "", kind: str = "integer") -> Column:
    return Column(name, label, kind, default=default, choices=table)


def _person(name: str, label: str) -> Column:
    return Column(name, label, "reference", reference="sys_user", max_length=32)


def make_tables() -> dict[str, Table]:
    """A fresh set, so that a test's custom column ends with the test."""
    task = Table("task", "Task", prefix="TASK", display="number")
    task.columns = _audit() | _columns(
        Column("sys_class_name", "Task type", "sys_class_name", max_length=80),
        Column("sys_domain", "Domain", "domain_id", default="global", max_length=32),
        Column("number", "Number"),
        Column("active", "Active", "boolean", default="true"),
        _choice("state", "State", "task", "1"),
        Column("short_description", "Short description", max_length=160),
        Column("description", "Description", max_length=4000),
        _choice("priority", "Priority", "task", "4"),
        _choice("impact", "Impact", "task", "3"),
        _choice("urgency", "Urgency", "task", "3"),
        _person("assigned_to", "Assigned to"),
        Column("assignment_group", "Assignment group", "reference", "sys_user_group", 32),
        _person("opened_by", "Opened by"),
        Column("opened_at", "Opened", "glide_date_time"),
        _person("closed_by", "Closed by"),
        Column("closed_at", "Closed", "glide_date_time"),
        Column("due_date", "Due date", "glide_date_time"),
        Column("cmdb_ci", "Configuration item", "reference", "cmdb_ci", 32),
        Column("parent", "Parent", "reference", "task", 32),
        Column("approval", "Approval", default="not requested"),
        Column("contact_type", "Channel"),
        Column("correlation_id", "Correlation ID", max_length=100),
        Column("correlation_display", "Correlation display", max_length=100),
        Column("watch_list", "Watch list", "glide_list", max_length=4000),
        Column("close_notes", "Close notes", max_length=4000),
        Column("escalation", "Escalation", "integer", default="0"),
        Column("made_sla", "Made SLA", "boolean", default="true"),
        Column("knowledge", "Knowledge", "boolean", default="false"),
        Column("upon_approval", "Upon approval", default="proceed"),
        Column("upon_reject", "Upon reject", default="cancel"),
        Column("reassignment_count", "Reassignment count", "integer", default="0"),
    )
    incident = Table("incident", "Incident", "task", "INC", "number")
    incident.columns = _columns(
        _person("caller_id", "Caller"),
        _choice("category", "Category", "incident", "inquiry", "string"),
        _choice("subcategory", "Subcategory", "incident", kind="string"),
        _choice("state", "State", "incident", "1"),
        _choice("incident_state", "Incident state", "incident", "1"),
        _choice("priority", "Priority", "task", "5"),
        _choice("hold_reason", "On hold reason", "incident"),
        Column("severity", "Severity", "integer", default="3"),
        Column("notify", "Notify", "integer", default="1"),
        _choice("close_code", "Resolution code", "incident", kind="string"),
        _person("resolved_by", "Resolved by"),
        Column("resolved_at", "Resolved", "glide_date_time"),
        Column("reopen_count", "Reopen count", "integer", default="0"),
        Column("child_incidents", "Child Incidents", "integer", default="0"),
    )
    facility = Table("u_facility_incident", "Facility Incident", "incident", "FAC", "number")
    facility.columns = _columns(Column("u_building", "Building", max_length=40, mandatory=True))
    user = Table("sys_user", "User")
    user.columns = _audit() | _columns(
        Column("user_name", "User ID"),
        Column("name", "Name", max_length=100),
        Column("first_name", "First name"),
        Column("last_name", "Last name"),
        Column("email", "Email", max_length=100),
        Column("active", "Active", "boolean", default="true"),
        Column("locked_out", "Locked out", "boolean", default="false"),
        Column("time_zone", "Time zone"),
        Column("preferred_language", "Language", max_length=3),
        _person("manager", "Manager"),
        Column("user_password", "Password", "password"),
    )
    group = Table("sys_user_group", "Group")
    group.columns = _audit() | _columns(
        Column("name", "Name", max_length=80),
        Column("email", "Group email", max_length=100),
        Column("active", "Active", "boolean", default="true"),
        _person("manager", "Manager"),
    )
    member = Table("sys_user_grmember", "Group Member", display="user")
    member.columns = _audit() | _columns(
        _person("user", "User"), Column("group", "Group", "reference", "sys_user_group", 32)
    )
    role = Table("sys_user_role", "Role")
    role.columns = _audit() | _columns(Column("name", "Name", max_length=100))
    has_role = Table("sys_user_has_role", "User Role", display="user")
    has_role.columns = _audit() | _columns(
        _person("user", "User"), Column("role", "Role", "reference", "sys_user_role", 32)
    )
    item = Table("cmdb_ci", "Configuration Item")
    item.columns = _audit() | _columns(
        Column("name", "Name", max_length=255),
        Column("sys_class_name", "Class", "sys_class_name", default="cmdb_ci", max_length=80),
        Column("asset_tag", "Asset tag"),
    )
    choice = Table("sys_choice", "Choice", display="label")
    choice.columns = _audit() | _columns(
        Column("name", "Table", max_length=80),
        Column("element", "Element", max_length=80),
        Column("label", "Label", max_length=100),
        Column("value", "Value"),
        Column("language", "Language", default="en", max_length=3),
        Column("sequence", "Sequence", "integer"),
        Column("inactive", "Inactive", "boolean", default="false"),
        Column("dependent_value", "Dependent value"),
        Column("hint", "Hint"),
    )
    dictionary = Table("sys_dictionary", "Dictionary Entry", display="element")
    dictionary.columns = _audit() | _columns(
        Column("name", "Table", max_length=80),
        Column("element", "Column name", max_length=80),
        Column("column_label", "Column label", max_length=80),
        Column("internal_type", "Type", default="string"),
        Column("reference", "Reference", max_length=80),
        Column("max_length", "Max length", "integer", default="40"),
        Column("mandatory", "Mandatory", "boolean", default="false"),
    )
    table = Table("sys_db_object", "Table", display="label")
    table.columns = _audit() | _columns(
        Column("name", "Name", max_length=80),
        Column("label", "Label", max_length=80),
        Column("super_class", "Extends table", "reference", "sys_db_object", 32),
    )
    registry = Table("oauth_entity", "Application Registry")
    registry.columns = _audit() | _columns(
        Column("name", "Name", max_length=100),
        Column("client_id", "Client ID", max_length=100),
        Column("client_secret", "Client Secret", "password2", max_length=255),
        Column("redirect_url", "Redirect URL", max_length=4000),
        Column("active", "Active", "boolean", default="true"),
    )
    tables = (task, incident, facility, user, group, member, role, has_role, item, choice, dictionary, table)
    return {one.name: one for one in (*tables, registry)}
