"""`python -m sandbox.mattermost --port 8065`: the Mattermost double alone, until SIGINT or SIGTERM."""

import argparse
import signal

from sandbox.mattermost import MattermostDouble


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="sandbox.mattermost", description=__doc__)
    parser.add_argument("--port", type=int, default=8065, help="0 takes a free one (default: 8065)")
    port = parser.parse_args().port
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before the threads start, which inherit it
    with MattermostDouble(port) as double:
        print(f"Mattermost double: {double.url}", flush=True)
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
