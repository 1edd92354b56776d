"""Files of people's that the program changes: in one step, so that whoever reads one has the old text or the new."""

import os
import tempfile
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Have a file hold a text, with the mode that it had; durable when this returns. Raises OSError."""
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            if path.exists():
                os.fchmod(file.fileno(), path.stat().st_mode & 0o7777)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
