"""Tables of the service catalog, and problem tasks. The columns of items and orders are those of recorded rows."""

from sandbox.servicenow.tables.metadata import METADATA_ROOT
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


def catalog_tables() -> list[Table]:
    """Catalogs, categories, items and their variables; requests, requested items and catalog tasks."""
    request = Table("sc_request", "Request", "task", "REQ", "number", _request())
    item = Table("sc_req_item", "Requested Item", "task", "RITM", "number", _requested_item())
    task = Table("sc_task", "Catalog Task", "task", "SCTASK", "number")
    task.columns = columns(
        choice("state", "State", "sc_task", "1"),
        reference("request", "Request", "sc_request"),
        reference("request_item", "Request item", "sc_req_item"),
        reference("cat_item", "Item", "sc_cat_item"),
        reference("sc_catalog", "Catalog", "sc_catalog"),
        Column("calendar_stc", "Resolve time", "integer"),
    )
    problem_task = Table("problem_task", "Problem Task", "task", "PTASK", "number")
    problem_task.columns = columns(
        choice("state", "State", "problem_task", "151"),
        choice("problem_task_type", "Type", "problem_task", "general", "string"),
        choice("close_code", "Close code", "problem_task", "", "string"),
        reference("problem", "Problem", "problem"),
        Column("cause_code", "Cause code"),
        Column("cause_notes", "Cause notes", max_length=4000),
        Column("fix_notes", "Fix notes", max_length=4000),
        Column("workaround", "Workaround", max_length=4000),
    )
    return [
        _catalog(),
        _category(),
        _item(),
        _producer(),
        _variable(),
        _answer(),
        _link(),
        request,
        item,
        task,
        problem_task,
    ]


def _catalog() -> Table:
    table = Table("sc_catalog", "Catalog", display="title")
    table.columns = audit() | columns(
        Column("title", "Title", max_length=100),
        Column("description", "Description", max_length=4000),
        boolean("active", "Active", "true"),
        person("manager", "Manager"),
    )
    return table


def _category() -> Table:
    table = Table("sc_category", "Category", display="title")
    table.columns = audit() | columns(
        Column("title", "Title", max_length=100),
        Column("description", "Description", max_length=4000),
        Column("full_description", "Full description", max_length=4000),
        boolean("active", "Active", "true"),
        integer("order", "Order"),
        reference("parent", "Parent", "sc_category"),
        reference("sc_catalog", "Catalog", "sc_catalog"),
    )
    return table


def _item() -> Table:
    table = Table("sc_cat_item", "Catalog Item", METADATA_ROOT)
    table.columns = columns(
        Column("sys_class_name", "Class", "sys_class_name", default="sc_cat_item", max_length=80),
        Column("name", "Name", max_length=100),
        Column("short_description", "Short description", max_length=200),
        Column("description", "Description", "html", max_length=8000),
        boolean("active", "Active", "true"),
        Column("type", "Type", default="item"),
        Column("price", "Price", "price", default="0"),
        Column("list_price", "List price", "price", default="0"),
        Column("recurring_price", "Recurring price", "price", default="0"),
        Column("mobile_picture_type", "Mobile picture type", default="use_desktop_picture"),
        Column("display_price_property", "Display price property", default="non_zero"),
        Column("cost", "Cost", "decimal", default="0"),
        Column("delivery_time", "Delivery time", "glide_duration", default="1970-01-03 00:00:00"),
        Column("availability", "Availability", default="on_desktop"),
        Column("access_type", "Access type", default="restricted"),
        Column("fulfillment_automation_level", "Fulfillment automation level", default="unspecified"),
        Column("sc_catalogs", "Catalogs", "glide_list", max_length=1024),
        reference("category", "Category", "sc_category"),
        reference("group", "Fulfillment group", "sys_user_group"),
        reference("flow_designer_flow", "Flow", "sys_hub_flow"),
        person("owner", "Owner"),
        integer("order", "Order"),
        integer("version", "Version", "1"),
        *(boolean(name, name.replace("_", " ").capitalize(), "false") for name in _ITEM_SWITCHES),
        *(boolean(name, name.replace("_", " ").capitalize(), "true") for name in _ITEM_SHOWN),
    ) | plain(
        "cc_render_type checked_out custom_cart delivery_plan delivery_plan_script entitlement_script icon image "
        "location meta mobile_picture model ordered_item_link picture preview published_ref recurring_frequency "
        "request_method roles sc_ic_version sc_template state sys_tags taxonomy_topic template vendor workflow"
    )
    return table


