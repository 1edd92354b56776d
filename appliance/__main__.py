"""The program: `af`, `python -m appliance`, and the one file."""

import gc
import os
import sys


def main() -> int:
    """Run the command line; return its exit code."""
    if sys.version_info < (3, 11):  # noqa: UP036  # the one file is handed to whatever Python there is
        sys.stderr.write("AgentFlow needs Python 3.11 or newer; this is %d.%d\n" % sys.version_info[:2])  # noqa: UP031
        return 2
    try:
        return _run()
    except KeyboardInterrupt:
        return 130


def _run() -> int:
    # looking for garbage among what the imports make takes a sixth of their time, and finds none
    gc.set_threshold(25_000, 10, 10)
    # numpy reads it when it is first imported: its threads would spin, and split sums differently
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from runtime.errors import AgentFlowError
    from runtime.store import driver

    try:
        driver.install()  # before anything can import another SQLite
    except AgentFlowError as error:
        sys.stderr.write("error[%s] %s\n" % (error.code, error.message))  # noqa: UP031
        return error.exit_code
    from appliance.cli.main import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
