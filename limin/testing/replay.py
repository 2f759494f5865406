"""An endpoint that answers out of a recording, which is a checkpoint of limin's."""

from __future__ import annotations

import secrets
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from limin.checkpoint.file import Checkpoint
from limin.checkpoint.request import RecordedRequest, ShortBody
from limin.errors import LiminError, TransportError
from limin.json_text.lenient import parse_leniently
from limin.testing.answers import Refusal
from limin.testing.endpoint import OffScriptError, run_endpoint
from limin.testing.recordings import ReadRecording, digests_of, whole_body
from limin.testing.responses import as_asked, refused, whole
from limin.values.checks import check_choice
from limin.values.conversation import Conversation
from limin.values.endpoint import SECRET_PATH_START, Endpoint, Limits
from limin.values.headers import conceal
from limin.values.masking import mask_all, mask_body
from limin.values.timing import Attempt, Timing
from limin.wire.response import ReadingContext, read_completion

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Awaitable, Mapping

    from limin.checkpoint.line import RecordedAnswer
    from limin.testing.connection import Reaction
    from limin.testing.endpoint import ScriptedEndpoint
    from limin.testing.requests import Request
    from limin.testing.responses import Response
    from limin.transport.http import HttpTransport
    from limin.wire.http import HttpResponse, OpenResponse

Missing: TypeAlias = Literal["error", "record"]

# How the names of headers begin that a client needs of an error that is passed on.
_PASSED_ON = ("content-type", "retry-after", "x-ratelimit", "x-request-id")


@asynccontextmanager
async def replay_endpoint(
    path: str | os.PathLike[str],
    *,
    missing: Missing = "error",
    base_url: str | None = None,
    api_key: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> AsyncGenerator[ScriptedEndpoint]:
    """Start a server on loopback that answers out of a recording.

    The recording is a checkpoint: of a run, or of an earlier test. Requests are known by
    messages and parameters; whether the answer is streamed makes no difference. Equal
    requests get their answers in the order of the file, each of them once, so that no
    sample is told twice. Answers that nobody asks for are no error.

    Args:
        path: The recording. With `missing="error"` it is only read.
        missing: What a request that is not recorded does: `error` fails the test,
            `record` asks the real endpoint, and adds its answer to the file, which is
            made if there is none. An error of the real endpoint is passed on, and not
            recorded.
        base_url: URL of the real endpoint; else `OPENAI_BASE_URL`, else OpenAI's. Only
            `record` needs it, as it does the next two.
        api_key: Its key; else `OPENAI_API_KEY`.
        headers: More headers for it.

    Yields:
        The endpoint. With `record` its URL holds a secret, so that nobody else on the
        machine can ask with your key.

    Raises:
        CheckpointError: If the recording cannot be read or written, or another run
            writes to it.
        ConfigurationError: If an argument is wrong.
        AssertionError: At the end of the block, if a request had no answer. It was
            answered with status 400, which is not retried.
    """
    base_url, api_key = conceal(base_url), conceal(api_key)
    headers = conceal(headers)
    check_choice("missing", missing, ("error", "record"))
    if missing == "error":
        with ReadRecording(path) as recording:
            async with run_endpoint(_Player(recording)) as endpoint:
                yield endpoint
        return
    real = Endpoint.resolve(base_url, api_key, headers)
    with Checkpoint.open(path) as checkpoint:
        recorder = _Recorder(checkpoint, real)
        prefix = f"/{SECRET_PATH_START}{secrets.token_hex(16)}"
        try:
            async with run_endpoint(recorder, prefix=prefix) as endpoint:
                yield endpoint
        finally:
            await recorder.aclose()


class _Player:
    """Answers out of a recording alone."""

    def __init__(self, recording: ReadRecording) -> None:
        self._recording = recording

    async def respond(self, request: Request) -> Reaction:
        recorded = self._recording.take(request)
        if recorded is None:
            raise OffScriptError(self._recording.explain(request))
        return _play(recorded.answer, request)

    def unused(self) -> list[str]:
        return []


def _play(answer: HttpResponse, request: Request) -> Response:
    """Return *answer*, which is whole, as *request* asks for it."""
    if not request.streams:
        return whole(answer.body, headers=answer.headers)
    body = cast("dict[str, Any]", parse_leniently(answer.body))
    return as_asked(body, request, headers=answer.headers)


class _Recorder:
    """Answers out of a checkpoint, and else asks the real endpoint and records."""

    def __init__(self, checkpoint: Checkpoint, real: Endpoint) -> None:
        self._checkpoint, self._real = checkpoint, real
        self._transport: HttpTransport | None = None

    async def aclose(self) -> None:
        """Close the connections to the real endpoint."""
        if self._transport is not None:
            await self._transport.aclose()

    async def respond(self, request: Request) -> Reaction:
        recorded = self._take(request)
        if recorded is not None:
            return _play(recorded.answer, request)
        return await self._ask(request)

    def unused(self) -> list[str]:
        return []

    def _take(self, request: Request) -> RecordedAnswer | None:
        for digest in digests_of(request):
            sought = RecordedRequest(digest, ShortBody(b""), Conversation())
            recorded = self._checkpoint.take(sought)
            if recorded is not None:
                return recorded
        return None

    async def _ask(self, request: Request) -> Response:
        """Ask the real endpoint, and record its answer if it is one."""
        conversation = Conversation.from_openai(request.messages)
        body, start, clock = whole_body(request), time.time(), time.perf_counter()
        try:
            answer = await (await self._open(body)).read()
        except TransportError as error:
            return refused(Refusal(502, str(error)))
        duration = time.perf_counter() - clock
        timing = Timing(
            start_time=start,
            end_time=time.time(),
            duration=duration,
            attempts=(Attempt(start_time=start, duration=duration),),
        )
        model = str(request.parameters.get("model"))
        context = ReadingContext(conversation=conversation, model=model)
        try:
            completion = read_completion(context, timing, answer)
        except LiminError:
            return self._pass_on(answer)
        self._checkpoint.add(RecordedRequest.of(body, conversation), completion)
        return _play(answer, request)

    def _open(self, body: bytes) -> Awaitable[OpenResponse]:
        if self._transport is None:
            from limin.transport.http import HttpTransport  # noqa: PLC0415 (loads httpx)

            self._transport = HttpTransport(self._real, Limits())
        return self._transport.open(body)

    def _pass_on(self, answer: HttpResponse) -> Response:
        """Return *answer*, an error, without the key, which the client does not know."""
        sent = [n for n in answer.headers if n.startswith(_PASSED_ON)]
        shown = mask_all([answer.headers[n] for n in sent], self._real.secrets())
        headers = dict(zip(sent, shown, strict=True))
        body = mask_body(answer.body, self._real.secrets())
        return whole(body, status=answer.status, headers=headers)
