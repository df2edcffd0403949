"""
Tables of problems, changes, their tasks and approvals. Columns and defaults are those of recorded rows (Australia,
2026).
"""

from sandbox.servicenow.tables.schema import (
    Column,
    Table,
    audit,
    boolean,
    choice,
    columns,
    date_time,
    integer,
    person,
    plain,
    reference,
)

NORMAL_MODEL = "007c4001c343101035ae3f52c1d3aeb2"
EMERGENCY_MODEL = "62d10fa1c303101035ae3f52c1d3aec1"
STANDARD_MODEL = "e55d0bfec343101035ae3f52c1d3ae49"
_PROBLEM_MODEL = "b58c327fb70c021041c2feb0be11a90e"


def change_tables() -> list[Table]:
    """The children of task, change models and templates, and approvals."""
    follow_on = Table("cert_follow_on_task", "Follow On Task", "task", "FLLW", "number")
    follow_on.columns = columns(
        Column("certification_task", "Certification Task", "reference", "cert_task", 32),
        Column("id", "Document", "document_id", max_length=32),
        Column("table", "Table", "table_name", max_length=80),
    )
    model = Table("chg_model", "Change Model")
    model.columns = (
        audit()
        | columns(
            Column("sys_class_name", "Class", "sys_class_name", default="chg_model", max_length=80),
            Column("name", "Name", max_length=200),
            Column("sys_name", "Display name", max_length=200),
            Column("description", "Description", max_length=4000),
            Column("record_preset", "Record preset", max_length=4000),
            Column("color", "Color", default="#cbcbcb"),
            Column("table_name", "Table", default="change_request", max_length=80),
            Column("state_field", "State field", default="state"),
            boolean("active", "Active", "true"),
            boolean("available_in_ui", "Available in UI", "true"),
            boolean("default_change_model", "Default change model", "false"),
        )
        | plain("sys_tags")
    )
    template = Table("std_change_producer_version", "Standard Change Template Version")
    template.columns = audit() | columns(
        Column("name", "Name", max_length=100),
        Column("sys_name", "Display name", max_length=100),
        integer("version", "Version", "1"),
        boolean("active", "Active", "true"),
        Column("short_description", "Short description", max_length=160),
        Column("description", "Description", max_length=4000),
        Column("implementation_plan", "Implementation plan", max_length=4000),
        Column("backout_plan", "Backout plan", max_length=4000),
        Column("test_plan", "Test plan", max_length=4000),
    )
    affected = Table("task_ci", "Affected CI", display="ci_item")
    affected.columns = audit() | columns(
        reference("ci_item", "Configuration Item", "cmdb_ci"),
        reference("task", "Task", "task"),
        boolean("applied", "Applied", "false"),
        boolean("manual_proposed_change", "Manual Proposed Change", "false"),
    )
    return [
        affected,
        Table("problem", "Problem", "task", "PRB", "number", _problem(), 40_000),
        Table("change_request", "Change Request", "task", "CHG", "number", _change(), 30_000),
        Table("change_task", "Change Task", "task", "CTASK", "number", _change_task()),
        follow_on,
        model,
        template,
        Table("sysapproval_approver", "Approval", display="approver", columns=_approval()),
    ]


def _problem() -> dict[str, Column]:
    return columns(
        choice("state", "State", "problem", "101"),
        choice("problem_state", "Problem state", "problem", "101"),
        choice("priority", "Priority", "task", "5"),
        choice("category", "Category", "problem", "", "string"),
        choice("subcategory", "Subcategory", "problem", "", "string"),
        choice("resolution_code", "Resolution code", "problem", "", "string"),
        Column("cause_notes", "Cause notes", max_length=4000),
        Column("fix_notes", "Fix notes", max_length=4000),
        Column("workaround", "Workaround", max_length=4000),
        Column("review_outcome", "Review outcome"),
        Column("prb_model", "Problem model", "reference", "prb_model", 32, default=_PROBLEM_MODEL),
        reference("duplicate_of", "Duplicate of", "problem"),
        reference("first_reported_by_task", "First reported by", "task"),
        reference("primary_known_error_article", "Known error article", "kb_template_known_error_article"),
        reference("rfc", "Change request", "change_request"),
        boolean("known_error", "Known error", "false"),
        boolean("major_problem", "Major problem", "false"),
        boolean("workaround_applied", "Workaround applied", "false"),
        integer("related_incidents", "Related incidents"),
        integer("reopen_count", "Reopen count"),
        person("confirmed_by", "Confirmed by"),
        date_time("confirmed_at", "Confirmed"),
        person("fix_by", "Fix by"),
        date_time("fix_at", "Fix at"),
        person("fix_communicated_by", "Fix communicated by"),
        date_time("fix_communicated_at", "Fix communicated"),
        person("workaround_communicated_by", "Workaround communicated by"),
        date_time("workaround_communicated_at", "Workaround communicated"),
        person("resolved_by", "Resolved by"),
        date_time("resolved_at", "Resolved"),
        person("reopened_by", "Last reopened by"),
        date_time("reopened_at", "Last reopened"),
    )


