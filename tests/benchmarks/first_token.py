"""How long the first token of a stream takes, in a process of its own.

`python first_token.py CLIENT REQUESTS URL` prints one line of JSON: the median seconds
from when the request is made to the first text, over a connection that is open.
"""

# A process loads the client that it measures, and no other.
# ruff: noqa: PLC0415

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import sys
import time
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from streams import KEY, MODEL, PROMPT, request_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# Asks so many times, and returns lists of seconds, by what they are of.
Case: TypeAlias = "Callable[[str, int], Awaitable[dict[str, list[float]]]]"

TOKENS = 8
_WARM = 50

# Text, and no role alone, is what vLLM's chunks hold after this.
_TEXT = b'"delta":{"content":"'
_END = b"\r\n0\r\n\r\n"
_AT_ONCE = 65_536

RAW = "a socket, by hand"
OWN = "limin, by `time_to_first_token`"


def _request(url: str) -> bytes:
    """What limin sends, byte for byte."""
    from limin import Conversation, ModelConfiguration
    from limin.transport.http import HttpTransport
    from limin.values.endpoint import Endpoint, Limits
    from limin.wire.request import RequestEncoder

    transport = HttpTransport(Endpoint.resolve(url, KEY), Limits())
    asked = ModelConfiguration(model=MODEL, max_tokens=TOKENS, stream=True)
    conversation = Conversation.from_prompts(PROMPT)
    return transport._request(RequestEncoder.of(asked).encode(conversation))


async def raw_socket(url: str, n_requests: int) -> dict[str, list[float]]:
    """No more than the event loop must do."""
    request, parts = _request(url), urlsplit(url)
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

    took, told = [], []
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
            told.append(timing.time_to_first_token)
    return {"limin": took, OWN: told}


async def openai_client(url: str, n_requests: int) -> dict[str, list[float]]:
    """OpenAI's own client."""
    import openai

    took = []
    asked = request_body(TOKENS, None)
    async with openai.AsyncOpenAI(base_url=url, api_key=KEY) as client:
        for _ in range(n_requests):
            start, has_text = time.perf_counter(), False
            async for chunk in await client.chat.completions.create(**asked):
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
    found = asyncio.run(CASES[name](url, _WARM + n_requests))
    medians = {kind: statistics.median(took[_WARM:]) for kind, took in found.items()}
    sys.stdout.write(json.dumps(medians) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
