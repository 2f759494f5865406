"""One client under one load, in a process of its own.

`python clients.py CLIENT PARALLEL URL` prints one line of JSON. Every client draws
its prompts from one lazy source, *n* at a time, and the source holds the clock: so
limin's public function is timed exactly as the loops written by hand are.
"""

# A process loads the client that it measures, and no other.
# ruff: noqa: PLC0415

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
from server import ANSWER, raise_file_limit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    import httpx

# Long enough for a steady figure, short enough for
# many rounds.
SECONDS_MEASURED = 1.2
_FEWEST_WARM = 200

_PROMPT = "What is the capital of France?"
_MODEL = "m"
_KEY = "a-key"

Case: TypeAlias = "Callable[[str, Iterator[str], int], Awaitable[list[str]]]"


class Prompts:
    """A source of prompts that times its consumers.

    The clock runs from the first prompt after the warm-up to the end of the prompts: as
    many requests are in flight at its start as at its end, and all connections are
    open.
    """

    def __init__(self, n_parallel: int) -> None:
        """Make prompts for *n_parallel* workers."""
        self._n_parallel = n_parallel
        self._warm = max(_FEWEST_WARM, n_parallel * 3 // 2)
        self.taken = 0
        self.cpu_seconds = 0.0
        self.seconds = 0.0
        self.warm_cpu_seconds = 0.0

    def __iter__(self) -> Iterator[str]:
        """Yield the prompts of the warm-up, then those that are timed."""
        cold_cpu = time.process_time()
        for _ in range(self._warm):
            yield _PROMPT
        start, start_cpu = time.perf_counter(), time.process_time()
        self.warm_cpu_seconds = start_cpu - cold_cpu
        end = start + SECONDS_MEASURED
        while self.taken < self._n_parallel or time.perf_counter() < end:
            self.taken += 1
            yield _PROMPT
        self.cpu_seconds = time.process_time() - start_cpu
        self.seconds = time.perf_counter() - start

    def result(self) -> dict[str, float]:
        """Return the figures of the clock."""
        return {
            "requests": self.taken,
            "first_cpu_us": self.warm_cpu_seconds / self._warm * 1e6,
            "cpu_us": self.cpu_seconds / self.taken * 1e6,
            "per_second": self.taken / self.seconds,
        }


def _body(prompt: str) -> dict[str, Any]:
    return {"model": _MODEL, "messages": [{"role": "user", "content": prompt}]}


def _text(completion: Any) -> str:
    text: str = completion["choices"][0]["message"]["content"]
    return text


async def _work(
    ask: Callable[[str], Awaitable[str]], prompts: Iterator[str], n_parallel: int
) -> list[str]:
    """Return the texts that *ask* brings, by *n_parallel* workers."""
    texts: list[str] = []

    async def work() -> None:
        for prompt in prompts:
            texts.append(await ask(prompt))  # noqa: PERF401 (workers share the list)

    async with anyio.create_task_group() as tasks:
        for _ in range(n_parallel):
            tasks.start_soon(work)
    return texts


async def limin_function(url: str, prompts: Iterator[str], n_parallel: int) -> list[str]:
    """The public function of limin."""
    import limin

    completions = await limin.generate_text_completions(
        prompts, n_parallel, show_progress=False, model=_MODEL, base_url=url, api_key=_KEY
    )
    return [completion.message for completion in completions]


async def limin_replicas(url: str, prompts: Iterator[str], n_parallel: int) -> list[str]:
    """The public function of limin over three replicas, all of them one server."""
    import limin

    urls = [limin.Endpoint(url, headers={"x-replica": f"{n}"}) for n in range(3)]
    completions = await limin.generate_text_completions(
        prompts, n_parallel, show_progress=False, model=_MODEL, base_url=urls, api_key=_KEY
    )
    return [completion.message for completion in completions]


async def limin_transport(url: str, prompts: Iterator[str], n_parallel: int) -> list[str]:
    """A loop over httpx with limin's connection pool."""
    import httpx

    import limin

    return await _ask_httpx(
        httpx.AsyncClient(transport=limin.AsyncHTTPTransport()), url, prompts, n_parallel
    )


async def aiohttp_loop(url: str, prompts: Iterator[str], n_parallel: int) -> list[str]:
    """A loop over aiohttp, and json for the rest."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0)
    headers = {"Authorization": f"Bearer {_KEY}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def ask(prompt: str) -> str:
            completions = f"{url}/chat/completions"
            async with session.post(completions, json=_body(prompt)) as response:
                return _text(json.loads(await response.read()))

        return await _work(ask, prompts, n_parallel)


async def httpx_default(url: str, prompts: Iterator[str], n_parallel: int) -> list[str]:
    """The `AsyncClient` of httpx with its defaults."""
    import httpx

    return await _ask_httpx(httpx.AsyncClient(), url, prompts, n_parallel)


async def _ask_httpx(
    client: httpx.AsyncClient, url: str, prompts: Iterator[str], n_parallel: int
) -> list[str]:
    headers = {"Authorization": f"Bearer {_KEY}"}

    async def ask(prompt: str) -> str:
        response = await client.post(
            f"{url}/chat/completions", json=_body(prompt), headers=headers
        )
        return _text(response.json())

    async with client:
        return await _work(ask, prompts, n_parallel)


async def openai_default(url: str, prompts: Iterator[str], n_parallel: int) -> list[str]:
    """OpenAI's own client with its defaults."""
    import openai

    async with openai.AsyncOpenAI(base_url=url, api_key=_KEY) as client:
        return await _ask_openai(client, prompts, n_parallel)


async def openai_aiohttp(url: str, prompts: Iterator[str], n_parallel: int) -> list[str]:
    """OpenAI's own client over aiohttp."""
    import openai

    transport = openai.DefaultAioHttpClient()
    async with openai.AsyncOpenAI(
        base_url=url, api_key=_KEY, http_client=transport
    ) as client:
        return await _ask_openai(client, prompts, n_parallel)


async def _ask_openai(client: Any, prompts: Iterator[str], n_parallel: int) -> list[str]:
    async def ask(prompt: str) -> str:
        completion = await client.chat.completions.create(**_body(prompt))
        text: str = completion.choices[0].message.content
        return text

    return await _work(ask, prompts, n_parallel)


# By the name of each row of the report: the client, and the event loop.
CASES: dict[str, tuple[Case, str]] = {
    "limin": (limin_function, "asyncio"),
    "limin, three replicas": (limin_replicas, "asyncio"),
    "limin on trio": (limin_function, "trio"),
    "limin's transport, by hand": (limin_transport, "asyncio"),
    "aiohttp, by hand": (aiohttp_loop, "asyncio"),
    "httpx": (httpx_default, "asyncio"),
    "openai": (openai_default, "asyncio"),
    "openai with its aiohttp client": (openai_aiohttp, "asyncio"),
}


def main(name: str, n_parallel: int, url: str) -> None:
    """Measure one client under one load."""
    raise_file_limit()
    case, backend = CASES[name]
    prompts = Prompts(n_parallel)
    texts = anyio.run(case, url, iter(prompts), n_parallel, backend=backend)
    assert set(texts) == {ANSWER}
    sys.stdout.write(json.dumps(prompts.result()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
