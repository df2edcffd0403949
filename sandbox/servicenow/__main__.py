"""`python -m sandbox.servicenow --port 8081` runs this double alone until SIGINT or SIGTERM (docs/sandbox.md)."""

from sandbox.double import main
from sandbox.servicenow import ServiceNowDouble
from sandbox.servicenow.seed_file import alone

if __name__ == "__main__":
    main(lambda port, seed, tls: ServiceNowDouble(port, alone(seed), tls), "servicenow", 8081)
