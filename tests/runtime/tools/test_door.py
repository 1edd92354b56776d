"""What a program gets to hear at its door."""

import json

from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.http import HttpReply, HttpRequest
from runtime.errors import Refused
from runtime.tools.door import answering


class Http:
    """Answers with what it was asked."""

    async def send(self, request: HttpRequest, *, sender: Sender = APPLIANCE) -> HttpReply:
        if "elsewhere" in request.url:
            raise Refused("tool.host_not_granted", "no such host in the profile")
        return HttpReply(status=201, headers={"x": request.headers.get("x", "")}, body=request.body)


async def test_requests_are_answered_and_refusals_are_answers() -> None:
    answer = answering(Http())

    async def said(**asked: object) -> object:
        return json.loads(await answer(json.dumps(asked).encode()))

    whole = {"url": "http://here/", "method": "POST", "headers": {"x": "1"}, "body": "é"}
    assert {"status": 201, "headers": {"x": "1"}, "body": "é"} == await said(**whole)
    assert {"status": 201, "headers": {"x": ""}, "body_base64": "/w=="} == await said(
        url="http://here/", body_base64="/w=="
    )
    refused = await said(url="http://elsewhere/")
    assert isinstance(refused, dict)
    assert "tool.host_not_granted" == refused["error"]["code"]
    for bad in (b"", b"[]", b"{}", b'{"url": 1}', b'{"url": "x", "also": 1}', b'{"url": "x", "body_base64": "?"}'):
        assert "door.not_a_request" == json.loads(await answer(bad))["error"]["code"]
