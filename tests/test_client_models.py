"""The models of an endpoint, as a user of `Client` sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from loopback import Request, http, serve

import limin
from limin import Client

if TYPE_CHECKING:
    from pytest_httpx import HTTPXMock

KEY = "sk-very-secret-key-0123456789"


async def test_models_are_listed(httpx_mock: HTTPXMock) -> None:
    """The key and the client's headers are sent, and no body; a query stays."""
    httpx_mock.add_response(json={"data": [{"id": "a"}, {"id": "b"}]})
    url = "http://model.test/v1/?version=2"
    async with Client(url, KEY, headers={"x-own": "1"}) as client:
        assert await client.models() == ["a", "b"]
    sent = httpx_mock.get_request()
    assert sent is not None
    assert (sent.method, sent.content) == ("GET", b"")
    assert sent.url == "http://model.test/v1/models?version=2"
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.headers["x-own"] == "1"
    assert "content-type" not in sent.headers


async def test_models_by_own_pool() -> None:
    """Over limin's own connections a list comes, and then an answer by the same one."""

    async def respond(request: Request) -> bytes:
        is_list = request.head.startswith(b"GET /v1/models HTTP/1.1\r\n")
        answer = b'{"choices": [{"message": {"content": "ok"}}]}'
        return http(b'{"data": [{"id": "m"}]}' if is_list else answer)

    async with serve(respond) as server, Client(server.base_url) as client:
        assert await client.models() == ["m"]
        assert (await client.generate_text_completion("hi")).message == "ok"
        assert await client.models() == ["m"]
    assert server.connections == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(401, limin.AuthenticationError), (404, limin.NotFoundError)]
)
async def test_refusal(
    httpx_mock: HTTPXMock, status: int, kind: type[limin.LiminError]
) -> None:
    """A refusal is the error for its status, and says what was asked."""
    httpx_mock.add_response(status_code=status, json={"error": {"message": "no"}})
    async with Client("http://model.test/v1") as client:
        with pytest.raises(kind, match=r"asked: GET http://model.test/v1/models$"):
            await client.models()


async def test_server_that_does_not_answer() -> None:
    """The client's timeout ends the wait."""

    async def be_silent(_request: Request) -> bytes:
        await anyio.sleep_forever()
        return b""

    async with (
        serve(be_silent) as server,
        Client(server.base_url, timeout=0.05) as client,
    ):
        with pytest.raises(limin.RequestTimeoutError, match=r"within 0\.05 seconds; asked"):
            await client.models()
