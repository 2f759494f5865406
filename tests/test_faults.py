"""Two thousand prompts to a server that fails in every way it can, by a seeded plan."""

from __future__ import annotations

import json
import random
import socket
import struct
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import anyio
import attrs
from loopback import completion, http

import limin
from limin import Client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

Result: TypeAlias = limin.TextCompletion | limin.LiminError

SEED = 20_261_124
PROMPTS = 2_000
RETRIES = 4
# The deadline of a completion: how long the stalls take, all at the same time.
SECONDS = 6.0

HTML = b"<html><head><title>Bad Gateway</title></head><body>nginx</body></html>"
WHOLE = http(completion("x" * 500))

# The bytes of the server, and whether it closes the connection afterwards.
ANSWERS = {
    "closed before the answer": (b"", True),
    "cut off in the head": (WHOLE[:20], True),
    "cut off in the body": (WHOLE[:300], True),
    "garbage": (b"\x00\x16\x03 SSH-2.0-teapot\r\n\r\n", True),
    "500": (http(b'{"error":{"message":"oops"}}', "500 Oops"), False),
    "502 of HTML": (http(HTML, "502 Bad Gateway", "Content-Type: text/html\r\n"), False),
    "503, and closed": (http(b"", "503 Busy", "Connection: close\r\n"), True),
    "429": (http(b'{"error":{"message":"slower"}}', "429 Slow"), False),
    "429 with a wait": (http(b"{}", "429 Slow", "retry-after-ms: 1\r\n"), False),
    "429 with no wait": (http(b"{}", "429 Slow", "Retry-After: 0\r\n"), False),
    "400": (http(b'{"error":{"message":"no"}}', "400 Bad Request"), False),
    "200 of HTML": (http(HTML, headers="Content-Type: text/html\r\n"), False),
}
RESETS = {"reset before the answer": b"", "reset in the answer": WHOLE[:300]}
STALL = "stall"

# The error that the client sees for each fault.
ERRORS: dict[str | None, type[limin.LiminError] | None] = {
    None: None,
    "reset before the answer": limin.TransportError,
    "reset in the answer": limin.TransportError,
    "closed before the answer": limin.ProtocolError,
    "cut off in the head": limin.ProtocolError,
    "cut off in the body": limin.ProtocolError,
    "garbage": limin.ProtocolError,
    "500": limin.ServerError,
    "502 of HTML": limin.ServerError,
    "503, and closed": limin.ServerError,
    "429": limin.RateLimitError,
    "429 with a wait": limin.RateLimitError,
    "429 with no wait": limin.RateLimitError,
    "400": limin.BadRequestError,
    "200 of HTML": limin.ResponseError,
    STALL: limin.RequestTimeoutError,
}
PASSING = [
    "reset before the answer",
    "reset in the answer",
    "closed before the answer",
    "cut off in the head",
    "cut off in the body",
    "500",
    "502 of HTML",
    "503, and closed",
]
LASTING = ["400", "200 of HTML", "garbage"]
# Each of them lets all requests wait, so they are few, and near each other.
TOO_MANY = ["429", "429 with a wait", "429 with no wait"]


