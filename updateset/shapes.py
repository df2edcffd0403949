"""
The kinds of records in an update set, with all columns that ServiceNow exports for each.

The records in `updateset.records` and `updateset.tables` have only the columns that differ from the defaults here.
Unknown columns are an error, because an import silently drops them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

APP = "d8e8fb312f73011063df52172799b6f2"
APP_NAME = "ServiceNow for Mattermost Notifications"
SCOPE = "x_830655_mm_std"

# ServiceNow exports this for every column, even if it isn't calculated.
_CALCULATION = (
    "(function calculatedFieldValue(current) {\n\n\t// Add your code here\n"
    "\treturn '';  // return the calculated value\n\n})(current);"
)
_FORMATS = "application/json,application/xml,text/xml"


@dataclass(frozen=True)
class Ref:
    """A reference: the sys_id (or a fixed value) and the display value. Roles also have a name."""

    value: str
    display: str
    name: str = ""


Value = str | Ref
APP_REF = Ref(APP, APP_NAME)
USER_ROLE = Ref("39031c0a2fb3011063df52172799b6cb", f"{SCOPE}.user", f"{SCOPE}.user")
DELIVERIES = f"{SCOPE}_delivery"  # the component's outbox


@dataclass(frozen=True)
class FileType:
    """
    Records of one table of ServiceNow.

    Args:
        label: The update's type, as lists show it.
        defaults: The exported columns and their default values, without those that all records have.
        scripts: Columns that are written as CDATA unless they are empty.
        domain: The table is domain-separated, which adds three columns and an attribute.
        translated: The record is followed by an instruction to delete old translations.
        handler: The table has a special handler, for which attributes identify the record.
        name_from: The column that ``sys_name`` repeats, if any.
    """

    table: str
    label: str
    defaults: Mapping[str, Value]
    scripts: frozenset[str] = frozenset()
    domain: bool = False
    translated: bool = False
    handler: bool = False
    name_from: str = "name"


def _flags(names: str, value: str = "false") -> dict[str, Value]:
    return dict.fromkeys(names.split(), value)


def _empty(names: str) -> dict[str, Value]:
    return dict.fromkeys(names.split(), "")


APPLICATION = FileType(
    "sys_app",
    "Custom Application",
    {
        **_empty(
            "guided_setup_guid license license_definition logo menu store_correlation_id store_url sys_code"
            " template user_role vendor vendor_prefix short_description"
        ),
        **_flags(
            "hide_on_ui installed_as_dependency private restrict_table_access scoped_administration uninstall_blocked"
        ),
        **_flags("active can_edit_in_studio licensable trackable", "true"),
        "enforce_license": "log",
        "js_level": "helsinki_es5",
        "license_category": "none",
        "license_model": "none",
        "name": APP_NAME,
        "runtime_access_tracking": "permissive",
        "scope": SCOPE,
        "source": SCOPE,
        "version": "",
    },
)
ROLE = FileType(
    "sys_user_role",
    "Role",
    {
        **_empty("assignable_by description includes_roles name suffix"),
        **_flags("elevated_privilege scoped_admin"),
        **_flags("can_delegate grantable", "true"),
        "requires_subscription": "-1",
    },
)
TABLE = FileType(
    "sys_db_object",
    "Table",
    {
        **_empty(
            "caller_access extension_model label name number_ref provider_class super_class sys_class_code"
            " sys_class_path user_role"
        ),
        **_flags(
            "actions_access alter_access client_scripts_access configuration_access create_access delete_access"
            " is_extendable live_feed_enabled scriptable_table update_access"
        ),
        **_flags("create_access_controls read_access ws_access", "true"),
        "access": "public",
    },
    name_from="label",
)
DICTIONARY = FileType(
    "sys_dictionary",
    "Dictionary",
    {
        **_empty(
            "attributes choice choice_field choice_table column_label comments create_roles default_value defaultsort"
            " delete_roles dependent dependent_on_field dynamic_creation_script dynamic_default_value"
            " dynamic_ref_qual element foreign_database function_definition internal_type max_length name"
            " next_element read_roles reference reference_cascade_rule reference_key reference_qual"
            " reference_qual_condition reference_type sizeclass widget write_roles"
        ),
        **_flags(
            "array array_denormalized audit display dynamic_creation element_reference function_field mandatory primary"
            " read_only reference_floats spell_check staged table_reference text_index unique use_dependent_field"
            " use_dynamic_default virtual xml_view"
        ),
        "active": "true",
        "calculation": _CALCULATION,
        "use_reference_qualifier": "simple",
    },
    scripts=frozenset({"calculation"}),
    handler=True,
)
LABEL = FileType(
    "sys_documentation",
    "Field Label",
    {**_empty("element help hint label name plural url url_target"), "language": "en"},
    handler=True,
    name_from="label",
)
ACL = FileType(
    "sys_security_acl",
    "Access Control",
    {
        **_empty("condition description name operation script"),
        **_flags("active admin_overrides", "true"),
        "advanced": "false",
        "type": Ref("record", "record"),
    },
    scripts=frozenset({"script"}),
)
ACL_ROLE = FileType(
    "sys_security_acl_role", "Access Roles", _empty("sys_security_acl sys_user_role transaction_id"), name_from=""
)
REGISTRATION = FileType(
    "sysevent_register",
    "Event Registration",
    _empty("caller_access description event_name fired_by queue suffix table"),
    name_from="event_name",
)
SCRIPT_INCLUDE = FileType(
    "sys_script_include",
    "Script Include",
    {
        **_empty("api_name caller_access description name script"),
        "access": "package_private",
        "active": "true",
        "client_callable": "false",
    },
    scripts=frozenset({"script"}),
)
REST_API = FileType(
    "sys_ws_definition",
    "Scripted REST API",
    {
        **_empty("base_uri doc_link enforce_acl name service_id short_description"),
        **_flags("consumes_customized is_versioned produces_customized"),
        "active": "true",
        "consumes": _FORMATS,
        "default_version": "No active default version",
        "namespace": SCOPE,
        "produces": _FORMATS,
    },
)
REST_RESOURCE = FileType(
    "sys_ws_operation",
    "Scripted REST Resource",
    {
        **_empty(
            "default_operation_uri enforce_acl http_method name operation_script operation_uri relative_path"
            " request_example short_description web_service_definition web_service_version"
        ),
        **_flags("consumes_customized produces_customized"),
        **_flags("active requires_acl_authorization requires_authentication requires_snc_internal_role", "true"),
        "consumes": _FORMATS,
        "produces": _FORMATS,
    },
    scripts=frozenset({"operation_script"}),
)
RULE = FileType(
    "sys_script",
    "Business Rule",
    {
        **_empty(
            "collection condition description filter_condition message name rest_method rest_method_text rest_service"
            " rest_service_text rest_variables role_conditions script template"
        ),
        **_flags(
            "abort_action action_delete action_query add_message change_fields client_callable execute_function is_rest"
        ),
        **_flags("action_insert action_update active advanced", "true"),
        "access": "package_private",
        "order": "100",
        "priority": "100",
        "when": "after",
    },
    scripts=frozenset({"script"}),
    domain=True,
    translated=True,
)
SCRIPT_ACTION = FileType(
    "sysevent_script_action",
    "Script Action",
    {
        **_empty("condition_script description event_name name script"),
        "active": "true",
        "order": "100",
        "synchronous": "false",
    },
    scripts=frozenset({"script"}),
    domain=True,
)
PRIVILEGE = FileType(
    "sys_scope_privilege",
    "Cross scope privilege",
    {
        **_empty("operation target_name target_type"),
        "source_scope": APP_REF,
        "status": "allowed",
        "target_scope": Ref("global", "Global"),
    },
    name_from="target_name",
)

# The order in which ServiceNow needs the records.
ORDER = (
    APPLICATION, ROLE, TABLE, DICTIONARY, LABEL, ACL, ACL_ROLE, REGISTRATION, SCRIPT_INCLUDE, REST_API, REST_RESOURCE,
    RULE, SCRIPT_ACTION, PRIVILEGE,
)  # fmt: skip
