"""A vision_model agent shows a model a picture, or sends it to a service."""

import json
from base64 import b64encode
from pathlib import Path

import pytest

from runtime.agents.vision_model import NO_WORDS, VisionAgent
from runtime.domain.canonical import Json
from runtime.domain.chat import ChatReply, ChatRequest, EmbedReply, EmbedRequest, Image
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.ids import AgentId
from runtime.domain.workflow import AgentSpec, ModelSpec
from runtime.errors import AgentFlowError, Invalid
from runtime.ports import StepResult
from tests.runtime.agents.picture_samples import JPEG, PNG, png_of, png_with
from tests.runtime.agents.tasks import Context, task

BASE64 = b64encode(PNG).decode()
SCHEMA: dict[str, Json] = {"type": "object", "required": ["is_safe"]}


class Eyes:
    """A model that takes pictures; keeps what it was shown."""

    def __init__(self, text: str = '{"is_safe": true}') -> None:
        self.asked: list[ChatRequest] = []
        self._text = text

    async def complete(self, request: ChatRequest, *, sender: Sender = APPLIANCE) -> ChatReply:
        self.asked.append(request)
        return ChatReply(
            text=self._text,
            finish_reason="stop",
            input_tokens=9,
            output_tokens=2,
            backend="model.eyes",
            model="eyes",
            fingerprint="eyes 1",
        )

    async def embed(self, request: EmbedRequest, *, sender: Sender = APPLIANCE) -> EmbedReply:
        raise AssertionError("nobody may embed here")


class Desk(Context):
    """With a tool of the type file."""

    def __init__(self, eyes: Eyes, answer: Json, folder: Path = Path()) -> None:
        super().__init__(eyes, folder=folder)
        self.called: list[Json] = []
        self._answer = answer

    async def call_tool(self, tool: str, arguments: dict[str, Json]) -> Json:  # type: ignore[override]  # it returns
        self.called.append([tool, arguments])
        return self._answer


class Service:
    """A scoring service; keeps what it was sent."""

    def __init__(self) -> None:
        self.asked: list[HttpRequest] = []

    async def send(self, request: HttpRequest, *, sender: Sender = APPLIANCE) -> HttpReply:
        self.asked.append(request)
        return HttpReply(status=200, headers={"content-type": "application/json"}, body=b'{"nsfw": 0.1}')


def agent(
    *,
    prompt: str = "",
    schema: dict[str, Json] | None = None,
    endpoint: str = "",
    role: str = "",
    config: dict[str, Json] | None = None,
) -> VisionAgent:
    model = ModelSpec(provider="vllm", name="eyes", options={"endpoint": endpoint} if endpoint else {})
    return VisionAgent(
        AgentSpec(
            id=AgentId("look"),
            type="vision_model",
            role=role,
            model=model,
            prompt=prompt,
            output_schema=schema,
            config=config or {},
        )
    )


async def looked(agent: VisionAgent, given: Json, eyes: Eyes | None = None, folder: Path = Path()) -> StepResult:
    return await agent.act(task(given), Context(eyes or Eyes(), folder=folder))


async def test_the_model_is_shown_the_picture_beside_the_prompt() -> None:
    eyes = Eyes()
    looking = agent(prompt="Is {{ task.place }} safe?", schema=SCHEMA, role="A guard.")
    result = await looked(looking, {"image": BASE64, "place": "this"}, eyes)
    (request,) = eyes.asked
    system, question = request.messages
    assert ("A guard.", "Is this safe?", SCHEMA) == (system.content, question.content, request.schema)
    assert (Image("image/png", PNG),) == question.images
    assert {"is_safe": True} == result.output
    assert (9, 2) == (result.usage.input_tokens, result.usage.output_tokens)
    assert result.evidence is not None
    seen = result.evidence["picture"]
    assert isinstance(seen, dict)
    assert ("image/png", 5, 3, len(PNG)) == (seen["media_type"], seen["width"], seen["height"], seen["size_bytes"])
    assert BASE64 not in json.dumps(result.evidence)


@pytest.mark.parametrize(
    "given",
    [
        BASE64,
        {"image": BASE64},
        {"image": f"data:image/jpeg;base64,{BASE64}"},
        {"image": BASE64[:50] + "\n" + BASE64[50:]},
    ],
)
async def test_a_picture_is_a_text_or_stands_in_an_object(given: Json) -> None:
    """What it is its bytes say, whatever its address claims."""
    eyes = Eyes("fine")
    assert {"text": "fine"} == (await looked(agent(), given, eyes)).output
    (request,) = eyes.asked
    assert (NO_WORDS, (Image("image/png", PNG),)) == (request.messages[-1].content, request.messages[-1].images)


