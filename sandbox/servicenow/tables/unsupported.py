"""
Stock tables that this double doesn't have. Requests for them get 501 instead of `Invalid table`.

The names are those of the base system and its ITSM applications. Whole families share a prefix, but `sys_…` tables are
listed one by one, because an instance answers `Invalid table` to a misspelled one.
"""

_FAMILIES = (
    "alm_", "asmt_", "ast_", "business_", "catalog_", "cert_", "change_", "chg_", "cmdb_", "cmn_", "core_",
    "discovery_", "ecc_", "fm_", "ha_", "incident_", "interaction", "io_", "item_option_", "kb_", "live_", "metric_",
    "oauth_", "pa_", "planned_task", "pm_", "problem_", "question", "release_", "rm_", "samp_", "sc_", "service_",
    "sn_", "sp_", "std_change_", "sys_ai_", "sys_app_", "sys_archive", "sys_atf_", "sys_audit_", "sys_auth_",
    "sys_cluster_", "sys_cs_", "sys_data_", "sys_dictionary_", "sys_email_", "sys_filter_", "sys_flow_", "sys_hub_",
    "sys_import_", "sys_ml_", "sys_notification", "sys_portal", "sys_push_", "sys_rate_limit_", "sys_remote_",
    "sys_report", "sys_scope_", "sys_script_", "sys_security_", "sys_sg_", "sys_template", "sys_transform_",
    "sys_ui_", "sys_update_", "sys_upgrade_", "sys_ux_", "sys_ws_", "sysapproval_", "sysauto",
    "sysevent_", "syslog", "sysrule", "task_", "topic", "ua_", "user_criteria", "v_", "vtb_", "wf_",
)  # fmt: skip
_NAMES = frozenset(
    {
        "ais_document", "contract_sla", "dl_matcher", "idea", "label", "label_entry", "prb_model", "sys_audit",
        "sys_broadcast_message", "sys_certificate", "sys_choice_set", "sys_client_script", "sys_currency_instance",
        "sys_db_view", "sys_documentation", "sys_domain", "sys_email", "sys_export_set", "sys_glide_object",
        "sys_group_has_role", "sys_history_line", "sys_history_set", "sys_home", "sys_impex_map",
        "sys_installation_exit", "sys_language", "sys_m2m", "sys_metadata_delete", "sys_module", "sys_mutex",
        "sys_number", "sys_number_counter", "sys_poll", "sys_processor", "sys_progress_worker",
        "sys_properties_category", "sys_public", "sys_querystat", "sys_relationship", "sys_rest_message",
        "sys_rest_message_fn", "sys_session", "sys_soap_message", "sys_soap_message_function", "sys_status",
        "sys_translated", "sys_translated_text", "sys_trend", "sys_trigger", "sys_user_delegate",
        "sys_user_multifactor_auth", "sys_user_preference", "sys_user_role_contains", "sys_user_session",
        "sys_user_token", "sys_variable_value", "sys_web_service", "sys_widgets", "usageanalytics_count",
    }
)  # fmt: skip
# Closed to web services for everyone (measured).
CLOSED = frozenset({"sys_plugins", "sys_store_app", "sys_package", "sys_index"})


def is_stock_table(table: str, referred_to: frozenset[str]) -> bool:
    """Whether a stock instance has a table of this name. Tables that our columns refer to count as well."""
    return table in _NAMES or table in referred_to or table.startswith(_FAMILIES)
