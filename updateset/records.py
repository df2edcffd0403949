"""The component's records except its tables: application, role, events, rules, scripts, REST resources."""

from collections.abc import Iterator

from updateset.payload import ApplicationFile, new_id, script
from updateset.shapes import (
    APP,
    APPLICATION,
    DELIVERIES,
    PRIVILEGE,
    REGISTRATION,
    REST_API,
    REST_RESOURCE,
    ROLE,
    RULE,
    SCOPE,
    SCRIPT_ACTION,
    SCRIPT_INCLUDE,
    USER_ROLE,
    Ref,
    Value,
)

_SIGNED_IN = "cf9d01d3e73003009d6247e603f6a990"  # ACL of the base system: every internal user

# file name, sys_id ("" for a new record), description
_INCLUDES = (
    ("ServiceNowForMattermostConstants", "fc979c8e2fb3011063df52172799b622", "Names and limits."),
    ("ServiceNowForMattermostUtils", "baa850ce2fb3011063df52172799b603", "Text, times and states; touches no record."),
    ("ServiceNowForMattermostChanges", "", "What one save changed, seen by the business rules and kept for later."),
    ("ServiceNowForMattermostMatching", "", "Which subscriptions a change concerns."),
    ("ServiceNowForMattermostReports", "", "Turns a kept change into one report for each server."),
    ("ServiceNowForMattermostOutbox", "", "The rows of what is kept, waits and was sent."),
    ("ServiceNowForMattermostDelivery", "", "Sends reports, signed, and tries again until they are taken."),
    ("ServiceNowForMattermostColumns", "", "Columns and choices of a table, in the caller's language."),
)

_UNUSED = "Not used since 3.0.0: see task_changed."
# suffix, sys_id, table, description
_EVENTS = (
    ("task_changed", "6859d51e2f37411063df52172799b698", "task", "A task of any class was changed."),
    ("kb_knowledge_changed", "", "kb_knowledge", "A knowledge article was changed."),
    ("delivery_due", "", DELIVERIES, "A report waits to be sent."),
    ("incident_changed", "1f0d14c22ff3011063df52172799b61b", "incident", _UNUSED),
    ("problem_changed", "54a7aae62ff7811063df52172799b618", "problem", _UNUSED),
    ("change_request_changed", "70f6524b2f40111063df52172799b65b", "change_request", _UNUSED),
)

# name, sys_id, table, whether it is active; the inactive ones replace those of v2.1, so that nothing is reported twice
_RULES = (
    ("ServiceNow for MM Task Notify", "cb0b55122f77411063df52172799b661", "task", True),
    ("ServiceNow for MM Knowledge Notify", "", "kb_knowledge", True),
    ("ServiceNow for MM Incident Events", "724c90822ff3011063df52172799b6c5", "incident", False),
    ("ServiceNow for MM Problem Events", "c757226a2ff7811063df52172799b62a", "problem", False),
    ("ServiceNow for MM Change Req Events", "e8e7924b2f40111063df52172799b6c5", "change_request", False),
)

# name, sys_id, suffix of the event, script ("" for the inactive ones)
_ACTIONS = (
    ("ServiceNow for MM Task Notify", "eab99dda2f37411063df52172799b6e7", "task_changed", "action_changed"),
    ("ServiceNow for MM Knowledge Notify", "", "kb_knowledge_changed", "action_changed"),
    ("ServiceNow for MM Deliver", "", "delivery_due", "action_delivery"),
    ("ServiceNow for MM Incident Notify", "b8a6389e2fb3411063df52172799b630", "incident_changed", ""),
    ("ServiceNow for MM Problem Notify", "6018666a2ff7811063df52172799b69d", "problem_changed", ""),
    ("ServiceNow for MM Change Req Notify", "c4a85a4b2f40111063df52172799b625", "change_request_changed", ""),
)

_STATES_API = Ref("ee322794476211103675690cd36d435d", "GetStates")
_COMPONENT_API = Ref(new_id(REST_API, "component"), "Component")

# definition, name, sys_id, method, path, script
_RESOURCES = (
    (_STATES_API, "GetStates", "4873e7d4476211103675690cd36d4320", "GET", "/{record_type}", "rest_states"),
    (_COMPONENT_API, "Version", "", "GET", "/version", "rest_version"),
    (_COMPONENT_API, "Columns", "", "GET", "/columns/{table}", "rest_columns"),
    (_COMPONENT_API, "Status", "", "GET", "/status", "rest_status"),
    (_COMPONENT_API, "Test", "", "POST", "/test", "rest_test"),
)