_ITEM_SWITCHES = (
    "billable", "make_item_non_conversational", "no_quantity_v2", "no_save_as_draft",
    "hide_sp", "ignore_price", "mandatory_attachment", "mobile_hide_price", "no_attachment_v2", "no_cart", "no_cart_v2",
    "no_delivery_time_v2", "no_order", "no_order_now", "no_proceed_checkout", "no_quantity", "no_search",
    "no_wishlist_v2", "omit_price", "show_variable_help_on_load", "start_closed", "use_sc_layout",
)  # fmt: skip
_ITEM_SHOWN = ("visible_bundle", "visible_guide", "visible_standalone")


def _producer() -> Table:
    table = Table("sc_cat_item_producer", "Record Producer", "sc_cat_item")
    table.columns = columns(
        Column("sys_class_name", "Class", "sys_class_name", default="sc_cat_item_producer", max_length=80),
        Column("table_name", "Table name", "table_name", max_length=80),
        Column("script", "Script", max_length=8000),
    )
    return table


def _variable() -> Table:
    table = Table("item_option_new", "Variable")
    table.columns = audit() | columns(
        Column("name", "Name", max_length=100),
        Column("question_text", "Question", max_length=200),
        integer("type", "Type", "6"),
        integer("order", "Order", "100"),
        boolean("mandatory", "Mandatory", "false"),
        boolean("active", "Active", "true"),
        Column("default_value", "Default value", max_length=4000),
        Column("reference", "Reference", "table_name", max_length=80),
        Column("help_text", "Help text", max_length=4000),
        reference("cat_item", "Catalog item", "sc_cat_item"),
    )
    return table


def _answer() -> Table:
    table = Table("sc_item_option", "Options", display="value")
    table.columns = audit() | columns(
        reference("item_option_new", "Question", "item_option_new"),
        Column("value", "Value", max_length=4000),
        integer("order", "Order", ""),
    )
    return table


def _link() -> Table:
    table = Table("sc_item_option_mtom", "Item Variables Ownership", display="request_item")
    table.columns = audit() | columns(
        reference("request_item", "Parent Item", "sc_req_item"),
        reference("sc_item_option", "Dependent Item", "sc_item_option"),
    )
    return table


def _request() -> dict[str, Column]:
    return columns(
        choice("state", "State", "task", "1"),
        choice("request_state", "Request state", "sc_request", "draft", "string"),
        choice("stage", "Stage", "sc_request", "requested", "string"),
        person("requested_for", "Requested for"),
        date_time("requested_date", "Requested date"),
        Column("price", "Price", "price", default="0"),
        Column("delivery_address", "Delivery address", max_length=4000),
        Column("special_instructions", "Special instructions", max_length=4000),
        Column("calendar_stc", "Resolve time", "integer"),
        reference("parent_interaction", "Parent interaction", "interaction"),
    )


def _requested_item() -> dict[str, Column]:
    return columns(
        choice("state", "State", "task", "1"),
        Column("stage", "Stage", max_length=80),
        reference("request", "Request", "sc_request"),
        reference("cat_item", "Item", "sc_cat_item"),
        reference("sc_catalog", "Catalog", "sc_catalog"),
        reference("order_guide", "Order guide", "sc_cat_item_guide"),
        reference("configuration_item", "Configuration item", "cmdb_ci"),
        reference("flow_context", "Flow context", "sys_flow_context"),
        reference("context", "Context", "wf_context"),
        person("requested_for", "Requested for"),
        Column("quantity", "Quantity", "integer", default="1"),
        Column("price", "Price", "price", default="0"),
        Column("recurring_price", "Recurring price", "price", default="0"),
        Column("recurring_frequency", "Recurring frequency"),
        date_time("estimated_delivery", "Estimated delivery"),
        boolean("backordered", "Backordered", "false"),
        boolean("billable", "Billable", "false"),
    )
