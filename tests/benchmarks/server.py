"""A server that says the same to everybody; it ends when its stdin closes.

It prints its port, keeps connections open, and does no more than it must, so that
the clients are what is measured.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from typing import Any

# Whoever forgot to close our stdin does not keep us for ever.
_SECONDS_AT_MOST = 1800.0
_BACKLOG = 4096

ANSWER = "The capital of France is Paris."


def raise_file_limit() -> None:
    """Allow this process as many sockets as the system lets it have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _response() -> bytes:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": ANSWER,
        "refusal": None,
        "annotations": [],
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": 37, "completion_tokens": 8, "total_tokens": 45}
    completion = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }
    body = json.dumps(completion).encode()
    head = (
        "HTTP/1.1 200 OK\r\n"
        "Content-Type: application/json\r\n"
        "Server: loopback\r\n"
        "Date: Tue, 24 Nov 2026 00:00:00 GMT\r\n"
        "x-request-id: req_123\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


_RESPONSE = _response()


class Answerer(asyncio.Protocol):
    """Answers each request on one connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """Answer as soon as a request is whole."""
        self._received += data
        while (size := _size_of_request(self._received)) is not None:
            self._received = self._received[size:]
            self._transport.write(_RESPONSE)


def _size_of_request(received: bytes) -> int | None:
    """Bytes of the first request in *received*; None if it is not whole."""
    end = received.find(b"\r\n\r\n") + 4
    if end < 4:
        return None
    _, _, rest = received[:end].lower().partition(b"content-length:")
    size = end + int(rest.partition(b"\r\n")[0])
    return size if len(received) >= size else None


async def serve() -> None:
    """Serve until stdin closes or the time is up."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answerer, "127.0.0.1", 0, backlog=_BACKLOG)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    stdin = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    try:
        async with asyncio.timeout(_SECONDS_AT_MOST):
            await stdin.read()
    except TimeoutError:
        sys.stderr.write("the benchmark's server ran out of time\n")


if __name__ == "__main__":
    raise_file_limit()
    asyncio.run(serve())
