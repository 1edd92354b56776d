"""A real PostgreSQL on loopback, started from the system's own programs as a user that is not root; or a skip."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.redaction.mailing import certificate

OWNER, PASSWORD = "owner", "owner-password-1"
READER, READER_PASSWORD = "reader", "reader-password-1"

SCHEMA = f"""
CREATE ROLE {READER} LOGIN PASSWORD '{READER_PASSWORD}';
CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE TABLE customer(
    id int PRIMARY KEY, name text NOT NULL, born date, balance numeric(12, 2), at timestamptz, tags text[],
    facts jsonb, feeling mood, photo bytea, token uuid
);
INSERT INTO customer SELECT n, 'name-' || n, '2000-01-01', n + 0.5 FROM generate_series(1, 50) AS n;
UPDATE customer SET at = '2026-01-31T12:00:00Z', tags = '{{a,b}}', facts = '{{"vip": true}}', feeling = 'calm',
    photo = '\\x0102', token = '0b8f6a1e-0000-4000-8000-000000000000' WHERE id = 1;
CREATE TABLE secret(value text);
CREATE VIEW everybody AS SELECT id, name FROM customer;
CREATE FUNCTION sneak() RETURNS int LANGUAGE sql VOLATILE SECURITY DEFINER AS
    'DELETE FROM customer WHERE id = 50 RETURNING id';
CREATE FUNCTION pretend() RETURNS int LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER AS
    $$ BEGIN DELETE FROM customer WHERE id = 49; RETURN 1; END $$;
GRANT SELECT, INSERT, UPDATE, DELETE ON customer, everybody TO {READER};
GRANT CREATE ON SCHEMA public TO {READER};
"""


class Postgres:
    """One running server."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self.folder = folder
        self.data = folder / "data"
        self.port = _free_port()
        self.authority = folder / "server.pem"

    def psql(self, script: str, *, database: str = "bank") -> str:
        """Run a script as the owner; what it prints."""
        done = subprocess.run(
            [self._programs / "psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U",
             OWNER, "-d", database],
            input=script, capture_output=True, text=True, check=False, env={"PGPASSWORD": PASSWORD, "PATH": "/usr/bin"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server with the database `bank`, which offers TLS. Skips, saying why, where there is none."""
    programs = _programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL on this machine; apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="af-pg-", ignore_cleanup_errors=True) as name:
        server = Postgres(programs, Path(name))
        certificate(server.folder)
        user = _user()
        if user is not None:
            for path in (server.folder, *server.folder.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)
        secret = server.folder / "password"
        secret.write_text(PASSWORD)
        if user is not None:
            os.chown(secret, user.pw_uid, user.pw_gid)
        _as_user(
            user,
            [programs / "initdb", "-D", server.data, "-U", OWNER, "--pwfile", secret, "--no-sync", "-E", "UTF8",
             "--locale=C", "--auth=scram-sha-256"],
        )  # fmt: skip
        running = subprocess.Popen(
            [programs / "postgres", "-D", server.data, "-F", "-h", "127.0.0.1", "-p", str(server.port), "-k", "",
             "-c", "ssl=on", "-c", f"ssl_cert_file={server.folder}/server.pem", "-c",
             f"ssl_key_file={server.folder}/server.key", "-c", "shared_buffers=16MB", "-c", "max_connections=20"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            user=user and user.pw_uid, group=user and user.pw_gid, extra_groups=user and [],
        )  # fmt: skip
        try:
            _wait(server, running)
            server.psql("CREATE DATABASE bank", database="postgres")
            server.psql(SCHEMA)
            yield server
        finally:
            running.send_signal(signal.SIGQUIT)
            running.communicate(timeout=60)


def _programs() -> Path | None:
    """The folder of `initdb` and `postgres`; Debian puts it on no path."""
    on_path = shutil.which("postgres")
    found = [Path(on_path).resolve().parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    usable = [each for each in found if (each / "initdb").exists() and (each / "psql").exists()]
    return usable[-1] if usable else None


def _user() -> pwd.struct_passwd | None:
    """Whom it runs as where this is root, which it refuses to be."""
    return pwd.getpwnam("nobody") if os.getuid() == 0 else None


def _as_user(user: pwd.struct_passwd | None, command: Sequence[str | Path]) -> None:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        user=user and user.pw_uid,
        group=user and user.pw_gid,
        extra_groups=user and [],
    )
    assert done.returncode == 0, done.stderr


def _wait(server: Postgres, running: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if running.poll() is not None:
            _, said = running.communicate()
            raise AssertionError(said.decode(errors="replace"))
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", server.port)) == 0:
                ready = subprocess.run(
                    [server._programs / "pg_isready", "-h", "127.0.0.1", "-p", str(server.port)],
                    capture_output=True, check=False,
                )  # fmt: skip
                if ready.returncode == 0:
                    return
        time.sleep(0.05)
    raise AssertionError("PostgreSQL did not start within 30 s")


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
        return port
