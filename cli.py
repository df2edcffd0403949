"""
Commands of the service: ``serve``, ``check`` (the settings), ``demo`` (with doubles of Mattermost and ServiceNow),
``sandbox`` (one double), ``update-set`` (the component's XML), and ``rotate-secret`` (create a new webhook key).
"""

import argparse
import sys
from collections.abc import Callable, Sequence

import structlog
from flask import Flask

from config import Config, ConfigError, redacted
from core.errors import AppError, StorageFailed
from storage.embedded import InUse, folder_of
from web.logs import configure_logs, log_everything

log = structlog.get_logger("cli")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status."""
    parser = argparse.ArgumentParser(prog="cli.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the service, from the settings in the environment")
    commands.add_parser("check", help="check the settings and say what is missing")
    rotate = commands.add_parser("rotate-secret", help="make a new webhook key while the service is stopped")
    rotate.add_argument("--account", default="", help="ServiceNow user name of a connected administrator")
    commands.add_parser("demo", help="run the service and both counterparts, ready to try in a browser")
    commands.add_parser("update-set", help="write the ServiceNow side's update set, XML, to the output")
    sandbox = commands.add_parser("sandbox", help="run one counterpart")
    sandbox.add_argument("which", choices=["mattermost", "servicenow"])
    sandbox.add_argument("--port", type=int, default=0)
    options = parser.parse_args(arguments)
    match options.command:
        case "serve":
            return serve()
        case "check":
            return check()
        case "demo":
            from sandbox.demo import demo

            return demo()
        case "rotate-secret":
            return rotate_secret(options.account)
        case "update-set":
            return update_set()
        case _:
            return run_sandbox(options.which, options.port)


def serve() -> int:
    """Run the service until it is stopped."""
    # Imported here, so that `check` and `sandbox` start without the web server.
    from app import create_app
    from web.server import GunicornServer

    config = _config()
    if config is None:
        return 2
    configure_logs(config.log_level, config.log_format)
    log_everything()

    def build() -> tuple[Flask, Callable[[], None]]:
        try:
            service = create_app(config)
        except StorageFailed as error:
            log.critical("can't start: the storage can't be used", reason=error.log_message)
            # With status 3, gunicorn exits instead of starting the worker again and again.
            sys.exit(3)
        return service.app, service.close

    GunicornServer(
        build,
        listen=config.listen,
        threads=config.threads,
        graceful_timeout=config.graceful_timeout,
        request_timeout=config.request_timeout,
        connections_per_peer=config.connections_per_peer,
    ).run()
    return 0


def check() -> int:
    """Check the settings, and print the problems or the settings."""
    config = _config()
    if config is None:
        return 2
    for name, value in redacted(config).items():
        print(f"{name}: {value}")
    if missing := config.instance.missing:
        print(f"Not set here, so people can connect once it is set with /servicenow configure: {', '.join(missing)}")
    return 0


def rotate_secret(user_name: str) -> int:
    """
    Create a webhook key and write it to ServiceNow, as *user_name* or as the person who installed the app.

    The service must be stopped, because only one process can use the storage. A running service has a button for this.
    """
    import offline

    config = _config()
    if config is None:
        return 2
    configure_logs("error", "console")
    try:
        key = offline.rotate_key(config, user_name)
    except InUse:
        print("The service runs and owns the storage: press New key in /servicenow setup, or stop it.", file=sys.stderr)
        return 1
    except AppError as error:
        print(error.user_message, file=sys.stderr)
        return 1
    print(f"ServiceNow signs with the new key {key.key_id} from now on; the former one is retired after a day.")
    return 0


def update_set() -> int:
    """Write the update set to standard output. Requires no settings."""
    from updateset.build import RELEASE, build

    sys.stdout.buffer.write(build(RELEASE))
    return 0


def run_sandbox(which: str, port: int) -> int:
    """Run one double until it is interrupted."""
    from sandbox.double import run_alone
    from sandbox.mattermost import MattermostDouble
    from sandbox.servicenow import ServiceNowDouble

    run_alone(MattermostDouble if which == "mattermost" else ServiceNowDouble, port)
    return 0


def _config() -> Config | None:
    """The settings, or None after printing their problems."""
    try:
        config = Config.from_env()
        folder_of(config.storage_url)
    except (ConfigError, ValueError) as error:
        print(error, file=sys.stderr)
        return None
    return config


if __name__ == "__main__":
    sys.exit(main())
