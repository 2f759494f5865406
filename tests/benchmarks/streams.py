"""The cost of reading one long stream, in a process of its own.

`python streams.py CLIENT STREAM URL` prints one line of JSON.
"""

# A process loads the client that it measures, and no other.
# ruff: noqa: PLC0415

from __future__ import annotations

import gc
import json
import sys
import time
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import attrs
from recording import DONE, stream_body, tokens_of
from server import SLOWLY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    import httpx

# Reads a stream of so many tokens, and returns in how many pieces its text came.
Read: TypeAlias = "Callable[[int], Awaitable[int]]"
Measure: TypeAlias = "Callable[[Read], Awaitable[dict[str, float]]]"
Case: TypeAlias = "Callable[[str, int | None, Measure], Awaitable[dict[str, float]]]"

PROMPT, MODEL, KEY = "What is the capital of France?", "m", "a-key"

_TOKENS_WARM = 200
_TRIES = 3

# What a socket hands over at once.
_PIECE = 65_536

_DATA = b"data: "

# Of a client that reads from memory; nobody listens there.
_URL = "http://127.0.0.1/v1"


def request_body(n_tokens: int, alternatives: int | None) -> dict[str, Any]:
    """Return the body of a request for a stream, as OpenAI documents it."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": n_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if alternatives is not None:
        body |= {"logprobs": True, "top_logprobs": alternatives}
    return body


def text_of(chunk: Any) -> str:
    """Return the text that *chunk*, a dictionary, adds."""
    text = chunk["choices"][0]["delta"].get("content") if chunk["choices"] else None
    return text or ""


async def limin_stream(
    url: str,
    alternatives: int | None,
    measure: Measure,
    *,
    looks: bool = False,
    http_client: httpx.AsyncClient | None = None,
) -> dict[str, float]:
    """The client of limin: every delta, and the completion in the end."""
    import limin

    options: dict[str, Any] = {}
    if alternatives is not None:
        options = {"log_probs": True, "top_log_probs": alternatives}
    async with limin.Client(url, KEY, http_client=http_client) as client:

        async def read(n_tokens: int) -> int:
            texts = []
            async with client.stream_text_completion(
                PROMPT, model=MODEL, max_tokens=n_tokens, **options
            ) as stream:
                async for delta in stream:
                    if delta.text:
                        texts.append(delta.text)
                    if looks and delta.log_probs is not None:
                        assert delta.log_probs[0].alternatives
            assert stream.completion.message == "".join(texts)
            return len(texts)

        return await measure(read)


async def limin_looking(
    url: str, alternatives: int | None, measure: Measure
) -> dict[str, float]:
    """The client of limin, and each delta's log probabilities are read."""
    return await limin_stream(url, alternatives, measure, looks=True)


async def openai_stream(
    url: str, alternatives: int | None, measure: Measure
) -> dict[str, float]:
    """OpenAI's own client: every chunk."""
    import openai

    async with openai.AsyncOpenAI(base_url=url, api_key=KEY) as client:

        async def read(n_tokens: int) -> int:
            asked = request_body(n_tokens, alternatives)
            chunks = await client.chat.completions.create(**asked)
            texts = [
                chunk.choices[0].delta.content
                async for chunk in chunks
                if chunk.choices and chunk.choices[0].delta.content
            ]
            return len(texts)

        return await measure(read)


async def httpx_by_hand(
    url: str, alternatives: int | None, measure: Measure
) -> dict[str, float]:
    """Lines of httpx, and json for what is in them."""
    import httpx

    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as client:

        async def read(n_tokens: int) -> int:
            texts = []
            asked = request_body(n_tokens, alternatives)
            completions = f"{url}/chat/completions"
            async with client.stream("POST", completions, json=asked) as response:
                async for line in response.aiter_lines():
                    if not line.startswith("data: ") or line == "data: [DONE]":
                        continue
                    if text := text_of(json.loads(line[6:])):
                        texts.append(text)
            return len(texts)

        return await measure(read)


async def aiohttp_by_hand(
    url: str, alternatives: int | None, measure: Measure
) -> dict[str, float]:
    """Lines of aiohttp, and json for what is in them."""
    import aiohttp

    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def read(n_tokens: int) -> int:
            texts = []
            asked = request_body(n_tokens, alternatives)
            async with session.post(f"{url}/chat/completions", json=asked) as response:
                async for line in response.content:
                    data = line.removeprefix(_DATA).strip()
                    if data and data != DONE and (text := text_of(json.loads(data))):
                        texts.append(text)
            return len(texts)

        return await measure(read)


def _pieces(n_tokens: int, alternatives: int | None) -> list[bytes]:
    body = stream_body(n_tokens, alternatives)
    return [body[start : start + _PIECE] for start in range(0, len(body), _PIECE)]


