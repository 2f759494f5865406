"""The time to the first token of a stream, in a process of its own.

`python first_token.py CLIENT REQUESTS URL` prints one line of JSON: the median seconds
from when the request is made to the first text, over a connection that is open.
"""

# A process loads the client that it measures, and no other.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import json
import re
import socket
import statistics
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from streams import KEY, MODEL, PROMPT, request_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# Asks that many times, and returns lists of seconds by the name of their row.
Case: TypeAlias = "Callable[[str, int], Awaitable[dict[str, list[float]]]]"

TOKENS = 8
_WARM = 50

# A chunk of vLLM's that has text, rather than only the role, has this in it.
_TEXT = b'"delta":{"content":"'
_END = b"\r\n0\r\n\r\n"
_AT_ONCE = 65_536

RAW = "a socket, by hand"
OWN = "limin, by `time_to_first_token`"


async def _request(url: str) -> bytes:
    """Return limin's request, byte for byte but for the port of the `Host` header."""
    import limin

    parts: list[bytes] = []

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        assert size is not None
        parts.append(head + await reader.readexactly(int(size[1])))
        writer.close()

    async with await asyncio.start_server(record, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        base_url = f"http://127.0.0.1:{port}{urlsplit(url).path}"
        async with limin.Client(base_url=base_url, api_key=KEY) as client:
            with suppress(limin.LiminError):
                await client.generate_text_completion(
                    PROMPT, model=MODEL, max_tokens=TOKENS, stream=True, max_retries=0
                )
    return parts[0].replace(b":%d" % port, b":%d" % (urlsplit(url).port or 80))


async def raw_socket(url: str, n_requests: int) -> dict[str, list[float]]:
    """The least that an event loop has to do."""
    request, parts = await _request(url), urlsplit(url)
    loop, opened = asyncio.get_running_loop(), socket.socket()
    opened.setblocking(False)  # noqa: FBT003 (a method of Python's own)
    await loop.sock_connect(opened, (parts.hostname, parts.port))
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    took = []
    for _ in range(n_requests):
        start, received = time.perf_counter(), b""
        await loop.sock_sendall(opened, request)
        while _TEXT not in received:
            received += await loop.sock_recv(opened, _AT_ONCE)
        took.append(time.perf_counter() - start)
        while not received.endswith(_END):
            received += await loop.sock_recv(opened, _AT_ONCE)
    opened.close()
    return {RAW: took}


async def limin_client(url: str, n_requests: int) -> dict[str, list[float]]:
    """The client of limin, whose `async with` sends the request."""
    import limin

    took, own = [], []
    async with limin.Client(base_url=url, api_key=KEY) as client:
        for _ in range(n_requests):
            start = time.perf_counter()
            async with client.stream_text_completion(
                PROMPT, model=MODEL, max_tokens=TOKENS
            ) as stream:
                first = await anext(stream)
                took.append(time.perf_counter() - start)
                assert first.text
                timing = (await stream.until_done()).timing
            assert timing.time_to_first_token is not None
            own.append(timing.time_to_first_token)
    return {"limin": took, OWN: own}


async def openai_client(url: str, n_requests: int) -> dict[str, list[float]]:
    """OpenAI's own client."""
    import openai

    took = []
    options = request_body(TOKENS, None)
    async with openai.AsyncOpenAI(base_url=url, api_key=KEY) as client:
        for _ in range(n_requests):
            start, has_text = time.perf_counter(), False
            async for chunk in await client.chat.completions.create(**options):
                if not has_text and chunk.choices and chunk.choices[0].delta.content:
                    took.append(time.perf_counter() - start)
                    has_text = True
    return {"openai": took}


CASES: dict[str, Case] = {
    RAW: raw_socket,
    "limin": limin_client,
    "openai": openai_client,
}


def main(name: str, n_requests: int, url: str) -> None:
    """Measure one client."""
    seconds = asyncio.run(CASES[name](url, _WARM + n_requests))
    medians = {row: statistics.median(took[_WARM:]) for row, took in seconds.items()}
    sys.stdout.write(json.dumps(medians) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
