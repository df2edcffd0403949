"""A double of a ServiceNow instance: REST APIs, OAuth, web pages, and faults on demand."""

from sandbox.servicenow.double import ServiceNowDouble

__all__ = ["ServiceNowDouble"]
