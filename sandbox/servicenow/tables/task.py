"""Task and the tables that extend it. Columns and defaults are those of recorded rows (Australia, 2026)."""

from sandbox.servicenow.tables.schema import (
    Column,
    Table,
    audit,
    boolean,
    choice,
    columns,
    date_time,
    domain,
    integer,
    person,
    plain,
    reference,
)


def task_tables() -> list[Table]:
    """Task, incident, and a child of incident with its own mandatory column."""
    task = Table("task", "Task", prefix="TASK", display="number")
    task.columns = audit() | domain() | _task() | plain("order route_reason user_input sys_tags universal_request")
    incident = Table("incident", "Incident", "task", "INC", "number", _incident())
    facility = Table("u_facility_incident", "Facility Incident", "incident", "FAC", "number")
    facility.columns = columns(Column("u_building", "Building", mandatory=True))
    return [task, incident, facility]


def _task() -> dict[str, Column]:
    return columns(
        Column("sys_class_name", "Task type", "sys_class_name", max_length=80),
        Column("number", "Number"),
        Column("task_effective_number", "Effective number"),
        boolean("active", "Active", "true"),
        choice("state", "State", "task", "1"),
        Column("short_description", "Short description", max_length=160),
        Column("description", "Description", max_length=4000),
        choice("priority", "Priority", "task", "4"),
        choice("impact", "Impact", "task", "3"),
        choice("urgency", "Urgency", "task", "3"),
        person("assigned_to", "Assigned to"),
        reference("assignment_group", "Assignment group", "sys_user_group"),
        person("opened_by", "Opened by"),
        date_time("opened_at", "Opened"),
        person("closed_by", "Closed by"),
        date_time("closed_at", "Closed"),
        date_time("due_date", "Due date"),
        date_time("follow_up", "Follow up"),
        date_time("expected_start", "Expected start"),
        date_time("work_start", "Actual start"),
        date_time("work_end", "Actual end"),
        Column("activity_due", "Activity due", "due_date"),
        Column("sla_due", "SLA due", "due_date"),
        reference("cmdb_ci", "Configuration item", "cmdb_ci"),
        reference("business_service", "Service", "cmdb_ci_service"),
        reference("service_offering", "Service offering", "service_offering"),
        reference("company", "Company", "core_company"),
        reference("location", "Location", "cmn_location"),
        reference("contract", "Contract", "ast_contract"),
        reference("delivery_plan", "Delivery plan", "sc_cat_item_delivery_plan"),
        reference("delivery_task", "Delivery task", "sc_cat_item_delivery_task"),
        reference("parent", "Parent", "task"),
        choice("approval", "Approval", "task", "not requested", "string"),
        Column("approval_history", "Approval history", "journal"),
        date_time("approval_set", "Approval set"),
        choice("upon_approval", "Upon approval", "task", "proceed", "string"),
        choice("upon_reject", "Upon reject", "task", "cancel", "string"),
        choice("contact_type", "Channel", "task", "", "string"),
        Column("correlation_id", "Correlation ID", max_length=100),
        Column("correlation_display", "Correlation display", max_length=100),
        Column("watch_list", "Watch list", "glide_list", max_length=4000),
        Column("work_notes_list", "Work notes list", "glide_list", max_length=4000),
        Column("additional_assignee_list", "Additional assignee list", "glide_list", max_length=4000),
        Column("group_list", "Group list", "glide_list", max_length=4000),
        Column("comments", "Comments", "journal_input", max_length=4000),
        Column("work_notes", "Work notes", "journal_input", max_length=4000),
        Column("comments_and_work_notes", "Comments and Work notes", "journal_list", max_length=4000),
        Column("close_notes", "Close notes", max_length=4000),
        choice("escalation", "Escalation", "task", "0"),
        boolean("made_sla", "Made SLA", "true"),
        boolean("knowledge", "Knowledge", "false"),
        integer("reassignment_count", "Reassignment count"),
        Column("time_worked", "Time worked", "timer"),
        Column("calendar_duration", "Duration", "glide_duration"),
        Column("business_duration", "Business duration", "glide_duration"),
    )


def _incident() -> dict[str, Column]:
    return columns(
        person("caller_id", "Caller"),
        choice("category", "Category", "incident", "inquiry", "string"),
        choice("subcategory", "Subcategory", "incident", kind="string"),
        choice("state", "State", "incident", "1"),
        choice("incident_state", "Incident state", "incident", "1"),
        choice("priority", "Priority", "task", "5"),
        choice("hold_reason", "On hold reason", "incident"),
        choice("severity", "Severity", "incident", "3"),
        choice("notify", "Notify", "incident", "1"),
        choice("close_code", "Resolution code", "incident", kind="string"),
        person("resolved_by", "Resolved by"),
        date_time("resolved_at", "Resolved"),
        person("reopened_by", "Last reopened by"),
        date_time("reopened_time", "Last reopened at"),
        integer("reopen_count", "Reopen count"),
        integer("child_incidents", "Child Incidents"),
        integer("calendar_stc", "Resolve time", ""),
        integer("business_stc", "Business resolve time", ""),
        reference("parent_incident", "Parent Incident", "incident"),
        reference("problem_id", "Problem", "problem"),
        reference("rfc", "Change Request", "change_request"),
        reference("caused_by", "Caused by Change", "change_request"),
        Column("business_impact", "Business impact", max_length=4000),
        Column("cause", "Probable cause", max_length=4000),
        Column("origin_id", "Origin", "document_id", max_length=32),
        Column("origin_table", "Origin table", "table_name", max_length=80),
    )
