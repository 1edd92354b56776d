"""Which headers of an `http` agent are its own: those leave as they are, so no value may get in among them."""

import pytest

from runtime.agents.http import HttpAgent
from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.http import HttpReply, HttpRequest
from runtime.domain.ids import AgentId
from runtime.domain.workflow import AgentSpec
from tests.runtime.agents.tasks import Context, task
from tests.runtime.memory.word_models import WordModels


class Service:
    """Answers 200, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[HttpRequest] = []

    async def send(self, request: HttpRequest, *, sender: Sender = APPLIANCE) -> HttpReply:
        self.asked.append(request)
        return HttpReply(status=200, headers={}, body=b"")


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({}, {"content-type", "idempotency-key"}),
        ({"Authorization": "Bearer x"}, {"authorization", "content-type", "idempotency-key"}),
        ({"X-Mail": "{{ task }}"}, {"content-type", "idempotency-key"}),
        ({"Idempotency-Key": "{{ task }}"}, {"content-type"}),
        ({"Content-Type": "text/plain; x={{ task }}"}, {"idempotency-key"}),
        ({"X-Note": "fixed", "x-note": "{{ task }}"}, {"content-type", "idempotency-key"}),
    ],
    ids=["none", "literal", "template", "own key", "own type", "twice"],
)
async def test_only_what_the_definition_spells_out_is_its_own(headers: dict[str, str], own: set[str]) -> None:
    service = Service()
    spec = AgentSpec(id=AgentId("call"), type="http", config={"url": "http://127.0.0.1:1/x", "headers": dict(headers)})
    await HttpAgent(spec).act(task("ada@example.com"), Context(WordModels(), http=service))
    assert own == set(service.asked[0].credentials)
