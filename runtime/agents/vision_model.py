"""The `vision_model` agent: a picture and a question to a chat model that takes pictures, or to a scoring service."""

import asyncio
import os
import re
import stat
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Literal

import msgspec

from runtime.agents.evidence import evidence_of
from runtime.agents.http import HttpAgent
from runtime.agents.llm import LlmAgent
from runtime.agents.pictures import MAX_BYTES, MAX_PIXELS, Picture, read_picture
from runtime.agents.templates import Template
from runtime.agents.tool_loop import used
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatRequest, Image
from runtime.domain.units import size_bytes
from runtime.domain.workflow import AgentSpec
from runtime.errors import Invalid, NotFound
from runtime.ports import StepContext, StepResult, Task
from runtime.tools.beneath import open_beneath

FIELDS = ("image", "file")
"""Keys of the input: the picture itself, or the name of its file."""
NO_WORDS = "Here is the picture."
"""What the model is told where neither the prompt nor the input says anything."""

_HEAD = re.compile(r"data:image/[a-z0-9.+-]{1,40};base64,", re.IGNORECASE)


class VisionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's `config`, as far as it reads it."""

    folder: str = ""
    """A folder of the project, of which `file` names a picture."""
    reader: str = ""
    """The tool of the type `file`, of the agent's `tools`, that reads what `file` names."""
    max_size: int | str = MAX_BYTES
    max_pixels: int = MAX_PIXELS
    metadata: Literal["drop", "keep"] = "drop"


class VisionAgent:
    """Its output is that of an `llm` agent, or the body of the service's answer."""

    def __init__(self, spec: AgentSpec) -> None:
        self._spec = spec
        try:
            self._config = msgspec.convert(spec.config, VisionConfig)
            self._max_bytes = size_bytes(self._config.max_size)
        except (msgspec.ValidationError, ValueError) as error:
            raise Invalid("vision.options", f"agent {spec.id!r}, config: {error}") from None
        self._llm = LlmAgent(spec)
        self._prompt = Template(spec.prompt) if spec.prompt else None
        self._is_service = spec.model is not None and bool(spec.model.options.get("endpoint"))

    async def start(self) -> None:
        """Nothing to get ready."""

    async def stop(self) -> None:
        """Nothing to release."""

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Look once. Raises Invalid for what is no picture, and what the model or the service raises."""
        data = await self._bytes(task.input, ctx)
        picture = await asyncio.to_thread(
            read_picture,
            data,
            max_bytes=self._max_bytes,
            max_pixels=self._config.max_pixels,
            keeps_metadata=self._config.metadata == "keep",
        )
        seen: Json = {
            "media_type": picture.media_type,
            "width": picture.width,
            "height": picture.height,
            "size_bytes": len(data),
            "sha256": sha256(data).hexdigest(),
        }
        if self._is_service:
            answered = await HttpAgent(self._spec).act(self._scoring(task, picture), ctx)
            assert isinstance(answered.output, dict), "an http agent's output is an object"
            return StepResult(output=answered.output["body"], usage=answered.usage, evidence={"picture": seen})
        reply = await ctx.models.complete(self.request(task.data, task.input, picture))
        return StepResult(
            output=self._llm.output(reply), usage=used(reply), evidence={**evidence_of(reply), "picture": seen}
        )

    @property
    def names(self) -> frozenset[str]:
        """The names that its prompt reads."""
        return self._llm.names

    def request(self, data: Mapping[str, Json], given: Json, picture: Picture) -> ChatRequest:
        """What the model is asked; `task` in the prompt is the input without the picture."""
        words = _words(given)
        request = self._llm.request(data, words if self._prompt or words else NO_WORDS)
        *before, last = request.messages
        shown = msgspec.structs.replace(last, images=(Image(picture.media_type, picture.data),))
        return msgspec.structs.replace(request, messages=(*before, shown))

    def _scoring(self, task: Task, picture: Picture) -> Task:
        """What the service is sent: the picture in Base64, what it is, the prompt, and the rest of the input."""
        words = _words(task.input)
        body: dict[str, Json] = {
            **(words if isinstance(words, dict) else {}),
            "image": b64encode(picture.data).decode(),
            "media_type": picture.media_type,
        }
        if self._prompt is not None:
            body["prompt"] = self._prompt.render({**task.data, "task": words})
        return msgspec.structs.replace(task, input=body)

    async def _bytes(self, given: Json, ctx: StepContext) -> bytes:
        """The picture's bytes: those in the input, or of the file that it names."""
        found = given if isinstance(given, dict) else {"image": given}
        image, file = found.get("image"), found.get("file")
        if isinstance(image, str) and image:
            return self._decoded(image)
        if not isinstance(file, str) or not file:
            raise Invalid(
                "vision.no_picture",
                f"agent {self._spec.id!r} expected a picture: a text in Base64 or a data: address, or an object with "
                "one as 'image', or the name of a file as 'file'. Give its 'input' such as "
                "{image: '{{ input.photo }}'}",
            )
        if self._config.reader:
            answer = await ctx.call_tool(self._config.reader, {"operation": "read", "path": file})
            read = answer if isinstance(answer, dict) else {}
            content = read.get("content")
            if not isinstance(content, str) or read.get("encoding") != "base64":
                raise Invalid("vision.unknown_format", f"tool {self._config.reader!r} read no picture: it is a text")
            return self._decoded(content)
        if not self._config.folder:
            raise Invalid(
                "vision.no_folder",
                f"agent {self._spec.id!r} was given the name of a file, and nothing says of which folder; "
                "set config.folder, a folder of the project, or config.reader, a tool of the type file",
            )
        return await asyncio.to_thread(self._read, os.path.join(ctx.folder, self._config.folder), file)

    def _decoded(self, text: str) -> bytes:
        head = _HEAD.match(text)
        # four characters are three bytes; longer ones are refused before they are decoded
        if (len(text) - (head.end() if head else 0)) * 3 // 4 > self._max_bytes + 3:
            raise Invalid(
                "vision.too_large",
                f"agent {self._spec.id!r}: the picture has over {self._max_bytes:,} bytes; raise max_size",
            )
        try:
            return b64decode("".join(text[head.end() if head else 0 :].split()), validate=True)
        except ValueError:
            raise Invalid("vision.not_base64", f"agent {self._spec.id!r}: the picture is no Base64") from None

    def _read(self, root: str, file: str) -> bytes:
        try:
            held = open_beneath(root, file, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            raise NotFound("file.not_found", f"agent {self._spec.id!r}: no such file is in its folder") from None
        except OSError:
            raise Invalid("file.outside", f"agent {self._spec.id!r}: what 'file' names is not in its folder") from None
        try:
            if not stat.S_ISREG(os.fstat(held).st_mode):
                raise Invalid("file.not_a_file", f"agent {self._spec.id!r}: what 'file' names is no file")
            with open(held, "rb", closefd=False) as opened:
                return opened.read(self._max_bytes + 1)
        finally:
            os.close(held)


def _words(given: Json) -> Json:
    """The input without the picture."""
    return {name: value for name, value in given.items() if name not in FIELDS} if isinstance(given, dict) else None
