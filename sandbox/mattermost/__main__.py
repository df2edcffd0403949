"""`python -m sandbox.mattermost --port 8065` runs this double alone until SIGINT or SIGTERM (docs/sandbox.md)."""

from sandbox.double import main
from sandbox.mattermost import MattermostDouble

if __name__ == "__main__":
    main(MattermostDouble, "mattermost", 8065)
