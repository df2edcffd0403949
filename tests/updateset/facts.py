"""What instances with the published version 2.1 have: an upgrade must find all of it again."""

SCOPE = "x_830655_mm_std"
APP = "d8e8fb312f73011063df52172799b6f2"
SUBSCRIPTIONS = "x_830655_mm_std_servicenow_for_mattermost_subscriptions"
KEYS = "x_830655_mm_std_servicenow_for_mattermost_notifications_auth"
DELIVERIES = "x_830655_mm_std_delivery"
ROLE = "39031c0a2fb3011063df52172799b6cb"
ADMIN = "2831a114c611228501d4ea6c309d626d"  # base system
SIGNED_IN = "cf9d01d3e73003009d6247e603f6a990"  # base system's access control for scripted REST

# Newest sys_recorded_at of version 2.1.
NEWEST_RECORDED = "183d0a580db0000001"

# (table, column): type, length, sys_id of the definition
COLUMNS = {
    (SUBSCRIPTIONS, "channel_id"): ("string", 255, "3fae96522f30111063df52172799b67a"),
    (SUBSCRIPTIONS, "is_active"): ("boolean", 40, "5b1f169a2f30111063df52172799b674"),
    (SUBSCRIPTIONS, "record_id"): ("string", 255, "3a9fd69a2f30111063df52172799b6fd"),
    (SUBSCRIPTIONS, "record_type"): ("string", 255, "8a7fda1e2f30111063df52172799b66f"),
    (SUBSCRIPTIONS, "server_url"): ("string", 255, "a4afd69a2f30111063df52172799b6fe"),
    (SUBSCRIPTIONS, "subscription_events"): ("string", 1000, "8cdf5e1e2f30111063df52172799b615"),
    (SUBSCRIPTIONS, "type"): ("string", 40, "195f1a9a2f30111063df52172799b605"),
    (SUBSCRIPTIONS, "user_id"): ("string", 255, "38fe121e2f30111063df52172799b6db"),
    (SUBSCRIPTIONS, ""): ("collection", 40, "fdff965e2f30111063df52172799b646"),
    (KEYS, "api_secret"): ("string", 255, "9bcf09be2f40111063df52172799b60c"),
    (KEYS, "server_url"): ("string", 255, "eeea8e4f2f00111063df52172799b62a"),
    (KEYS, ""): ("collection", 40, "5360dd722f80111063df52172799b683"),
}

# table of the platform: sys_ids of version 2.1's other live records
RECORDS = {
    "sys_app": {APP},
    "sys_user_role": {ROLE},
    "sys_db_object": {"f6ae121e2f30111063df52172799b6b5", "62cf8dba2f40111063df52172799b6cb"},
    "sys_security_acl": {
        "e5ff565e2f30111063df52172799b6ff",
        "61ff965e2f30111063df52172799b61f",
        "61ff965e2f30111063df52172799b624",
        "fdff965e2f30111063df52172799b641",
        "5f60dd722f80111063df52172799b66d",
        "d360dd722f80111063df52172799b674",
        "d360dd722f80111063df52172799b679",
        "d360dd722f80111063df52172799b67e",
    },
    "sys_security_acl_role": {
        "6dff965e2f30111063df52172799b602",
        "29ff965e2f30111063df52172799b621",
        "39ff965e2f30111063df52172799b626",
        "b5ff965e2f30111063df52172799b644",
        "5360dd722f80111063df52172799b671",
        "9b60dd722f80111063df52172799b676",
        "9b60dd722f80111063df52172799b67b",
        "9b60dd722f80111063df52172799b680",
    },
    "sys_scope_privilege": {
        "2989ef1c476211103675690cd36d437f",
        "358cabdc476211103675690cd36d43fa",
        "0de9a398476211103675690cd36d43e2",
        "b18cebd8476211103675690cd36d4353",
    },
    "sys_ws_definition": {"ee322794476211103675690cd36d435d"},
    "sys_ws_operation": {"4873e7d4476211103675690cd36d4320"},
    "sysevent_register": {
        "1f0d14c22ff3011063df52172799b61b",
        "54a7aae62ff7811063df52172799b618",
        "70f6524b2f40111063df52172799b65b",
        "6859d51e2f37411063df52172799b698",
    },
    "sys_script": {
        "724c90822ff3011063df52172799b6c5",
        "c757226a2ff7811063df52172799b62a",
        "e8e7924b2f40111063df52172799b6c5",
        "cb0b55122f77411063df52172799b661",
    },
    "sysevent_script_action": {
        "b8a6389e2fb3411063df52172799b630",
        "6018666a2ff7811063df52172799b69d",
        "c4a85a4b2f40111063df52172799b625",
        "eab99dda2f37411063df52172799b6e7",
    },
    "sys_script_include": {"fc979c8e2fb3011063df52172799b622", "baa850ce2fb3011063df52172799b603"},
}

# Rules and script actions that the one on task replaces.
RETIRED = {
    "724c90822ff3011063df52172799b6c5",
    "c757226a2ff7811063df52172799b62a",
    "e8e7924b2f40111063df52172799b6c5",
    "b8a6389e2fb3411063df52172799b630",
    "6018666a2ff7811063df52172799b69d",
    "c4a85a4b2f40111063df52172799b625",
}

# table of the platform: all columns that an export of a record carries, besides those of every record
EXPORTED = {
    "sys_db_object": (
        "access actions_access alter_access caller_access client_scripts_access configuration_access create_access"
        " create_access_controls delete_access extension_model is_extendable label live_feed_enabled name number_ref"
        " provider_class read_access scriptable_table super_class sys_class_code sys_class_path update_access user_role"
        " ws_access"
    ),
    "sys_documentation": "element help hint label language name plural url url_target",
    "sys_script": (
        "abort_action access action_delete action_insert action_query action_update active add_message advanced"
        " change_fields client_callable collection condition description execute_function filter_condition is_rest"
        " message name order priority rest_method rest_method_text rest_service rest_service_text rest_variables"
        " role_conditions script sys_domain sys_domain_path sys_overrides template when"
    ),
    "sysevent_script_action": (
        "active condition_script description event_name name order script synchronous sys_domain sys_domain_path"
        " sys_overrides"
    ),
    "sysevent_register": "caller_access description event_name fired_by queue suffix table",
    "sys_script_include": "access active api_name caller_access client_callable description name script",
    "sys_user_role": (
        "assignable_by can_delegate description elevated_privilege grantable includes_roles name requires_subscription"
        " scoped_admin suffix"
    ),
    "sys_security_acl": "active admin_overrides advanced condition description name operation script type",
    "sys_security_acl_role": "sys_security_acl sys_user_role transaction_id",
    "sys_scope_privilege": "operation source_scope status target_name target_scope target_type",
    "sys_ws_definition": (
        "active base_uri consumes consumes_customized default_version doc_link enforce_acl is_versioned name namespace"
        " produces produces_customized service_id short_description"
    ),
    "sys_ws_operation": (
        "active consumes consumes_customized default_operation_uri enforce_acl http_method name operation_script"
        " operation_uri produces produces_customized relative_path request_example requires_acl_authorization"
        " requires_authentication requires_snc_internal_role short_description web_service_definition"
        " web_service_version"
    ),
}
COMMON = (
    "sys_class_name sys_created_by sys_created_on sys_id sys_mod_count sys_name sys_package sys_policy sys_scope"
    " sys_update_name sys_updated_by sys_updated_on"
)
COUNTS = {"sys_app": 39, "sys_dictionary": 67}  # columns of an export in all
