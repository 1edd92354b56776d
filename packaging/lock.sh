#!/usr/bin/env bash
# Resolve the requirements anew and write the four locks: every file by hash, no host named, one version for all Pythons.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=$(command -v uv || echo .venv/bin/uv)
if [ ! -x "$uv" ]; then
    echo "lock: needs uv, on PATH or as .venv/bin/uv (.venv/bin/pip install uv)" >&2
    exit 1
fi

lock() {
    local written=packaging/$1
    shift
    "$uv" pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --generate-hashes \
        --override packaging/lock-overrides.txt --custom-compile-command "make lock" --output-file "$written" "$@"
}

lock requirements.lock pyproject.toml
lock requirements-dev.lock pyproject.toml --extra dev --constraint packaging/requirements.lock
lock requirements-build.lock packaging/requirements-build.in --constraint packaging/requirements-dev.lock
lock requirements-llama.lock packaging/requirements-llama.in
