"""A scripted endpoint: a real server on loopback that answers as a test says."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, TypeAlias
from urllib.parse import urlsplit

import anyio
from anyio.abc import SocketAttribute

from limin.errors import ConfigurationError
from limin.testing.answers import Refusal, Reply
from limin.testing.bodies import models_body
from limin.testing.connection import serve_connection
from limin.testing.requests import Request, read_request
from limin.testing.responses import refused, to_response, whole
from limin.values.checks import describe_type
from limin.values.endpoint import hide_secret_path
from limin.values.safe_text import excerpt

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from anyio.abc import SocketStream

    from limin.testing.connection import HttpRequest, Reaction
    from limin.testing.responses import Response

Script: TypeAlias = (
    "Iterable[Reply] | Callable[[Request], Reply] | Callable[[Request], Awaitable[Reply]]"
)

_KINDS = "an Answer, Refusal, Stream, Silence, Garbage or Quirk"

# What ends the test itself, and not only the function that raised it.
_INTERRUPTS = (KeyboardInterrupt, SystemExit, GeneratorExit)

# Not sent again by limin, nor by OpenAI's package.
_OFF_SCRIPT = 400


class ScriptedEndpoint:
    """A running endpoint, and the requests that reached it.

    Attributes:
        base_url: URL of the endpoint, to pass as `base_url`.
        requests: The requests so far, in the order in which they arrived.
    """

    def __init__(self, base_url: str) -> None:
        """Describe the endpoint at *base_url*; `scripted_endpoint` starts one."""
        self.base_url = base_url
        self.requests: list[Request] = []

    def __repr__(self) -> str:
        """Return the URL, without a secret in it, and the number of requests."""
        shown = hide_secret_path(self.base_url)
        return f"<ScriptedEndpoint {shown}, {len(self.requests)} requests>"


class OffScriptError(Exception):
    """A request to which there is no answer; its text says why."""


class Responder(Protocol):
    """Says how to answer requests, in the order of their arrival."""

    async def respond(self, request: Request) -> Reaction:
        """Return the answer to *request*.

        Raises:
            OffScriptError: If there is none.
        """
        ...

    def unused(self) -> list[str]:
        """Return what is wrong at the end of the test: answers that nobody asked for."""
        ...


@asynccontextmanager
async def scripted_endpoint(script: Script) -> AsyncGenerator[ScriptedEndpoint]:
    """Start a server on a free loopback port that answers as *script* says.

    It speaks HTTP/1.1, and takes `POST .../chat/completions` from any client. The list of
    models, at `/models`, has one model, and is no request of the script. Time is that of
    the event loop, so that a virtual clock works.

    Args:
        script: The answers in the order in which the requests arrive; or a function,
            sync or async, that is called with each request and returns its answer.

    Yields:
        The endpoint.

    Raises:
        ConfigurationError: If *script* is none.
        AssertionError: At the end of the block, if a request had no answer, or an answer
            was not asked for. An error of the block itself is raised as it is. The
            request was answered with status 400, which is not retried.
        BaseException: Whatever the function raised, at the end of the block; also by
            `pytest.fail` or `pytest.skip`.
    """
    responder = _FunctionScript(script) if callable(script) else _ListScript(script)
    async with run_endpoint(responder) as endpoint:
        yield endpoint


class _ListScript:
    """The answers of a list, each for one request."""

    def __init__(self, script: Iterable[Reply]) -> None:
        if isinstance(script, str) or not isinstance(script, Iterable):
            expected = "script: expected a list of answers or a function of the request"
            problem = f"{expected}, found {describe_type(script)}"
            raise ConfigurationError(problem)
        self._answers = deque(script)
        for index, answer in enumerate(self._answers):
            if not isinstance(answer, Reply):
                found = describe_type(answer)
                problem = f"script[{index}]: expected {_KINDS}, found {found}"
                raise ConfigurationError(problem)
        self._size = len(self._answers)

    async def respond(self, request: Request) -> Reaction:
        if not self._answers:
            problem = f"the script has {_count(self._size, 'answer')}"
            raise OffScriptError(problem)
        return to_response(self._answers.popleft(), request)

    def unused(self) -> list[str]:
        if not self._answers:
            return []
        kinds = ", ".join(type(answer).__name__ for answer in self._answers)
        total = _count(self._size, "answer")
        return [f"{len(self._answers)} of {total} not asked for: {kinds}"]


class _FunctionScript:
    """The answers that a function returns."""

    def __init__(
        self, function: Callable[[Request], Reply] | Callable[[Request], Awaitable[Reply]]
    ) -> None:
        self._function = function

    async def respond(self, request: Request) -> Reaction:
        result: object = self._function(request)
        reply = await result if isinstance(result, Awaitable) else result
        if not isinstance(reply, Reply):
            found = describe_type(reply)
            problem = f"the script's function: expected {_KINDS}, found {found}"
            raise ConfigurationError(problem)
        return to_response(reply, request)

    def unused(self) -> list[str]:
        return []


def _path_of(target: str) -> str:
    """Return the path in the *target* of a request; empty if that is no URL."""
    try:
        return urlsplit(target).path
    except ValueError:
        return ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


@asynccontextmanager
async def run_endpoint(
    responder: Responder, *, prefix: str = ""
) -> AsyncGenerator[ScriptedEndpoint]:
    """Run a server that answers as *responder* says, at paths that begin with *prefix*.

    Raises:
        AssertionError: At the end of the block, as `scripted_endpoint` does.
    """
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", backlog=1024)
    async with listener:
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 (no Django here)
        endpoint = ScriptedEndpoint(f"http://127.0.0.1:{port}{prefix}/v1")
        server = _Server(responder, endpoint, f"{prefix}/v1")
        # Left as if without an error, the group does not wrap that of the block.
        tasks = anyio.create_task_group()
        await tasks.__aenter__()
        tasks.start_soon(listener.serve, server.handle)
        try:
            yield endpoint
        except BaseException as error:  # pytest's own are no Exception.
            server.add_notes(error)
            raise
        finally:
            tasks.cancel_scope.cancel()
            await tasks.__aexit__(None, None, None)
        server.check()


class _Server:
    """Answers the connections of one endpoint, and notes what was off the script."""

    def __init__(self, responder: Responder, endpoint: ScriptedEndpoint, root: str) -> None:
        self._responder, self._endpoint, self._root = responder, endpoint, root
        self._faults: list[str] = []
        self._error: BaseException | None = None

    async def handle(self, stream: SocketStream) -> None:
        """Answer the requests of one connection until either side closes it."""
        async with stream:
            try:
                await serve_connection(stream, self._answer, self._refuse)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    def add_notes(self, error: BaseException) -> None:
        """Add to *error* of the test what was off the script, which may be its reason."""
        if self._error is not None:
            found = f"{type(self._error).__name__}: {excerpt(str(self._error))}"
            error.add_note(f"limin.testing: the script's function raised {found}")
        for fault in self._faults:
            error.add_note(f"limin.testing: {fault}")

    def check(self) -> None:
        """Fail the test if anything was off the script.

        Raises:
            AssertionError: If a request had no answer, or an answer no request.
            BaseException: What the script's function raised.
        """
        if self._error is not None:
            raise self._error
        problems = self._faults + self._responder.unused()
        if problems:
            raise AssertionError("limin.testing: " + "; ".join(problems))

    async def _answer(self, request: HttpRequest) -> Reaction:
        path = _path_of(request.target)
        if path == f"{self._root}/models" and request.method in {"GET", "HEAD"}:
            return whole(models_body())
        if path != f"{self._root}/chat/completions":
            return self._refuse(404, "expected a request to .../chat/completions")
        if request.method != "POST":
            return self._refuse(405, "expected a POST")
        asked = read_request(request.body, request.headers)
        if asked is None:
            return self._refuse(400, "expected a JSON object with messages")
        return await self._respond(asked)

    async def _respond(self, request: Request) -> Reaction:
        self._endpoint.requests.append(request)
        number = len(self._endpoint.requests)
        try:
            return await self._responder.respond(request)
        except OffScriptError as error:
            return self._refuse(_OFF_SCRIPT, f"request {number} has no answer: {error}")
        except BaseException as error:  # Those of pytest.fail and skip are no Exception.
            if isinstance(error, (*_INTERRUPTS, anyio.get_cancelled_exc_class())):
                raise
            self._error = self._error or error
            return self._refuse(_OFF_SCRIPT, "the script's function raised an error")

    def _refuse(self, status: int, fault: str) -> Response:
        """Return the response to a request that fails the test, because of *fault*."""
        self._faults.append(fault)
        return refused(Refusal(status, f"limin.testing: {fault}"))
