"""Small files that only their owner may read, written wholly or not at all."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from runtime.store.failures import translate


def write_private(path: Path, content: bytes) -> None:
    """Put a file with this content in the place of whatever is there, mode 0600. Durable when this returns.

    Raises StoreFull or Unavailable; what was there is still there then.
    """
    draft = ""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # has mode 0600
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise translate(error, path, writing=True) from None
    finally:
        if draft:
            with suppress(FileNotFoundError):
                os.unlink(draft)
