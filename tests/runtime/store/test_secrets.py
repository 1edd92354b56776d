"""Secrets in files: nothing of a value stands in them, none opens another's, and keys change under them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.domain.ids import TenantId
from runtime.errors import AgentFlowError, Corrupt, Invalid, NotFound, Unavailable
from runtime.store.envelope import fresh_key, seal, unseal
from runtime.store.keyring import Keyring, database_key, keyring_of
from runtime.store.secrets import SecretStore

ACME, OTHER = TenantId("acme"), TenantId("other/er")
OLD, NEW = "5e" * 32, "6f" * 32
VALUE = "correct horse battery staple"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def master(tmp_path: Path) -> Path:
    file = tmp_path / "master.key"
    file.write_text(OLD + "\n")
    file.chmod(0o600)
    return file


def ring(data: Path, master: Path) -> Keyring:
    found = keyring_of({"AGENTFLOW_MASTER_KEY_FILE": str(master)}, data)
    assert found is not None
    return found


def store(data: Path, master: Path) -> SecretStore:
    return SecretStore(data, ring(data, master), lambda: 1_000_000)


def test_a_value_comes_back_and_stands_nowhere_in_the_clear(data: Path, master: Path) -> None:
    """Not in its file, not beside it; and files are their owner's alone."""
    assert 1 == store(data, master).put(ACME, "vllm", VALUE, hosts=["gpu-1.example:8000"])
    assert (VALUE, ("gpu-1.example:8000",)) == (
        store(data, master).value(ACME, "vllm"),
        store(data, master).hosts(ACME, "vllm"),
    )
    files = [path for path in data.rglob("*") if path.is_file()]
    assert files
    assert all(VALUE.encode() not in path.read_bytes() and OLD.encode() not in path.read_bytes() for path in files)
    assert {0o600} == {path.stat().st_mode & 0o777 for path in files}


def test_versions_are_kept_and_named(data: Path, master: Path) -> None:
    """What was rotated too early can be named still; the last ten stay."""
    secrets = store(data, master)
    assert [1, 2] == [secrets.put(ACME, "vllm", f"value number {number}") for number in (1, 2)]
    assert ["value number 2", "value number 1"] == [secrets.value(ACME, "vllm", version) for version in (0, 1)]
    for number in range(3, 13):
        secrets.put(ACME, "vllm", f"value number {number}")
    assert tuple(range(3, 13)) == secrets.list(ACME)[0].versions
    with pytest.raises(NotFound, match="no version 1"):
        secrets.value(ACME, "vllm", 1)
    secrets.remove(ACME, "vllm")
    with pytest.raises(NotFound, match="af secrets set vllm"):
        secrets.value(ACME, "vllm")


def test_a_tenant_does_not_see_anothers(data: Path, master: Path) -> None:
    """Nor does one of two secrets open in the other's place."""
    secrets = store(data, master)
    secrets.put(ACME, "a", VALUE)
    secrets.put(OTHER, "a", "another value")
    assert [(VALUE, "another value")] == [(secrets.value(ACME, "a"), secrets.value(OTHER, "a"))]
    assert [ACME, OTHER] == list(secrets.tenants())
    acme, other = sorted((data / "secrets").glob("*.json"))
    other.write_bytes(acme.read_bytes())
    with pytest.raises(Corrupt):
        secrets.value(OTHER, "a")


def test_a_changed_byte_is_noticed() -> None:
    """AES-GCM covers the header, the value and what it is bound to."""
    key = fresh_key()
    sealed = seal(key, VALUE.encode(), ["acme", "a", "1"])
    assert VALUE.encode() == unseal(key, sealed, ["acme", "a", "1"])
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(Corrupt):
            unseal(key, bytes(changed), ["acme", "a", "1"])
    for bound_to in (["acme", "a", "2"], ["acme", "a"], ["acme,a", "1"]):
        with pytest.raises(Corrupt):
            unseal(key, sealed, bound_to)


