"""Every error of a call has the conversation that was asked for."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

import limin
from limin import (
    Client,
    Conversation,
    LiminError,
    Message,
    StructuredOutputError,
    ToolCall,
)
from limin.calls import call
from limin.checkpoint.file import Checkpoint
from limin.testing import Answer, Garbage, Refusal, Stream, scripted_endpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from limin.testing import ScriptedEndpoint

    Reply = Answer | Refusal | Stream | Garbage

ASKED = Conversation([Message("user", "a secret prompt")], metadata={"id": 7})
QUIET: Any = {"show_progress": False, "on_error": "return"}


def serve(reply: Reply) -> AbstractAsyncContextManager[ScriptedEndpoint]:
    """Run an endpoint that answers each request with *reply*."""
    return scripted_endpoint(lambda _: reply)


def double(number: int) -> int:
    """Double a number."""
    raise ValueError(number)


REFUSED, BUSY = Refusal(400, "no"), Refusal(503)
TEXT, BROKEN = Answer("no JSON"), Stream(["Hel", "lo"], cut_after=1)
CALL = Answer(None, tool_calls=[ToolCall("1", "double", '{"number": 1}')])


async def ask(client: Client, **options: Any) -> None:
    """Ask for one completion."""
    await client.generate_text_completion_for_conversation(ASKED, **options)


async def stream(client: Client, **options: Any) -> None:
    """Read a stream to its end."""
    async with client.stream_text_completion_for_conversation(ASKED, **options) as deltas:
        await deltas.until_done()


async def hand_over(client: Client, **options: Any) -> None:
    """Raise the result of a batch of one that is handed over."""
    async with client.iter_text_completions([ASKED], **options) as results:
        raise_error((await anext(results))[1])


async def run_batch(client: Client, **options: Any) -> None:
    """Raise the result of a batch of one."""
    ask_all = client.generate_text_completions_for_conversations
    raise_error((await ask_all([ASKED], **QUIET, **options))[0])


async def decide(client: Client, **options: Any) -> None:
    """Let the model decide."""
    await client.generate_decision(ASKED, ["yes", "no"], **options)


async def decide_all(client: Client, **options: Any) -> None:
    """Raise the result of a batch of one decision."""
    raise_error(
        (await client.generate_decisions([ASKED], ["y", "n"], **QUIET, **options))[0]
    )


async def run_tools(client: Client, **options: Any) -> None:
    """Let the model call a tool."""
    await client.run_tools(ASKED, [double], **options)


def raise_error(result: object) -> None:
    """Raise *result*, an error."""
    assert isinstance(result, Exception)
    raise result


CASES: list[tuple[Any, Reply, dict[str, object], str]] = [
    (verb, reply, options, kind)
    for verb in (ask, stream, hand_over, run_batch, decide, decide_all, run_tools)
    for reply, options, kind in [
        (REFUSED, {}, "BadRequestError"),
        (Garbage(b""), {"max_retries": 1}, "ProtocolError"),
    ]
] + [
    (stream, BROKEN, {}, "StreamError"),
    (ask, BROKEN, {"stream": True, "max_retries": 0}, "StreamError"),
    (ask, TEXT, {"log_probs": True, "on_warning": "raise"}, "AnswerWarningError"),
    (stream, TEXT, {"log_probs": True, "on_warning": "raise"}, "AnswerWarningError"),
    (ask, TEXT, {"response_type": int, "reask": 1}, "StructuredOutputError"),
    (run_batch, TEXT, {"response_type": int, "reask": 1}, "StructuredOutputError"),
    (stream, TEXT, {"response_type": int}, "StructuredOutputError"),
    (decide, TEXT, {}, "LogProbsMissingError"),
    (decide_all, TEXT, {}, "LogProbsMissingError"),
    (run_tools, TEXT, {"response_type": int, "reask": 1}, "StructuredOutputError"),
]


@pytest.mark.parametrize(("verb", "reply", "options", "kind"), CASES)
async def test_error_has_what_was_asked(
    verb: Callable[..., Awaitable[None]],
    reply: Reply,
    options: dict[str, object],
    kind: str,
) -> None:
    """Whatever was added to it on the way, it is what the user asked, with metadata."""
    async with serve(reply) as server, Client(server.base_url) as client:
        with pytest.raises(LiminError) as caught:
            await verb(client, **options)
    error = caught.value
    assert type(error).__name__ == kind
    assert error.conversation == ASKED
    assert error.conversation.metadata == {"id": 7}
    assert pickle.loads(pickle.dumps(error)).conversation == ASKED  # noqa: S301 (our own pickle)
    assert "secret" not in repr(error) + str(error) + repr(error.conversation)


@pytest.mark.parametrize("verb", [ask, stream, hand_over, run_batch, run_tools])
async def test_message_that_cannot_be_sent(
    verb: Callable[..., Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error before the request has the conversation as well."""
    wrong = Conversation([Message("user", "half \ud800")], metadata={"id": 7})
    monkeypatch.setitem(globals(), "ASKED", wrong)
    async with Client("http://nowhere.test/v1") as client:
        with pytest.raises(LiminError) as caught:
            await verb(client)
    assert type(caught.value).__name__ == "ConversationError"
    assert caught.value.conversation == wrong


