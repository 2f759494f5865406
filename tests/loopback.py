"""A raw server on loopback: for tests where bytes, order and timing matter."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import attrs
from anyio.streams.buffered import BufferedByteReceiveStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable


@attrs.define
class Request:
    """One request, as it arrived."""

    head: bytes
    body: bytes
    connection: int

    @property
    def prompt(self) -> str:
        """The content of the last message."""
        content: str = json.loads(self.body)["messages"][-1]["content"]
        return content


@attrs.define
class Loopback:
    """A running server, and the requests that reached it so far."""

    base_url: str = ""
    requests: list[Request] = attrs.field(factory=list)
    connections: int = 0
    in_flight: int = 0
    most_in_flight: int = 0


def completion(text: str, **fields: object) -> bytes:
    """Return the body of a response with one choice."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    choice |= {"finish_reason": "stop"}
    return json.dumps({"id": "c", "choices": [choice], **fields}).encode()


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    """Return the bytes of an HTTP response."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


async def echo(request: Request) -> bytes:
    """Answer each prompt with its own text."""
    return http(completion(request.prompt))


@asynccontextmanager
async def serve(
    respond: Callable[[Request], Awaitable[bytes | None]] = echo,
) -> AsyncGenerator[Loopback]:
    """Run a server that sends the result of *respond*, and closes at None."""
    server = Loopback()

    async def talk(stream: anyio.abc.SocketStream) -> None:
        server.connections += 1
        number = server.connections
        buffered = BufferedByteReceiveStream(stream)
        while reply := await _answer(server, buffered, number, respond):
            await stream.send(reply)

    async with serve_streams(talk) as port:
        server.base_url = f"http://127.0.0.1:{port}/v1"
        yield server


@asynccontextmanager
async def serve_streams(
    talk: Callable[[anyio.abc.SocketStream], Awaitable[None]],
) -> AsyncGenerator[int]:
    """Run a server that calls *talk* for each connection; yield its port."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", backlog=1024)

    async def handle(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            try:
                await talk(stream)
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                return

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 (no Django here)
        tasks.cancel_scope.cancel()


async def _answer(
    server: Loopback,
    stream: BufferedByteReceiveStream,
    number: int,
    respond: Callable[[Request], Awaitable[bytes | None]],
) -> bytes | None:
    head = await stream.receive_until(b"\r\n\r\n", 65536)
    lines = head.decode().lower().split("\r\n")
    sizes = (line[15:] for line in lines if line.startswith("content-length:"))
    size = next(sizes, "0")  # A GET has none.
    request = Request(head, await stream.receive_exactly(int(size)), number)
    server.requests.append(request)
    server.in_flight += 1
    server.most_in_flight = max(server.most_in_flight, server.in_flight)
    try:
        return await respond(request)
    finally:
        server.in_flight -= 1
