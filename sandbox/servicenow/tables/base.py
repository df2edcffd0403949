"""Tables of users, groups, CIs and the platform itself."""

from sandbox.servicenow.tables.attachment import attachment_tables
from sandbox.servicenow.tables.catalog import catalog_tables
from sandbox.servicenow.tables.change import change_tables
from sandbox.servicenow.tables.knowledge import knowledge_tables
from sandbox.servicenow.tables.metadata import add_metadata
from sandbox.servicenow.tables.schema import (
    Column,
    Table,
    audit,
    boolean,
    columns,
    date_time,
    domain,
    integer,
    person,
    plain,
    reference,
)
from sandbox.servicenow.tables.task import task_tables


def make_tables() -> dict[str, Table]:
    """Create new copies of all tables, so that a custom column lasts only as long as its test."""
    tasks = (*task_tables(), *change_tables(), *catalog_tables())
    made = (*tasks, *knowledge_tables(), *attachment_tables(), *_access_control(), *_platform())
    tables = {table.name: table for table in made}
    add_metadata(tables)
    return tables


def _access_control() -> list[Table]:
    user = Table("sys_user", "User")
    user.columns = (
        audit()
        | domain()
        | columns(
            Column("sys_class_name", "Class", "sys_class_name", default="sys_user", max_length=80),
            Column("user_name", "User ID"),
            Column("name", "Name", max_length=151),
            Column("first_name", "First name", max_length=50),
            Column("middle_name", "Middle name", max_length=50),
            Column("last_name", "Last name", max_length=50),
            Column("email", "Email", max_length=100),
            boolean("active", "Active", "true"),
            boolean("locked_out", "Locked out", "false"),
            boolean("vip", "VIP", "false"),
            boolean("password_needs_reset", "Password needs reset", "false"),
            boolean("web_service_access_only", "Web service access only", "false"),
            boolean("internal_integration_user", "Internal Integration User", "false"),
            boolean("enable_multifactor_authn", "Enable Multifactor Authentication", "false"),
            integer("notification", "Notification", "2"),
            integer("calendar_integration", "Calendar integration", "1"),
            integer("failed_attempts", "Failed login attempts", ""),
            Column("identity_type", "Identity type", default="unclassified"),
            Column("time_zone", "Time zone"),
            Column("preferred_language", "Language", max_length=3),
            person("manager", "Manager"),
            reference("company", "Company", "core_company"),
            reference("department", "Department", "cmn_department"),
            reference("location", "Location", "cmn_location"),
            reference("cost_center", "Cost center", "cmn_cost_center"),
            reference("building", "Building", "cmn_building"),
            date_time("last_login_time", "Last login time"),
            Column("user_password", "Password", "password"),
        )
        | plain(
            "avatar city country date_format default_perspective employee_number fax federated_id gender home_phone "
            "introduction last_login ldap_server manager_hp1 mobile_phone phone photo roles schedule source state "
            "street sys_tags time_format title zip"
        )
    )
    group = Table("sys_user_group", "Group")
    group.columns = (
        audit()
        | columns(
            Column("name", "Name", max_length=80),
            Column("description", "Description", max_length=1000),
            Column("email", "Group email", max_length=100),
            boolean("active", "Active", "true"),
            boolean("exclude_manager", "Exclude manager", "false"),
            boolean("include_members", "Include members", "false"),
            person("manager", "Manager"),
            reference("parent", "Parent", "sys_user_group"),
            reference("cost_center", "Cost center", "cmn_cost_center"),
            person("default_assignee", "Default assignee"),
            Column("type", "Type", "glide_list", max_length=1024),
        )
        | plain("roles source sys_tags")
    )
    member = Table("sys_user_grmember", "Group Member", display="user")
    member.columns = audit() | columns(person("user", "User"), reference("group", "Group", "sys_user_group"))
    role = Table("sys_user_role", "Role")
    role.columns = audit() | columns(Column("name", "Name", max_length=100))
    has_role = Table("sys_user_has_role", "User Role", display="user")
    has_role.columns = audit() | columns(
        person("user", "User"), reference("role", "Role", "sys_user_role"), boolean("inherited", "Inherited", "false")
    )
    return [user, group, member, role, has_role]