async def test_attempts_and_exceptions_of_tools() -> None:
    """Errors in other errors have it, too."""
    async with serve(BUSY) as server, Client(server.base_url) as client:
        with pytest.raises(limin.ServerError) as caught:
            await ask(client, max_retries=1)
    assert len(caught.value.attempts) == 2
    for attempt in caught.value.attempts:
        assert attempt.error is not None
        assert attempt.error.conversation == ASKED
    async with serve(CALL) as server, Client(server.base_url) as client:
        with pytest.raises(ValueError, match="1") as raised:
            await run_tools(client, on_tool_error="raise")
    assert isinstance(raised.value.__cause__, limin.ToolRunError)
    assert raised.value.__cause__.conversation == ASKED


async def test_bug_in_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What should not happen is told of the item that it happened to."""

    def fail(*_: object) -> None:
        raise KeyError

    monkeypatch.setattr(call, "read_completion", fail)
    async with serve(Answer("yes")) as server, Client(server.base_url) as client:
        with pytest.raises(limin.UnexpectedError) as caught:
            await run_batch(client)
        assert caught.value.conversation == ASKED
        assert isinstance(caught.value.__cause__, KeyError)
        with pytest.raises(KeyError):
            await ask(client)


async def test_checkpoint_that_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error that stops the batch has the conversation whose answer was not kept."""

    def fail(*_: object) -> None:
        raise limin.CheckpointError("full", "run.jsonl")  # noqa: EM101 (the shortest)

    monkeypatch.setattr(Checkpoint, "add", fail)
    async with serve(Answer("yes")) as server, Client(server.base_url) as client:
        with pytest.raises(limin.BatchError) as caught:
            await run_batch(client, checkpoint=tmp_path / "run.jsonl")
    assert caught.value.stopped_by is not None
    assert caught.value.stopped_by.conversation == ASKED


async def test_what_is_no_answer_has_none() -> None:
    """A prompt that was not sent, a text that is no answer, and the batch as a whole."""
    async with serve(Refusal(401, "no key")) as server, Client(server.base_url) as client:
        with pytest.raises(limin.BatchError) as caught:
            await client.generate_text_completions(
                ["a", "b"], 1, show_progress=False, system_prompt="s"
            )
    first, second = caught.value.results
    assert isinstance(first, LiminError)
    assert first.conversation == Conversation.from_prompts("a", "s")
    assert isinstance(second, limin.NotSentError)
    assert second.conversation is None
    assert caught.value.conversation is None


async def test_answer_that_is_parsed_later() -> None:
    """A completion out of a file can be found again, too."""
    async with serve(TEXT) as server, Client(server.base_url) as client:
        answer = await client.generate_text_completion_for_conversation(ASKED)
    with pytest.raises(StructuredOutputError) as caught:
        answer.parse(int)
    assert caught.value.conversation == ASKED