def _change() -> dict[str, Column]:
    texts = {
        "backout_plan": "Backout plan",
        "change_plan": "Change plan",
        "implementation_plan": "Implementation plan",
        "justification": "Justification",
        "on_hold_reason": "On hold reason",
        "risk_impact_analysis": "Risk and impact analysis",
        "test_plan": "Test plan",
    }
    return columns(
        choice("type", "Type", "change_request", "normal", "string"),
        choice("state", "State", "change_request", "-5"),
        choice("priority", "Priority", "change_request", "4"),
        choice("category", "Category", "change_request", "Other", "string"),
        choice("risk", "Risk", "change_request"),
        choice("scope", "Scope", "change_request", "3"),
        choice("phase", "Phase", "change_request", "requested", "string"),
        choice("phase_state", "Phase state", "change_request", "open", "string"),
        choice("close_code", "Close code", "change_request", "", "string"),
        Column("conflict_status", "Conflict status", default="Not Run"),
        date_time("conflict_last_run", "Conflict last run"),
        reference("chg_model", "Model", "chg_model"),
        reference("std_change_producer_version", "Standard Change Template version", "std_change_producer_version"),
        person("requested_by", "Requested by"),
        date_time("requested_by_date", "Requested by date"),
        date_time("start_date", "Planned start date"),
        date_time("end_date", "Planned end date"),
        boolean("on_hold", "On hold", "false"),
        Column("on_hold_task", "On Hold Change Tasks", "glide_list", max_length=4000),
        boolean("cab_required", "CAB required", "false"),
        date_time("cab_date_time", "CAB date/time"),
        person("cab_delegate", "CAB delegate"),
        Column("cab_recommendation", "CAB recommendation", max_length=4000),
        date_time("review_date", "Review date"),
        reference("copied_from", "Copied from", "change_request"),
        boolean("outside_maintenance_schedule", "Outside maintenance schedule", "false"),
        boolean("production_system", "Production system", "false"),
        boolean("unauthorized", "Unauthorized", "false"),
        *(Column(name, label, max_length=4000) for name, label in texts.items()),
    ) | plain("reason review_comments review_status")


def _change_task() -> dict[str, Column]:
    return columns(
        choice("state", "State", "change_task", "1"),
        choice("close_code", "Close code", "change_task", "", "string"),
        choice("change_task_type", "Type", "change_task", "planning", "string"),
        Column("created_from", "Created from", default="manual"),
        reference("change_request", "Change request", "change_request"),
        date_time("planned_start_date", "Planned start date"),
        date_time("planned_end_date", "Planned end date"),
        boolean("on_hold", "On hold", "false"),
        Column("on_hold_reason", "On hold reason", max_length=4000),
    )


def _approval() -> dict[str, Column]:
    return (
        audit()
        | columns(
            person("approver", "Approver"),
            choice("state", "State", "sysapproval_approver", "requested", "string"),
            reference("sysapproval", "Approval for", "task"),
            Column("document_id", "Approving", "document_id", max_length=32),
            Column("source_table", "Source table", "table_name", max_length=80),
            reference("group", "Assignment group", "sysapproval_group"),
            Column("comments", "Comments", "journal_input", max_length=4000),
            date_time("due_date", "Due date"),
            date_time("expected_start", "Expected start"),
            Column("iteration", "Iteration", "integer", default="1"),
            Column("approval_column", "Approval column", default="approval"),
            Column("approval_journal_column", "Approval journal column", default="approval_history"),
        )
        | plain("approval_reason approval_source order process_step state_binding sys_tags")
    )
