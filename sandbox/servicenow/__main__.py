"""`python -m sandbox.servicenow --port 8081`: the ServiceNow double alone, until SIGINT or SIGTERM."""

import argparse
import signal

from sandbox.servicenow import ServiceNowDouble


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="sandbox.servicenow", description=__doc__)
    parser.add_argument("--port", type=int, default=8081, help="0 takes a free one (default: 8081)")
    port = parser.parse_args().port
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before the threads start, which inherit it
    with ServiceNowDouble(port) as double:
        print(f"ServiceNow double: {double.url}", flush=True)
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
