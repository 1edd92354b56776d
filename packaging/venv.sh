#!/usr/bin/env bash
# Create the virtual environment $1 with the first Python on PATH that AgentFlow runs on.
set -euo pipefail

for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
        if ! "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            echo "setup: $("$candidate" --version) cannot create virtual environments. Install that part (Debian: apt install python3-venv)." >&2
            exit 1
        fi
        echo "setup: $1 with $("$candidate" --version)"
        exec "$candidate" -m venv "$1"
    fi
done
echo "setup: needs Python 3.11, 3.12 or 3.13; found $(python3 --version 2>/dev/null || echo none). Install one, or name it: make setup PYTHON=/path/to/python3.11" >&2
exit 1
