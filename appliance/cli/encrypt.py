"""`af encrypt`: turn a data folder that is plain into one that is encrypted."""

import os
from typing import TYPE_CHECKING

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command(cls=Command, examples="AGENTFLOW_MASTER_KEY_FILE=/etc/agentflow/master.key af encrypt")
@pass_af
def encrypt(af: Af) -> None:
    """Encrypt the databases of the data folder with the key that is set: the master key, or the databases' own.

    Nothing else may use the folder meanwhile. Each file is copied, checked and then replaced; copies and backups from
    before stay plain, and deleted blocks of the disk may still hold what stood there.
    """
    done = _encrypt(af)
    for name in done:
        af.terminal.say(f"{name}  encrypted")
    if not done:
        af.terminal.say("nothing was plain")
    af.terminal.document({"encrypted": list(done)})


def _encrypt(af: Af) -> "Sequence[str]":
    from runtime.engine.clock import SystemClock
    from runtime.errors import Invalid
    from runtime.store.encrypt import encrypt_folder
    from runtime.store.keyring import database_key
    from runtime.store.lock import hold

    data = af.settings.data
    with hold(data, what="af encrypt", now_us=SystemClock().now_us()) as lock:
        key = database_key(os.environ, data, may_make=True)
        if key is None:
            raise Invalid(
                "store.no_key",
                "no key is set to encrypt with; set AGENTFLOW_MASTER_KEY_FILE or AGENTFLOW_DB_KEY_FILE",
            )
        return encrypt_folder(data, key, lock=lock)
