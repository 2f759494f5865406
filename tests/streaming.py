"""Streams, byte by byte, and raw servers that send them."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import attrs
from loopback import serve_streams

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence


def chunk_of(delta: object = None, **choice: object) -> dict[str, Any]:
    """Return a chunk of one choice."""
    return {"choices": [{"index": 0, "delta": delta or {}, **choice}]}


def event_of(data: object, field: str = "data") -> bytes:
    """Return the event of *data*: bytes and text as they are, other values as JSON."""
    if isinstance(data, bytes):
        data = data.decode()
    text = data if isinstance(data, str) else json.dumps(data)
    return f"{field}: {text}\n\n".encode()


def text_of(text: str) -> bytes:
    """Return the event that adds *text* to the answer."""
    return event_of(chunk_of({"content": text}))


ROLE = event_of(chunk_of({"role": "assistant", "content": None}))
FINISH = event_of(chunk_of({}, finish_reason="stop"))
USAGE = event_of({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}})
DONE = event_of("[DONE]")

# A whole answer: Hello.
HELLO = (ROLE, text_of("Hel"), text_of("lo"), FINISH, USAGE, DONE)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def chunked(*pieces: bytes) -> bytes:
    """Return *pieces* as HTTP's chunks, without the last, empty one."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def streamed(*events: bytes) -> bytes:
    """Return a whole HTTP response that streams *events*."""
    return CHUNKED + chunked(*events) + LAST


# Steps of a script that are no bytes.
CLOSE, RESET, WAIT = "close", "reset", "wait for the client to leave"


@attrs.define
class StreamingServer:
    """A running server, and the requests that it got.

    Attributes:
        bodies: Of the requests.
        connections: How many were opened.
        left: Set when a client has closed its connection where the script waits.
        gone: Set when a client has closed it where no script runs.
    """

    base_url: str = ""
    bodies: list[dict[str, Any]] = attrs.field(factory=list)
    connections: int = 0
    left: anyio.Event = attrs.field(factory=anyio.Event)
    gone: anyio.Event = attrs.field(factory=anyio.Event)


@asynccontextmanager
async def serve_scripts(
    *scripts: Sequence[bytes | str | anyio.Event],
) -> AsyncGenerator[StreamingServer]:
    """Run a server that answers its requests by *scripts*; the last one repeats.

    Each step of a script is bytes to send, an event to wait for, or one of the steps
    above.
    """
    server = StreamingServer()
    left = list(scripts)

    async def talk(stream: anyio.abc.SocketStream) -> None:
        server.connections += 1
        while (body := await _read_request(stream)) is not None:
            server.bodies.append(body)
            for step in left.pop(0) if len(left) > 1 else left[0]:
                if isinstance(step, bytes):
                    await stream.send(step)
                elif isinstance(step, anyio.Event):
                    await step.wait()
                elif step == WAIT:
                    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                        await stream.receive()
                    server.left.set()
                    return
                else:
                    if step == RESET:
                        _reset(stream)
                    return
        server.gone.set()

    async with serve_streams(talk) as port:
        server.base_url = f"http://127.0.0.1:{port}/v1"
        yield server


async def _read_request(stream: anyio.abc.SocketStream) -> dict[str, Any] | None:
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            data += await stream.receive()
        except anyio.EndOfStream:
            return None
    head, _, body = data.partition(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < size:
        body += await stream.receive()
    return dict(json.loads(body))


def _reset(stream: anyio.abc.SocketStream) -> None:
    raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610 (no Django here)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