async def limin_memory(
    _url: str, alternatives: int | None, measure: Measure
) -> dict[str, float]:
    """The client of limin over a transport of httpx that has the body already."""
    import httpx

    class InMemory(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            n_tokens = json.loads(request.content)["max_tokens"]

            async def pieces() -> AsyncGenerator[bytes]:
                for piece in _pieces(n_tokens, alternatives):
                    yield piece

            headers = {"Content-Type": "text/event-stream"}
            return httpx.Response(200, headers=headers, content=pieces())

    http_client = httpx.AsyncClient(transport=InMemory())
    return await limin_stream(_URL, alternatives, measure, http_client=http_client)


async def openai_memory(
    _url: str, alternatives: int | None, measure: Measure
) -> dict[str, float]:
    """The decoder of OpenAI's client, over bytes that are there already."""
    import httpx2
    import openai
    from openai.types.chat import ChatCompletionChunk

    client = openai.OpenAI(base_url=_URL, api_key=KEY)
    response = httpx2.Response(200)

    async def read(n_tokens: int) -> int:
        texts = []
        pieces = iter(_pieces(n_tokens, alternatives))
        for event in client._make_sse_decoder().iter_bytes(pieces):
            if event.data.startswith("[DONE]"):
                break
            chunk = client._process_response_data(
                data=event.json(), cast_to=ChatCompletionChunk, response=response
            )
            if chunk.choices and chunk.choices[0].delta.content:
                texts.append(chunk.choices[0].delta.content)
        return len(texts)

    return await measure(read)


async def json_memory(
    _url: str, alternatives: int | None, measure: Measure
) -> dict[str, float]:
    """Python's own parser, over bytes that are only cut into events."""

    async def read(n_tokens: int) -> int:
        events = b"".join(_pieces(n_tokens, alternatives)).split(b"\n\n")
        datas = (event.removeprefix(_DATA) for event in events if event)
        chunks = (json.loads(data) for data in datas if data != DONE)
        return len([text for chunk in chunks if (text := text_of(chunk))])

    return await measure(read)


# The names of each row of the report.
LOOKING = "limin, and looking at each log probability"
MEMORY = ", from memory"

CASES: dict[str, Case] = {
    "limin": limin_stream,
    LOOKING: limin_looking,
    "aiohttp, by hand": aiohttp_by_hand,
    "httpx, by hand": httpx_by_hand,
    "openai": openai_stream,
    f"limin{MEMORY}": limin_memory,
    f"json{MEMORY}": json_memory,
    f"openai{MEMORY}": openai_memory,
}


@attrs.frozen(kw_only=True)
class Stream:
    """One of the streams that are read.

    Attributes:
        chunks: Number of chunks.
        alternatives: Number at each position; None without log probabilities.
        path: The path under which the server sends this stream.
        clients: The names of the clients that read it.
    """

    chunks: int
    alternatives: int | None = None
    path: str = ""
    clients: tuple[str, ...]


TEXT, LOG_PROBS, ONE_BY_ONE = "text", "log probabilities", "text, one by one"

STREAMS = {
    TEXT: Stream(chunks=20_000, clients=tuple(name for name in CASES if name != LOOKING)),
    LOG_PROBS: Stream(chunks=20_000, alternatives=5, clients=tuple(CASES)),
    ONE_BY_ONE: Stream(
        chunks=1000,
        path=SLOWLY,
        clients=("limin", "aiohttp, by hand", "httpx, by hand", "openai"),
    ),
}


def main(name: str, stream: Stream, url: str) -> None:
    """Measure one client on one stream."""
    n_tokens = tokens_of(stream.chunks)
    size = len(stream_body(n_tokens, stream.alternatives))

    async def measure(read: Read) -> dict[str, float]:
        """Return the best of some readings; a short one opens the connection first."""
        await read(_TOKENS_WARM)
        cpu_seconds = seconds = float("inf")
        for _ in range(_TRIES):
            gc.collect()
            start, start_cpu = time.perf_counter(), time.process_time()
            assert await read(n_tokens) == n_tokens
            cpu_seconds = min(cpu_seconds, time.process_time() - start_cpu)
            seconds = min(seconds, time.perf_counter() - start)
        return {
            "cpu_us": cpu_seconds / stream.chunks * 1e6,
            "per_second": stream.chunks / seconds,
            "megabytes_per_second": size / 1e6 / seconds,
            "bytes": size,
        }

    base_url = url.replace("/v1", f"{stream.path}/v1")
    figures = anyio.run(CASES[name], base_url, stream.alternatives, measure)
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], STREAMS[sys.argv[2]], sys.argv[3])
