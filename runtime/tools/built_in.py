"""The tools that every appliance has. Nothing is imported for this list; each is made when it is first called."""

from runtime.domain.canonical import Json
from runtime.domain.tool import ToolSpec

_TEXT: Json = {"type": "string"}

BUILT_IN: tuple[ToolSpec, ...] = (
    ToolSpec(
        id="create_ticket",
        kind="tool.ticket",
        description="Open a ticket in the appliance's own table, for people to work on.",
        input_schema={
            "type": "object",
            "properties": {"subject": _TEXT, "category": _TEXT, "summary": _TEXT},
            "required": ["subject"],
            "additionalProperties": False,
        },
        output_schema={"type": "object", "properties": {"id": _TEXT, "status": _TEXT}, "required": ["id", "status"]},
        is_trusted=True,
        set_by="the appliance",
    ),
)