def test_the_master_key_is_changed_by_putting_another_above_it(data: Path, master: Path) -> None:
    """What is needed is wrapped anew; then the old one may go."""
    store(data, master).put(ACME, "a", VALUE)
    before = ring(data, master).current("database").reveal()
    master.write_text(f"# since January\n{NEW}\n{OLD}\n")
    assert VALUE == store(data, master).value(ACME, "a")
    assert 1 == ring(data, master).rewrap()  # that of the database; the tenant's was wrapped when it was used
    master.write_text(NEW)
    assert (VALUE, before) == (store(data, master).value(ACME, "a"), ring(data, master).current("database").reveal())
    master.write_text(OLD)
    with pytest.raises(Unavailable, match="put the right key back"):
        store(data, master).value(ACME, "a")


def test_a_new_key_of_a_tenant_encrypts_everything_anew(data: Path, master: Path) -> None:
    """And the older key is gone with what it opened."""
    secrets = store(data, master)
    secrets.put(ACME, "a", VALUE)
    secrets.put(ACME, "a", "a second value")
    file = data / "secrets" / "acme.json"
    before, keys = file.read_bytes(), (data / "keys.json").read_bytes()
    assert 2 == secrets.renew_key(ACME)
    assert [VALUE, "a second value"] == [value for _, value in store(data, master).values(ACME)]
    assert file.read_bytes() != before
    file.write_bytes(before)
    with pytest.raises(Corrupt, match="not in"):
        store(data, master).value(ACME, "a")
    (data / "keys.json").write_bytes(keys)
    assert "a second value" == store(data, master).value(ACME, "a")


def test_what_an_older_key_of_a_tenant_encrypted_is_encrypted_anew_when_it_is_read(data: Path, master: Path) -> None:
    """Lazily: a rotation that was cut short mends itself."""
    secrets = store(data, master)
    secrets.put(ACME, "a", VALUE)
    ring(data, master).renew("tenant/acme")
    before = (data / "secrets" / "acme.json").read_bytes()
    assert VALUE == secrets.value(ACME, "a")
    assert before != (data / "secrets" / "acme.json").read_bytes()
    ring(data, master).forget_older("tenant/acme")
    assert VALUE == secrets.value(ACME, "a")


def test_a_passphrase_is_stretched(data: Path, tmp_path: Path) -> None:
    """Argon2id with a salt of the data folder's own."""
    file = tmp_path / "passphrase"
    file.write_text("a passphrase of some length\n")
    file.chmod(0o600)
    environment = {"AGENTFLOW_MASTER_PASSPHRASE_FILE": str(file)}
    found = keyring_of(environment, data)
    assert found is not None
    SecretStore(data, found, lambda: 1).put(ACME, "a", VALUE)
    again = keyring_of(environment, data)
    assert again is not None
    assert VALUE == SecretStore(data, again, lambda: 1).value(ACME, "a")
    file.write_text("another passphrase\n")
    other = keyring_of(environment, data)
    assert other is not None
    with pytest.raises(Unavailable, match=r"secret\.wrong_master"):
        other.current("tenant/acme")
    file.write_text("short\n")
    with pytest.raises(Invalid, match="12 letters"):
        keyring_of(environment, data).current("tenant/acme")  # type: ignore[union-attr]  # as above