# target, target type, operation, sys_id
_PRIVILEGES = (
    ("RESTAPIRequest", "scriptable", "execute", "2989ef1c476211103675690cd36d437f"),
    ("ScriptableServiceResultBuilder.setBody", "scriptable", "execute", "358cabdc476211103675690cd36d43fa"),
    ("ScriptableServiceResultBuilder.setError", "scriptable", "execute", "0de9a398476211103675690cd36d43e2"),
    ("ScriptableServiceResultBuilder.setStatus", "scriptable", "execute", ""),
    ("sys_choice", "sys_db_object", "read", "b18cebd8476211103675690cd36d4353"),
    ("sys_dictionary", "sys_db_object", "read", ""),
    ("task", "sys_db_object", "read", ""),
    ("incident", "sys_db_object", "read", ""),
    ("problem", "sys_db_object", "read", ""),
    ("change_request", "sys_db_object", "read", ""),
    ("change_task", "sys_db_object", "read", ""),
    ("cert_follow_on_task", "sys_db_object", "read", ""),
    ("kb_knowledge", "sys_db_object", "read", ""),
)


def records(version: str) -> Iterator[ApplicationFile]:
    """All these records. *version* is the release's."""
    yield _application(version)
    yield ApplicationFile(kind=ROLE, sys_id=USER_ROLE.value, values={"name": USER_ROLE.name, "suffix": "user"})
    yield from _events()
    yield from _includes()
    yield from _rest()
    yield from _rules()
    yield from _actions()
    yield from _privileges()


def _application(version: str) -> ApplicationFile:
    text = "Tells Mattermost what happens to records that its channels subscribed to."
    return ApplicationFile(kind=APPLICATION, sys_id=APP, values={"short_description": text, "version": version})


def _events() -> Iterator[ApplicationFile]:
    for suffix, sys_id, table, description in _EVENTS:
        name = f"{SCOPE}.{suffix}"
        yield ApplicationFile(
            kind=REGISTRATION,
            sys_id=sys_id or new_id(REGISTRATION, suffix),
            values={"description": description, "event_name": name, "suffix": suffix, "table": table},
            row_table=table,
        )


def _includes() -> Iterator[ApplicationFile]:
    for name, sys_id, description in _INCLUDES:
        yield ApplicationFile(
            kind=SCRIPT_INCLUDE,
            sys_id=sys_id or new_id(SCRIPT_INCLUDE, name),
            values={"api_name": f"{SCOPE}.{name}", "description": description, "name": name, "script": script(name)},
            policy="read",
        )


def _rest() -> Iterator[ApplicationFile]:
    for definition, service in ((_STATES_API, "getstates"), (_COMPONENT_API, "component")):
        yield ApplicationFile(
            kind=REST_API,
            sys_id=definition.value,
            values={
                "base_uri": f"/api/{SCOPE}/{service}",
                "enforce_acl": _SIGNED_IN,
                "name": definition.display,
                "service_id": service,
            },
        )
    for definition, name, sys_id, method, path, file in _RESOURCES:
        service = "getstates" if definition is _STATES_API else "component"
        yield ApplicationFile(
            kind=REST_RESOURCE,
            sys_id=sys_id or new_id(REST_RESOURCE, f"{service}{path}"),
            values={
                "enforce_acl": _SIGNED_IN,
                "http_method": method,
                "name": name,
                "operation_script": script(file),
                "operation_uri": f"/api/{SCOPE}/{service}{path}",
                "relative_path": path,
                "web_service_definition": definition,
            },
        )


def _rules() -> Iterator[ApplicationFile]:
    for name, sys_id, table, active in _RULES:
        values: dict[str, Value] = {"collection": table, "name": name}
        values |= {"script": script("rule")} if active else {"active": "false", "script": script("rule_retired")}
        yield ApplicationFile(kind=RULE, sys_id=sys_id or new_id(RULE, table), values=values, row_table=table)


def _actions() -> Iterator[ApplicationFile]:
    for name, sys_id, suffix, file in _ACTIONS:
        event = f"{SCOPE}.{suffix}"
        values: dict[str, Value] = {"event_name": event, "name": name, "script": script(file or "action_retired")}
        if not file:
            values["active"] = "false"
        yield ApplicationFile(
            kind=SCRIPT_ACTION, sys_id=sys_id or new_id(SCRIPT_ACTION, suffix), values=values, row_table=event
        )


def _privileges() -> Iterator[ApplicationFile]:
    for target, type_, operation, sys_id in _PRIVILEGES:
        yield ApplicationFile(
            kind=PRIVILEGE,
            sys_id=sys_id or new_id(PRIVILEGE, f"{operation}|{target}"),
            values={"operation": operation, "target_name": target, "target_type": type_},
        )
