"""What no tool is given, whoever asks: the appliance's own data, keys and sockets."""

import os
from collections.abc import Mapping

from appliance.config.settings import Settings
from runtime.store.master import CREDENTIALS_VARIABLE, FILE_VARIABLE, PASSPHRASE_VARIABLE


def private_paths(settings: Settings, environment: Mapping[str, str]) -> list[str]:
    """Their absolute paths."""
    named = [
        str(settings.data),
        str(settings.models_folder),
        str(settings.socket),
        settings.audit.key_file,
        settings.secrets.token_file,
        *(environment.get(variable, "") for variable in (FILE_VARIABLE, PASSPHRASE_VARIABLE, CREDENTIALS_VARIABLE)),
    ]
    return [os.path.abspath(path) for path in named if path]
