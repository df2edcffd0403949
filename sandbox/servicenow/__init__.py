"""A double of a ServiceNow instance: Table API, OAuth, pages; faults on demand."""

from sandbox.servicenow.double import ServiceNowDouble

__all__ = ["ServiceNowDouble"]