async def test_the_rest_of_the_input_is_told_where_there_is_no_prompt() -> None:
    eyes = Eyes()
    await looked(agent(), {"image": BASE64, "question": "Who?"}, eyes)
    assert '{"question": "Who?"}' == eyes.asked[0].messages[-1].content


async def test_where_a_picture_was_taken_is_not_shown() -> None:
    eyes = Eyes()
    tagged = b64encode(png_with(b"eXIf", b"52.5 N 13.4 E")).decode()
    await looked(agent(), tagged, eyes)
    await looked(agent(config={"metadata": "keep"}), tagged, eyes)
    bare, whole = (request.messages[-1].images[0].data for request in eyes.asked)
    assert (PNG, True) == (bare, b"13.4 E" in whole)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (None, "vision.no_picture"),
        ({}, "vision.no_picture"),
        ({"image": 7}, "vision.no_picture"),
        ({"image": "not base64!"}, "vision.not_base64"),
        ({"image": b64encode(b"GIF89a").decode()}, "vision.unknown_format"),
        ({"image": b64encode(png_of(50_000, 50_000)).decode()}, "vision.too_many_pixels"),
        ({"image": "A" * 200}, "vision.too_large"),
        ({"file": "a.png"}, "vision.no_folder"),
    ],
)
async def test_what_is_no_picture_is_refused_before_anybody_is_asked(given: Json, code: str) -> None:
    eyes = Eyes()
    with pytest.raises(Invalid) as caught:
        await looked(agent(config={"max_size": 120}), given, eyes)
    assert (code, []) == (caught.value.code, eyes.asked)


async def test_a_file_of_the_project_is_read_and_nothing_beyond_its_folder(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(JPEG)
    (tmp_path / "secret.png").write_bytes(PNG)
    (tmp_path / "pictures" / "link.png").symlink_to(tmp_path / "secret.png")
    eyes = Eyes()
    looking = agent(config={"folder": "pictures"})
    await looked(looking, {"file": "a.jpg"}, eyes, tmp_path)
    assert (Image("image/jpeg", JPEG),) == eyes.asked[0].messages[-1].images
    for file in ("../secret.png", "link.png", str(tmp_path / "secret.png"), ".", "none.png"):
        with pytest.raises(AgentFlowError, match=r"file\."):
            await looked(looking, {"file": file}, eyes, tmp_path)
    assert 1 == len(eyes.asked)


async def test_a_tool_reads_what_lies_in_a_folder_of_the_operators() -> None:
    """So that its grants and its line in the audit log hold."""
    eyes = Eyes()
    desk = Desk(eyes, {"path": "a.png", "content": BASE64, "encoding": "base64", "size_bytes": len(PNG)})
    looking = agent(config={"reader": "inbox"})
    await looking.act(task({"file": "a.png"}), desk)
    assert [["inbox", {"operation": "read", "path": "a.png"}]] == desk.called
    assert (Image("image/png", PNG),) == eyes.asked[0].messages[-1].images
    with pytest.raises(Invalid, match="unknown_format"):
        await looking.act(task({"file": "a.txt"}), Desk(eyes, {"content": "hello", "size_bytes": 5}))


async def test_a_service_is_sent_the_picture_as_base64() -> None:
    service = Service()
    looking = agent(endpoint="http://score.example:9000/nsfw", prompt="{{ task.level }}")
    result = await looking.act(task({"image": BASE64, "level": "strict"}), Context(Eyes(), http=service))
    (request,) = service.asked
    assert ("POST", "http://score.example:9000/nsfw") == (request.method, request.url)
    assert {"image": BASE64, "media_type": "image/png", "level": "strict", "prompt": "strict"} == json.loads(
        request.body
    )
    assert {"nsfw": 0.1} == result.output


def test_settings_that_are_none_are_refused() -> None:
    for config in ({"max_pixels": "many"}, {"max_size": "big"}, {"metadata": "some"}):
        with pytest.raises(Invalid, match=r"vision\.options"):
            agent(config=config)  # type: ignore[arg-type]  # JSON
