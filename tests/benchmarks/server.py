"""A server that sends everyone the same answer, whole or as a stream, as asked.

It prints its port, keeps connections open, does no more than it must, so that the
clients are what is measured, and ends when its stdin closes.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from recording import events

if TYPE_CHECKING:
    from collections.abc import Iterator

# An end even if the parent forgets to close our stdin.
_SECONDS_AT_MOST = 1800.0
_BACKLOG = 4096

# Long enough for a client to read one packet before the next one comes.
_SECONDS_BETWEEN_PACKETS = 0.001

# Below this path, a stream comes one token at a time.
SLOWLY = "/slowly"

ANSWER = "The capital of France is Paris."


def raise_file_limit() -> None:
    """Allow this process as many sockets as the system permits."""
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


@cache
def _stream(n_tokens: int, alternatives: int | None, *, slowly: bool) -> tuple[bytes, ...]:
    """Return a streamed answer in the pieces that are written, the first token's ahead.

    HTTP's chunks are the events, as servers send them. All of the rest is one piece, so
    that the clients are what is measured, and not how fast we write; unless it comes
    *slowly*, each event by itself.
    """
    role, token, *others = (
        b"%x\r\n%b\r\n" % (len(event), event) for event in events(n_tokens, alternatives)
    )
    head = (
        b"HTTP/1.1 200 OK\r\n"
        b"Content-Type: text/event-stream; charset=utf-8\r\n"
        b"Server: loopback\r\n"
        b"Date: Tue, 24 Nov 2026 00:00:00 GMT\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    others.append(b"0\r\n\r\n")
    return head + role + token, *(others if slowly else [b"".join(others)])


class Answerer(asyncio.Protocol):
    """The connection of one client; each of its requests is answered."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the *transport*, to write the answers to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """Answer each request once it is complete."""
        self._received += data
        while (size := _size_of_request(self._received)) is not None:
            request, self._received = self._received[:size], self._received[size:]
            if b'"stream"' in request:
                self._stream(request)
            else:
                self._transport.write(_RESPONSE)

    def _stream(self, request: bytes) -> None:
        """Stream as many tokens as the *request* asks for."""
        head, _, data = request.partition(b"\r\n\r\n")
        body = json.loads(data)
        alternatives = body["top_logprobs"] if body.get("logprobs") else None
        slowly = SLOWLY.encode() in head.partition(b"\r\n")[0]
        self._write(iter(_stream(body["max_tokens"], alternatives, slowly=slowly)))

    def _write(self, pieces: Iterator[bytes]) -> None:
        """Write *pieces*, each in a packet of its own."""
        if (piece := next(pieces, None)) is not None:
            self._transport.write(piece)
            loop = asyncio.get_running_loop()
            loop.call_later(_SECONDS_BETWEEN_PACKETS, self._write, pieces)


def _size_of_request(received: bytes) -> int | None:
    """Return the size of the first request in *received*; None if it is incomplete."""
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