def _platform() -> list[Table]:
    item = Table("cmdb_ci", "Configuration Item")
    item.columns = audit() | columns(
        Column("name", "Name", max_length=255),
        Column("sys_class_name", "Class", "sys_class_name", default="cmdb_ci", max_length=80),
        Column("asset_tag", "Asset tag"),
        Column("serial_number", "Serial number", max_length=255),
        Column("short_description", "Description", max_length=1000),
        Column("category", "Category"),
        Column("subcategory", "Subcategory"),
        Column("ip_address", "IP Address", max_length=255),
        Column("fqdn", "Fully qualified domain name", max_length=255),
        integer("install_status", "Status", "1"),
        integer("operational_status", "Operational status", "1"),
        person("assigned_to", "Assigned to"),
        person("managed_by", "Managed by"),
        person("owned_by", "Owned by"),
        reference("assignment_group", "Change Group", "sys_user_group"),
        reference("support_group", "Support group", "sys_user_group"),
        reference("company", "Company", "core_company"),
        reference("department", "Department", "cmn_department"),
        reference("location", "Location", "cmn_location"),
        reference("manufacturer", "Manufacturer", "core_company"),
        reference("model_id", "Model ID", "cmdb_model"),
    )
    choices = Table("sys_choice", "Choice", display="label")
    choices.columns = audit() | columns(
        Column("name", "Table", max_length=80),
        Column("element", "Element", max_length=80),
        Column("label", "Label", max_length=100),
        Column("value", "Value"),
        Column("language", "Language", default="en", max_length=3),
        integer("sequence", "Sequence", ""),
        boolean("inactive", "Inactive", "false"),
        Column("dependent_value", "Dependent value"),
        Column("hint", "Hint"),
    )
    dictionary = Table("sys_dictionary", "Dictionary Entry", display="element")
    dictionary.columns = audit() | columns(
        Column("name", "Table", max_length=80),
        Column("element", "Column name", max_length=80),
        Column("column_label", "Column label", max_length=80),
        Column("internal_type", "Type", default="string"),
        Column("reference", "Reference", max_length=80),
        integer("max_length", "Max length", "40"),
        boolean("mandatory", "Mandatory", "false"),
        Column("default_value", "Default value", max_length=512),
        boolean("active", "Active", "true"),
    )
    table = Table("sys_db_object", "Table", display="label")
    table.columns = audit() | columns(
        Column("name", "Name", max_length=80),
        Column("label", "Label", max_length=80),
        reference("super_class", "Extends table", "sys_db_object"),
    )
    journal = Table("sys_journal_field", "Journal Entry", display="element")
    journal.columns = {name: column for name, column in audit().items() if not name.startswith(("sys_upd", "sys_mod"))}
    journal.columns |= columns(
        Column("name", "Table", max_length=80),
        Column("element", "Element", max_length=80),
        Column("element_id", "Element ID", max_length=32),
        Column("value", "Value", max_length=4000),
        Column("sys_tags", "Tags"),
    )
    client = Table("oauth_entity", "Application Registry")
    client.columns = audit() | columns(
        Column("name", "Name", max_length=100),
        Column("client_id", "Client ID", max_length=100),
        Column("client_secret", "Client Secret", "password2", max_length=255),
        Column("redirect_url", "Redirect URL", max_length=4000),
        person("user", "OAuth Application User"),
        Column("grant_types", "Grant types", max_length=255, default="authorization_code,refresh_token,password"),
        integer("access_token_lifespan", "Access Token Lifespan", "1800"),
        integer("refresh_token_lifespan", "Refresh Token Lifespan", "8640000"),
        boolean("active", "Active", "true"),
    )
    return [item, choices, dictionary, table, journal, client]
