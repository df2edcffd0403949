"""`python -m sandbox.servicenow --port 8081`: this double alone, until SIGINT or SIGTERM."""

from sandbox.double import main
from sandbox.servicenow import ServiceNowDouble

if __name__ == "__main__":
    main(ServiceNowDouble, "servicenow", 8081)