def plan(seed: int) -> list[list[str]]:
    """Draw the faults that each prompt meets, in order, before it gets its answer."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    faults = []
    for _ in range(PROMPTS):
        unlucky = 0.9 if chance.random() < 0.03 else 0.2
        mine = []
        while chance.random() < unlucky and len(mine) < 2 * RETRIES:
            mine.append(chance.choice(PASSING))
        if chance.random() < 0.02:
            mine.append(chance.choice(LASTING))
        faults.append(mine)
    for index in chance.sample(range(PROMPTS // 2), 8):
        before = [fault for fault in faults[index] if fault in PASSING]
        faults[index] = [*before[:2], STALL]
    refused = chance.sample(range(PROMPTS - 50, PROMPTS), 6)
    for index, fault in zip(refused, 2 * TOO_MANY, strict=True):
        faults[index].insert(0, fault)
    faults[-9] = ["429"] * 9
    return faults


@attrs.frozen
class Served:
    """One request, and the fault that it met; None is a completion."""

    fault: str | None
    number: int


@attrs.define
class FaultyServer:
    """Serves the faults of the plan to each prompt, and keeps a log by prompt."""

    faults: list[list[str]]
    log: list[list[Served]]
    base_url: str = ""
    requests: int = 0
    connections: int = 0

    async def talk(self, stream: socket.socket) -> None:
        """Answer the requests of one connection, until it ends."""
        self.connections += 1
        with stream:
            while (prompt := await _read_prompt(stream)) is not None:
                fault = next(iter(self.faults[prompt][len(self.log[prompt]) :]), None)
                self.requests += 1
                self.log[prompt].append(Served(fault, self.requests))
                if fault in RESETS:
                    stream.send(RESETS[fault])
                    _close_by_reset(stream)
                    return
                text = f"answer {prompt} of request {self.requests}"
                last = http(completion(text)), False
                if fault != STALL:
                    answer, closed = ANSWERS[fault] if fault else last
                    stream.send(answer)
                    if closed:
                        return


async def _read_prompt(stream: socket.socket) -> int | None:
    """Read the number of the next prompt; None if the client closed."""
    data = b""
    while True:
        await anyio.wait_readable(stream)
        try:
            more = stream.recv(65_536)
        except ConnectionResetError:  # It was closed before it had read all.
            return None
        if not more:
            return None
        data += more
        head, separator, body = data.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        sizes = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
        if separator and len(body) == sizes[0]:
            return int(json.loads(body)["messages"][-1]["content"])


def _close_by_reset(stream: socket.socket) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()


@asynccontextmanager
async def serve_faults(faults: list[list[str]]) -> AsyncGenerator[FaultyServer]:
    """Serve *faults*; at the end wait for the client to close every connection."""
    server = FaultyServer(faults, [[] for _ in faults])
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.setblocking(False)  # noqa: FBT003 (a method of Python's own)
        server.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"

        async def accept() -> None:
            while True:
                await anyio.wait_readable(listener)
                stream, _ = listener.accept()
                stream.setblocking(False)  # noqa: FBT003 (the same)
                connections.start_soon(server.talk, stream)

        async with anyio.create_task_group() as connections:
            async with anyio.create_task_group() as accepting:
                accepting.start_soon(accept)
                yield server
                accepting.cancel_scope.cancel()
            connections.cancel_scope.deadline = anyio.current_time() + 5.0
        assert not connections.cancel_scope.cancelled_caught, "a connection stayed open"


def errors_of_attempts(result: Result) -> list[type[limin.LiminError] | None]:
    """Return the class of each attempt's error; None for success."""
    if isinstance(result, limin.TextCompletion):
        attempts = result.timing.attempts
    else:
        attempts = result.attempts
    return [type(attempt.error) if attempt.error else None for attempt in attempts]


def outcome(result: Result) -> str | type[limin.LiminError]:
    """Return the text of a completion, or the class of an error."""
    return result.message if isinstance(result, limin.TextCompletion) else type(result)


def summary(results: Sequence[Result], server: FaultyServer) -> str:
    """Sum up the faults and the results."""
    served = Counter(
        request.fault for log in server.log for request in log if request.fault
    )
    names = Counter(type(result).__name__ for result in results)
    good = names.pop("TextCompletion")
    return (
        f"{len(results)} prompts: {good} completions, {names.total()} errors "
        f"({_listed(names)}); {server.requests} requests over {server.connections} "
        f"connections; "
        f"{served.total()} faults: {_listed(served)}"
    )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.most_common())


async def test_every_prompt_gets_the_last_answer_of_the_server() -> None:
    """Whatever fails, each result has its index and lists each request."""
    prompts = [str(n) for n in range(PROMPTS)]
    async with (
        serve_faults(plan(SEED)) as server,
        Client(server.base_url, timeout=SECONDS, max_retries=RETRIES) as client,
    ):
        results = await client.generate_text_completions(
            prompts, n_parallel=64, on_error="return", show_progress=False
        )
    print("\n" + summary(results, server))  # noqa: T201 (pytest -s shows it)
    assert len(results) == PROMPTS
    for index, (result, log) in enumerate(zip(results, server.log, strict=True)):
        last = log[-1]
        text = f"answer {index} of request {last.number}"
        assert outcome(result) == (ERRORS[last.fault] if last.fault else text)
        attempts = [ERRORS[request.fault] for request in log]
        assert errors_of_attempts(result) == attempts, (index, log)
        assert len(attempts) <= 1 + RETRIES
    served = {request.fault for log in server.log for request in log}
    assert served == set(ERRORS), "the plan must hold every fault"


async def test_no_prompt_is_given_up_before_its_time() -> None:
    """With as many retries as there are transient faults, every prompt is answered."""
    faults = [mine[:RETRIES] for mine in plan(SEED + 1)[: PROMPTS // 4]]
    faults = [[fault for fault in mine if fault in PASSING] for mine in faults]
    async with (
        serve_faults(faults) as server,
        Client(server.base_url, max_retries=RETRIES) as client,
    ):
        answers = await client.generate_text_completions(
            [str(n) for n in range(len(faults))], n_parallel=64, show_progress=False
        )
    assert [answer.message.split(" of ")[0] for answer in answers] == [
        f"answer {n}" for n in range(len(faults))
    ]
    assert server.requests == len(faults) + sum(map(len, faults))
