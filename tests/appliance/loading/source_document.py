"""The YAML blocks of the source document, taken from its Markdown as they stand there."""

import re

from tests.shared import shared

_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def source_text() -> str:
    """The whole of it; skips the calling test where the document is absent."""
    return shared("spec/agentflow-seed.md").read_text()


def source_blocks() -> list[str]:
    """All blocks, in order; skips as above."""
    return _BLOCK.findall(source_text())
