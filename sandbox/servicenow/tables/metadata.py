"""
The platform's metadata tables that update sets fill: applications, rules, scripts, ACLs, scripted REST APIs.

Also those with rows that result from them: events, logs, retrieved sets. Columns are those of exports (update-set
reference §1.4).
"""

from sandbox.servicenow.tables.schema import Column, Table, audit, boolean, columns, date_time, integer, reference

SCOPE = "sys_scope"
METADATA_ROOT = "sys_metadata"  # every application file extends it
_LONG = 65_536
_SCRIPTS = {"script", "operation_script", "condition_script", "payload", "body", "message", "description"}
# References in exported records, and their tables. A preview doesn't check roles, users and groups.
_REFERENCES = {
    "sys_package": "sys_package",
    "sys_scope": SCOPE, "source_scope": SCOPE, "target_scope": SCOPE, "application": SCOPE,
    "sys_security_acl": "sys_security_acl", "sys_user_role": "sys_user_role", "user_role": "sys_user_role",
    "web_service_definition": "sys_ws_definition", "super_class": "sys_db_object",
    "remote_update_set": "sys_remote_update_set", "update_set": "sys_update_set",
    "remote_update": "sys_update_xml",
}  # fmt: skip
_TRUTHS = {
    "active", "advanced", "admin_overrides", "action_insert", "action_update", "action_delete", "action_query",
    "requires_authentication", "requires_acl_authorization", "requires_snc_internal_role", "is_versioned",
    "read_access", "create_access", "update_access", "delete_access", "ws_access", "synchronous", "abort_action",
    "add_message", "is_rest", "display", "read_only", "unique",
}  # fmt: skip
_COMMON = "sys_class_name sys_name sys_package sys_policy sys_scope sys_update_name"
_DOMAIN = "sys_domain sys_domain_path sys_overrides"

