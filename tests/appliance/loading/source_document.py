"""The YAML blocks of the source document, taken from its Markdown as they stand there."""

import re

from tests.shared import shared

_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def source_blocks() -> list[str]:
    """All of them, in order; skips the calling test where the document is absent."""
    return _BLOCK.findall(shared("spec/agentflow-seed.md").read_text())