def test_a_passphrase_that_is_typed_is_asked_for_twice_the_first_time(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slip would lock everything with what nobody knows."""
    environment = {"AGENTFLOW_MASTER_PASSPHRASE_FILE": "-"}
    typed: list[str] = []
    monkeypatch.setattr("getpass.getpass", lambda _prompt: typed.pop(0))
    monkeypatch.setattr("os.open", _any_terminal(os.open))
    for answers, left in ((["a good passphrase", "a god passphrase"], 0), (["a good passphrase"] * 2, 0)):
        typed[:] = answers
        keyring = keyring_of(environment, data)
        assert keyring is not None
        if len(set(answers)) > 1:
            with pytest.raises(Invalid, match="two passphrases differ"):
                keyring.current("database")
        else:
            made = keyring.current("database").reveal()
        assert left == len(typed)
    typed[:] = ["a good passphrase", "never asked"]
    again = keyring_of(environment, data)
    assert again is not None
    assert (made, ["never asked"]) == (again.current("database").reveal(), typed)


def _any_terminal(real: Callable[..., int]) -> Callable[..., int]:
    def opened(path: object, *arguments: int) -> int:
        return real("/dev/null" if path == "/dev/tty" else path, *arguments)

    return opened


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda file: file.chmod(0o640), "secret.unsafe_master"),
        (lambda file: file.chmod(0o604), "secret.unsafe_master"),
        (lambda file: file.parent.chmod(0o777), "secret.unsafe_master"),
        (lambda file: file.unlink(), "secret.no_master_file"),
        (lambda file: (file.unlink(), file.mkdir(mode=0o700)), "secret.no_master_file"),
        (lambda file: file.write_text("# nothing"), "secret.no_master"),
        (lambda file: file.write_text(OLD[1:]), "secret.malformed_master"),
    ],
)
def test_a_key_that_others_could_read_or_that_is_none_is_refused(
    data: Path, master: Path, spoil: object, code: str
) -> None:
    """Before anything is encrypted with it, and the message says what to do."""
    spoil(master)  # type: ignore[operator]  # a lambda of the table
    with pytest.raises(AgentFlowError) as raised:
        store(data, master).put(ACME, "a", VALUE)
    assert code == raised.value.code
    assert not (data / "secrets" / "acme.json").exists()
    assert OLD not in raised.value.message


def test_a_foreign_owner_is_refused(data: Path, master: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns the file may put another key there."""
    owner = master.stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    if owner == 0:
        os.chown(master, 12_345, -1)
    with pytest.raises(Unavailable, match="belongs to user"):
        store(data, master).put(ACME, "a", VALUE)


def test_a_key_in_the_data_folder_is_refused(data: Path) -> None:
    """It would be in every copy of what it locks."""
    inside = data / "master.key"
    inside.write_text(OLD)
    inside.chmod(0o600)
    with pytest.raises(Invalid, match="lies in the data folder"):
        keyring_of({"AGENTFLOW_MASTER_KEY_FILE": str(inside)}, data)


def test_a_credential_of_systemd_is_taken(data: Path, tmp_path: Path) -> None:
    """It shows a right of the group, which is an access list; two sources at once are a mistake."""
    credential = tmp_path / "agentflow.master"
    credential.write_text(NEW)
    credential.chmod(0o440)
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    found = keyring_of(environment, data)
    assert found is not None
    assert found.current("database")
    with pytest.raises(Invalid, match=r"secret\.two_masters"):
        keyring_of({**environment, "AGENTFLOW_MASTER_KEY_FILE": str(credential)}, data)
    assert keyring_of({"CREDENTIALS_DIRECTORY": str(data)}, data) is None


def test_the_master_key_gives_the_databases_theirs(data: Path, master: Path) -> None:
    """Who writes makes it; a key of the databases' own comes first; a folder that was never written has none."""
    environment = {"AGENTFLOW_MASTER_KEY_FILE": str(master)}
    assert database_key(environment, data) is None
    made = database_key(environment, data, may_make=True)
    assert made is not None
    assert made.reveal() == database_key(environment, data).reveal()  # type: ignore[union-attr]  # it is there now
    own = database_key({**environment, "AGENTFLOW_DB_KEY": NEW}, data)
    assert own is not None
    assert NEW == own.reveal()


@pytest.mark.parametrize("name", ["", "A", "a/b", "../x", "a" * 65, "-a"])
def test_names_that_could_be_paths_are_refused(data: Path, master: Path, name: str) -> None:
    """A name is a part of references, messages and addresses."""
    with pytest.raises(Invalid, match=r"secret\.name"):
        store(data, master).put(ACME, name, VALUE)


@pytest.mark.parametrize("value", ["", "abc", "x" * 70_000, "secret://other"])
def test_values_that_could_not_be_masked_are_refused(data: Path, master: Path, value: str) -> None:
    """A value of three letters is in every text."""
    with pytest.raises(Invalid):
        store(data, master).put(ACME, "a", value)
