"""What the programs of this folder have in common: a client that asks once.

Each program is a process of its own, so that what a tool patches stays there. Its
argument is a JSON object, a `Case`; its last line of output is another, a `Report`.
"""

# The moment of each import is a part of the case.
# ruff: noqa: PLC0415

from __future__ import annotations

import json
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol

import anyio
import attrs
from ecosystem.answers import Mode, text_of_body

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from contextlib import AbstractContextManager

BEFORE, INSIDE, ALL_INSIDE = "before", "inside", "all inside"

KEY, MODEL, PROMPT = "a-key", "m", "What is the capital of France?"


@attrs.frozen(kw_only=True)
class Case:
    """What one process tries.

    Attributes:
        subject: The client that asks: limin's, or a plain one as a control.
        mode: Whether the answer is asked for as a whole or as a stream.
        order: When the client is made: `BEFORE` the tool is switched on, `INSIDE`, or
            inside and so that the first import of limin and httpx is there too
            (`ALL_INSIDE`), as far as the tool does not import httpx itself.
        variant: What the program does, if it can do several things.
        base_url: The base URL of the real server.
        folder: An empty folder, for files.
    """

    subject: Literal["limin", "httpx"]
    mode: Mode
    order: str
    variant: str
    base_url: str
    folder: str

    @property
    def url(self) -> str:
        """The URL that is asked."""
        return f"{self.base_url}/chat/completions"


@attrs.frozen
class Report:
    """What became of it.

    Attributes:
        seen: Whether the tool saw the request and its answer.
        detail: What the tool recorded, for a person to read.
        text: The text that the client returned.
    """

    seen: bool
    detail: str
    text: str


class Asks(Protocol):
    """A client that asks one question."""

    async def ask(self) -> str:
        """Return the answer's text."""
        ...


@attrs.frozen
class LiminAsks:
    """limin's client, by its public methods."""

    client: Any
    mode: Mode

    async def ask(self) -> str:
        """Return the answer's text."""
        if self.mode == "whole":
            completion = await self.client.generate_text_completion(PROMPT, model=MODEL)
            text: str = completion.message
            return text
        async with self.client.stream_text_completion(PROMPT, model=MODEL) as stream:
            return "".join([delta.text async for delta in stream])


@attrs.frozen
class HttpxAsks:
    """The control: the same request by a plain `httpx.AsyncClient`."""

    client: Any
    mode: Mode
    url: str

    async def ask(self) -> str:
        """Return the answer's text."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}]}
        headers = {"Authorization": f"Bearer {KEY}"}
        if self.mode == "whole":
            response = await self.client.post(self.url, json=body, headers=headers)
            return text_of_body(self.mode, response.content)
        options = {"json": body | {"stream": True}, "headers": headers}
        async with self.client.stream("POST", self.url, **options) as response:
            raw = b"".join([piece async for piece in response.aiter_bytes()])
        return text_of_body(self.mode, raw)


@asynccontextmanager
async def open_client(case: Case, http_client: Any = None) -> AsyncGenerator[Asks]:
    """Make the client of *case*, over *http_client* if there is one."""
    if case.subject == "limin":
        import limin

        async with limin.Client(case.base_url, KEY, http_client=http_client) as client:
            yield LiminAsks(client, case.mode)
        return
    import httpx

    if http_client is not None:
        yield HttpxAsks(http_client, case.mode, case.url)
        return
    async with httpx.AsyncClient() as client:
        yield HttpxAsks(client, case.mode, case.url)


@asynccontextmanager
async def open_client_with(
    case: Case, tool: AbstractContextManager[Any]
) -> AsyncGenerator[tuple[Asks, Any]]:
    """Make the client and enter *tool*, in the order of *case*."""
    async with AsyncExitStack() as stack:
        if case.order == BEFORE:
            client = await stack.enter_async_context(open_client(case))
            yield client, stack.enter_context(tool)
            return
        if case.order == INSIDE:
            async with open_client(case):
                """Load limin and httpx."""
        entered = stack.enter_context(tool)
        yield await stack.enter_async_context(open_client(case)), entered


def main(program: Callable[[Case], Awaitable[Report]]) -> None:
    """Run *program* on the case of the command line, and print its report."""
    case = Case(**json.loads(sys.argv[1]))
    print_report(anyio.run(program, case))


def print_report(report: Report) -> None:
    """Print *report* as the last line of this program."""
    sys.stdout.write("\n" + json.dumps(attrs.asdict(report)) + "\n")
