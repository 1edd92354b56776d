"""The command `llm`, imported once and forked for each invocation: that is half of what it costs.

Reads `[arguments, environment]` a line, answers `[exit code, stdout, stderr]`.
"""

import json
import os
import sys
import tempfile

from llm.cli import cli


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(_invoke(*json.loads(line))), flush=True)


def _invoke(arguments: list[str], environment: dict[str, str]) -> tuple[int, str, str]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            _run(arguments, environment)
        _, status = os.waitpid(child, 0)
        said = [file.seek(0) or file.read().decode() for file in (out, err)]
        return os.waitstatus_to_exitcode(status), *said  # type: ignore[return-value]  # two


def _run(arguments: list[str], environment: dict[str, str]) -> None:
    """What the command's own script does; never returns."""
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["llm", *arguments]
    sys.stdin = open(os.devnull)  # noqa: SIM115  # until the end of the process
    code: object = 1
    try:
        code = cli()
    except SystemExit as ending:
        code = ending.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    main()
