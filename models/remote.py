"""The backend of each kind of model server."""

from models.anthropic import AnthropicBackend
from models.ollama import OllamaBackend
from models.openai_compatible import OpenAiCompatibleBackend
from models.servers import ModelServer
from redaction.doors.http import HttpDoor
from runtime.ports import ModelBackend


def backend_for(server: ModelServer, door: HttpDoor) -> ModelBackend:
    """What asks a server; it opens nothing until it is asked itself."""
    match server.kind:
        case "ollama":
            return OllamaBackend(server, door)
        case "anthropic":
            return AnthropicBackend(server, door)
        case "openai" | "openai_compatible":
            return OpenAiCompatibleBackend(server, door)