# name: label, display column, columns besides the common ones
_METADATA = {
    "sys_user_role": (
        "Role",
        "name",
        "assignable_by can_delegate description elevated_privilege grantable includes_roles "
        "requires_subscription scoped_admin suffix",
    ),
    "sys_db_object": (
        "Table",
        "label",
        "access actions_access alter_access caller_access client_scripts_access configuration_access "
        "create_access create_access_controls delete_access extension_model is_extendable "
        "live_feed_enabled number_ref provider_class read_access scriptable_table sys_class_code "
        "sys_class_path update_access user_role ws_access",
    ),
    "sys_dictionary": (
        "Dictionary Entry",
        "element",
        "attributes audit choice choice_table comments display primary read_only unique",
    ),
    "sys_documentation": (
        "Field Label",
        "label",
        "element help hint label language name plural url url_target",
    ),
    "sys_script": (
        "Business Rule",
        "name",
        "abort_action access action_delete action_insert action_query action_update active add_message "
        "advanced change_fields client_callable collection condition description execute_function "
        "filter_condition is_rest message name order priority role_conditions script template when "
        f"{_DOMAIN}",
    ),
    "sysevent_script_action": (
        "Script Action",
        "name",
        f"active condition_script description event_name name order script synchronous {_DOMAIN}",
    ),
    "sysevent_register": (
        "Event Registration",
        "event_name",
        "caller_access description event_name fired_by queue suffix table",
    ),
    "sys_script_include": (
        "Script Include",
        "name",
        "access active api_name caller_access client_callable description name script",
    ),
    "sys_security_acl": (
        "Access Control",
        "name",
        "active admin_overrides advanced condition description name operation script type",
    ),
    "sys_security_acl_role": (
        "Access Roles",
        "sys_security_acl",
        "sys_security_acl sys_user_role transaction_id",
    ),
    "sys_scope_privilege": (
        "Cross scope privilege",
        "target_name",
        "operation source_scope status target_name target_scope target_type",
    ),
    "sys_ws_definition": (
        "Scripted REST API",
        "name",
        "active base_uri consumes consumes_customized default_version doc_link enforce_acl is_versioned "
        "name namespace produces produces_customized service_id short_description",
    ),
    "sys_ws_operation": (
        "Scripted REST Resource",
        "name",
        "active consumes consumes_customized default_operation_uri enforce_acl http_method name "
        "operation_script operation_uri produces produces_customized relative_path request_example "
        "requires_acl_authorization requires_authentication requires_snc_internal_role short_description "
        "web_service_definition web_service_version",
    ),
    "sys_properties": (
        "System Property",
        "name",
        "choices description ignore_cache is_private name read_roles suffix type value write_roles",
    ),
    "ua_table_licensing_config": (
        "Table Subscription Configuration",
        "name",
        "license_condition license_model name op_create op_delete op_update",
    ),
    "sys_ui_section": (
        "Form Section",
        "name",
        f"caption header name title view view_name {_DOMAIN}",
    ),
    "sys_app_application": (
        "Application Menu",
        "title",
        f"active category description hint name order roles title {_DOMAIN}",
    ),
    "sys_app_module": (
        "Module",
        "title",
        f"active application filter hint link_type name order query roles title window_name {_DOMAIN}",
    ),
}
_OWN = {
    "sys_remote_update_set": (
        "Retrieved Update Set",
        "name",
        "application application_name application_scope application_version collisions commit_date "
        "deleted description inserted name origin_sys_id parent release_date remote_base_update_set "
        "remote_parent_id remote_sys_id state summary sys_class_name update_set update_source updated",
    ),
    "sys_update_set": (
        "Update Set",
        "name",
        "application description name remote_sys_id state",
    ),
    "sys_update_xml": (
        "Customer Update",
        "name",
        "action application category comments name payload payload_hash remote_update_set "
        "replace_on_upgrade sys_recorded_at table target_name type update_domain update_guid "
        "update_guid_history update_set view",
    ),
    "sys_update_set_log": ("Update Set Log", "message", "message update_set"),
    "sys_update_preview_problem": (
        "Update Set Preview Problem",
        "description",
        "description missing_item missing_item_table remote_update remote_update_set status type",
    ),
    "sysevent": (
        "Event",
        "name",
        "name instance parm1 parm2 queue state table user_id user_name",
    ),
    "syslog": (
        "Log Entry",
        "message",
        "level message source",
    ),
    "sys_outbound_http_log": (
        "Outbound HTTP Request",
        "url",
        "hostname method path response_status url user_name",
    ),
}
METADATA = frozenset(_METADATA) | {METADATA_ROOT, SCOPE, "sys_app"}
PLATFORM = METADATA | frozenset(_OWN)


def add_metadata(tables: dict[str, Table]) -> None:
    """Add the tables, and missing columns of existing ones."""
    scope = Table(SCOPE, "Application")
    scope.columns = audit() | _columns("name scope short_description source version active sys_class_name")
    app = Table("sys_app", "Custom Application", SCOPE)
    app.columns = _columns("js_level licensable private restrict_table_access runtime_access_tracking vendor logo menu")
    root = Table(METADATA_ROOT, "Application File", display="sys_name", columns=audit() | _columns(_COMMON))
    tables |= {table.name: table for table in (scope, app, root)}
    for name, (label, display, names) in (_METADATA | _OWN).items():
        made = _columns(names)
        known = tables.get(name)
        if known is not None:
            known.columns = made | known.columns
        else:
            tables[name] = known = Table(name, label, display=display, columns=audit() | made)
        if name in _METADATA:
            known.extends = METADATA_ROOT
            known.columns["sys_class_name"] = Column("sys_class_name", "Class", "sys_class_name", "", 80, default=name)
    tables["sysevent"].columns |= columns(date_time("process_on", "Process on"), date_time("processed", "Processed"))
    tables["sys_script"].columns["name"].max_length = 40  # recorded: longer names are cut


def _columns(names: str) -> dict[str, Column]:
    return {name: _column(name) for name in names.split()}


def _column(name: str) -> Column:
    label = name.replace("_", " ").capitalize()
    if target := _REFERENCES.get(name):
        return reference(name, label, target)
    if name in _TRUTHS:
        return boolean(name, label, "false")
    if name in {"order", "priority"}:
        return integer(name, label, "100")
    return Column(name, label, max_length=_LONG if name in _SCRIPTS else 4000)
