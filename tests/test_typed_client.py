"""Answers of a type, as a user of `Client` sees them: bytes out, instances in."""

from __future__ import annotations

import json
import pickle
import warnings
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import attrs
import pytest
from loopback import Request as RawRequest
from loopback import serve
from streaming import DONE, FINISH, chunk_of, event_of, streamed, text_of

import limin
from limin import (
    AnswerWarningError,
    BatchError,
    CheckpointError,
    Client,
    Conversation,
    JsonSchema,
    LiminWarning,
    StructuredOutputError,
    TextCompletion,
    ToolCall,
)
from limin.checkpoint.file import Checkpoint
from limin.testing import Answer, Request, Stream, scripted_endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

URL = "http://model.test/v1"


@attrs.frozen
class City:
    name: str
    inhabitants: int


class Pair(NamedTuple):
    left: int
    right: int


PARIS, PARIS_VALUE = '{"name": "Paris", "inhabitants": 2}', City("Paris", 2)
FENCED = f"```json\n{PARIS}\n```"
CITY_SCHEMA = {
    "title": "City",
    "type": "object",
    "properties": {"name": {"type": "string"}, "inhabitants": {"type": "integer"}},
    "required": ["name", "inhabitants"],
    "additionalProperties": False,
}


WRONG = limin.ConfigurationError


def echo_json(request: Request) -> Answer:
    """Answer each prompt with itself."""
    return Answer(request.messages[-1]["content"], usage={"completion_tokens": 7})


def sent(request: Request) -> dict[str, Any]:
    """The `json_schema` of a request."""
    response_format = request.parameters["response_format"]
    assert response_format["type"] == "json_schema"
    return dict(response_format["json_schema"])


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (City, {"name": "City", "schema": CITY_SCHEMA, "strict": True}),
        (
            JsonSchema(City, name="place", description="A city."),
            {
                "name": "place",
                "schema": CITY_SCHEMA,
                "description": "A city.",
                "strict": True,
            },
        ),
        (
            JsonSchema({"type": "object", "minProperties": 1}, strict=False),
            {
                "name": "answer",
                "schema": {"type": "object", "minProperties": 1},
                "strict": False,
            },
        ),
    ],
)
async def test_schema_is_sent(kind: Any, schema: dict[str, object]) -> None:
    """The request holds the schema of the type in the words of every server."""
    async with scripted_endpoint(echo_json) as server, Client(server.base_url) as client:
        answer = await client.generate_text_completion(PARIS, response_type=kind)
    assert sent(server.requests[0]) == schema
    assert answer.value in (PARIS_VALUE, json.loads(PARIS))


@pytest.mark.parametrize(
    ("kind", "strict"),
    [
        (Literal["a"], True),
        (list[City], True),
        (Pair, False),
        (dict[str, int], False),
        (JsonSchema(City, strict=False), False),
    ],
)
async def test_what_strict_mode_cannot_say_is_sent_without_it(
    kind: Any, *, strict: bool
) -> None:
    """A strict server would refuse the schema of a tuple, or of free keys."""
    async with scripted_endpoint(echo_json) as server, Client(server.base_url) as client:
        with pytest.raises(StructuredOutputError):
            await client.generate_text_completion("no JSON", response_type=kind)
    assert sent(server.requests[0])["strict"] is strict


async def test_nothing_is_sent_without_a_type() -> None:
    """A plain request is what it was."""
    async with scripted_endpoint(echo_json) as server, Client(server.base_url) as client:
        answer = await client.generate_text_completion(PARIS, response_type=None)
    assert "response_format" not in server.requests[0].parameters
    assert (answer.value, answer.earlier) == (None, ())
    assert answer.parse(City) == PARIS_VALUE


@pytest.mark.parametrize(
    ("options", "error", "problem"),
    [
        ({"reask": 1}, WRONG, "reask: expected response_type beside it, found reask=1"),
        (
            {"reask": -1, "response_type": int},
            WRONG,
            "reask: expected an integer of at least 0, found -1",
        ),
        (
            {"response_type": 5},
            WRONG,
            "response_type: expected a type or a JSON schema, found 5",
        ),
        ({"response_type": set[Client]}, WRONG, "Client"),
        (
            {"response_type": int, "extra_body": {"response_format": {}}},
            WRONG,
            "response_type: expected no response_format beside it, found one",
        ),
        (
            {"response_format": int},
            TypeError,
            "Client.generate_text_completion() got an unexpected keyword argument: 'resp",
        ),
    ],
)
async def test_argument_that_makes_no_sense_sends_nothing(
    options: dict[str, Any], error: type[Exception], problem: str
) -> None:
    """Each is refused before anything is paid for, and the error names it."""
    async with scripted_endpoint(echo_json) as server, Client(server.base_url) as client:
        with pytest.raises(error) as caught:
            await client.generate_text_completion("hi", **options)
        with pytest.raises(error):
            await client.generate_text_completions(["hi"], **options, show_progress=False)
        with pytest.raises(error):
            client.iter_text_completions(["hi"], **options)
    assert problem in str(caught.value)
    assert not server.requests


# Every way to ask about PARIS as a City, by name. Each returns the completion.
async def _single(client: Client, **options: Any) -> TextCompletion[City]:
    return await client.generate_text_completion(FENCED, response_type=City, **options)


async def _conversation(client: Client, **options: Any) -> TextCompletion[City]:
    conversation = Conversation.from_prompts(FENCED)
    return await client.generate_text_completion_for_conversation(
        conversation, response_type=City, **options
    )


async def _function(client: Client, **options: Any) -> TextCompletion[City]:
    return await limin.generate_text_completion(
        FENCED, client=client, response_type=City, **options
    )


async def _function_of_conversation(client: Client, **options: Any) -> TextCompletion[City]:
    conversation = Conversation.from_prompts(FENCED)
    return await limin.generate_text_completion_for_conversation(
        conversation, client=client, response_type=City, **options
    )


async def _stream(client: Client, **options: Any) -> TextCompletion[City]:
    async with client.stream_text_completion(
        FENCED, response_type=City, **options
    ) as stream:
        return await stream.until_done()


async def _function_stream(client: Client, **options: Any) -> TextCompletion[City]:
    async with limin.stream_text_completion(
        FENCED, client=client, response_type=City, **options
    ) as stream:
        return await stream.until_done()


async def _batch(client: Client, **options: Any) -> TextCompletion[City]:
    (answer,) = await client.generate_text_completions(
        [FENCED], response_type=City, show_progress=False, on_error="return", **options
    )
    return _raised(answer)


async def _conversations(client: Client, **options: Any) -> TextCompletion[City]:
    (answer,) = await client.generate_text_completions_for_conversations(
        [Conversation.from_prompts(FENCED)],
        response_type=City,
        show_progress=False,
        on_error="return",
        **options,
    )
    return _raised(answer)


async def _function_batch(client: Client, **options: Any) -> TextCompletion[City]:
    (answer,) = await limin.generate_text_completions(
        [FENCED],
        client=client,
        response_type=City,
        show_progress=False,
        on_error="return",
        **options,
    )
    return _raised(answer)


async def _function_of_conversations(
    client: Client, **options: Any
) -> TextCompletion[City]:
    (answer,) = await limin.generate_text_completions_for_conversations(
        [Conversation.from_prompts(FENCED)],
        client=client,
        response_type=City,
        show_progress=False,
        on_error="return",
        **options,
    )
    return _raised(answer)


async def _iterator(client: Client, **options: Any) -> TextCompletion[City]:
    async with client.iter_text_completions(
        [FENCED], response_type=City, **options
    ) as results:
        return _raised((await anext(results))[1])


async def _function_iterator(client: Client, **options: Any) -> TextCompletion[City]:
    async with limin.iter_text_completions(
        [FENCED], client=client, response_type=City, **options
    ) as results:
        return _raised((await anext(results))[1])


async def _tools(client: Client, **options: Any) -> TextCompletion[City]:
    run = await client.run_tools(FENCED, [], response_type=City, **options)
    return run.completion


def _raised(answer: TextCompletion[City] | limin.LiminError) -> TextCompletion[City]:
    if isinstance(answer, limin.LiminError):
        raise answer
    return answer


VERBS = [
    _single,
    _conversation,
    _function,
    _function_of_conversation,
    _stream,
    _function_stream,
    _batch,
    _conversations,
    _function_batch,
    _function_of_conversations,
    _iterator,
    _function_iterator,
    _tools,
]


@pytest.mark.parametrize("ask", VERBS)
async def test_every_verb_gives_the_value_and_its_warning(ask: Any) -> None:
    """A fence around the JSON is read in every way to ask, and told as asked."""
    async with scripted_endpoint(echo_json) as server, Client(server.base_url) as client:
        ignored = await ask(client)
        with pytest.warns(LiminWarning, match="fenced-json") as warned:
            issued = await ask(client, on_warning="warn")
        with pytest.raises(AnswerWarningError, match="fenced-json") as caught:
            await ask(client, on_warning="raise")
    assert len(warned) == 1
    assert warned[0].filename == __file__
    for answer in (ignored, issued, caught.value.completion):
        assert answer.value == PARIS_VALUE
        assert [str(warning.code) for warning in answer.warnings] == ["fenced-json"]
    assert len(server.requests) == 3


async def test_stream_has_its_value_after_a_raised_warning() -> None:
    """The warning is raised once, where the answer ends; the completion is usable."""
    async with (
        scripted_endpoint(echo_json) as server,
        Client(server.base_url) as client,
        client.stream_text_completion(
            FENCED, response_type=City, on_warning="raise"
        ) as stream,
    ):
        with pytest.raises(AnswerWarningError):
            await stream.until_done()
        assert stream.completion.value == PARIS_VALUE
        assert [delta async for delta in stream] == []


@pytest.mark.parametrize("ask", [_batch, _iterator])
async def test_answer_out_of_a_checkpoint_warns_too(ask: Any, tmp_path: Path) -> None:
    """What is read again is told again, and nothing is sent."""
    options = {"checkpoint": tmp_path / "run.jsonl"}
    async with scripted_endpoint(echo_json) as server, Client(server.base_url) as client:
        first = await ask(client, **options)
        with pytest.warns(LiminWarning, match="fenced-json"):
            second = await ask(client, **options, on_warning="warn")
        with pytest.raises(AnswerWarningError):
            await ask(client, **options, on_warning="raise")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await ask(client, **options)
    assert second.value == first.value == PARIS_VALUE
    assert len(server.requests) == 1


@pytest.mark.parametrize("cut", range(len(FENCED) + 1))
async def test_partial_after_a_cut(cut: int) -> None:
    """Wherever the text is cut, `partial` holds what is closed, and the end is equal."""
    script = [Answer(FENCED), Stream([FENCED[:cut], FENCED[cut:]])]
    async with scripted_endpoint(script) as server, Client(server.base_url) as client:
        whole = await client.generate_text_completion("hi", response_type=City)
        async with client.stream_text_completion("hi", response_type=City) as stream:
            assert stream.partial is None
            partials = [json.dumps(stream.partial) async for _ in stream]
            completed = stream.completion
    steps = ["null", "{}", '{"name": "Paris"}', '{"name": "Paris", "inhabitants": 2}']
    assert partials[-1] == steps[-1]
    assert all(partial in steps for partial in partials)
    assert completed.value == whole.value == PARIS_VALUE
    assert completed.message == whole.message


async def test_stream_that_does_not_fit_ends_in_its_error() -> None:
    """All deltas come first; then the error comes each time that the value is asked for."""
    async with (
        scripted_endpoint(echo_json) as server,
        Client(server.base_url) as client,
        client.stream_text_completion('{"name": 5}', response_type=City) as stream,
    ):
        deltas = [await anext(stream) for _ in range(3)]
        for _ in range(2):
            with pytest.raises(StructuredOutputError) as caught:
                await anext(stream)
        with pytest.raises(StructuredOutputError) as again:
            _ = stream.completion
    assert "".join(delta.text for delta in deltas) == stream.text == '{"name": 5}'
    assert caught.value is again.value
    assert stream.partial == {"name": 5}
    assert caught.value.path == "$.name"


async def test_stream_of_choices_reads_the_first() -> None:
    """The choice with the lowest index is the first, whichever comes first."""
    other = event_of(chunk_of({"content": '{"name": "Ro'}, index=1))
    end = event_of(chunk_of({}, index=1, finish_reason="stop"))
    events = (other, text_of(PARIS), end, FINISH, DONE)

    async def respond(_: RawRequest) -> bytes:
        return streamed(*events)

    async with (
        serve(respond) as server,
        Client(server.base_url) as client,
        client.stream_text_completion(
            "hi", response_type=City, extra_body={"n": 2}
        ) as stream,
    ):
        answer = await stream.until_done()
    assert answer.value == PARIS_VALUE
    assert stream.partial == json.loads(PARIS)


PROMPTS = [PARIS, "Paris!", '{"name": 5}', PARIS]


def kinds(results: Sequence[object]) -> list[str]:
    """The value of each completion, the reason of each misfit, the name of other errors."""
    return [
        str(result.value)
        if isinstance(result, TextCompletion)
        else result.reason
        if isinstance(result, StructuredOutputError)
        else type(result).__name__
        for result in results
    ]


OUTCOME = [str(PARIS_VALUE), "not-json", "invalid", str(PARIS_VALUE)]


@pytest.mark.parametrize("n_parallel", [1, 4, "auto"])
async def test_misfit_costs_no_other(n_parallel: Any) -> None:
    """It stands in its prompt's place, and the batch goes on to its end."""
    async with scripted_endpoint(echo_json) as server, Client(server.base_url) as client:
        results = await client.generate_text_completions(
            PROMPTS, n_parallel, response_type=City, show_progress=False, on_error="return"
        )
        with pytest.raises(BatchError) as caught:
            await client.generate_text_completions(
                PROMPTS, n_parallel, response_type=City, show_progress=False
            )
        async with client.iter_text_completions(
            PROMPTS, n_parallel, response_type=City
        ) as iterated:
            by_index = {index: result async for index, result in iterated}
    assert kinds(results) == kinds(caught.value.results) == OUTCOME
    assert kinds([by_index[index] for index in range(4)]) == OUTCOME
    assert caught.value.stopped_by is None
    assert len(server.requests) == 12
    assert kinds(pickle.loads(pickle.dumps(results))) == OUTCOME  # noqa: S301 (made here)


async def test_bar_counts_misfits_as_failures(capfd: pytest.CaptureFixture[str]) -> None:
    """The last line of the progress bar says how many failed."""
    async with scripted_endpoint(echo_json) as server, Client(server.base_url) as client:
        await client.generate_text_completions(
            PROMPTS, response_type=City, on_error="return"
        )
    assert "2 failed" in capfd.readouterr().err


def mend(request: Request) -> Answer:
    """Answer with the prompt; with PARIS if it was asked again."""
    first, *more = request.messages
    return Answer(PARIS if more else first["content"])


async def test_each_request_is_a_line_of_the_checkpoint(tmp_path: Path) -> None:
    """Stored answers that do not fit are asked again only with `reask`, and once."""
    path = tmp_path / "run.jsonl"
    options: dict[str, Any] = {
        "response_type": City,
        "checkpoint": path,
        "show_progress": False,
        "on_error": "return",
    }
    outcomes, requests = [], []
    async with scripted_endpoint(mend) as server, Client(server.base_url) as client:
        for reask in (0, 0, 1, 2, 0):
            results = await client.generate_text_completions(
                PROMPTS, reask=reask, **options
            )
            outcomes.append(kinds(results))
            requests.append(len(server.requests))
    mended = [str(PARIS_VALUE)] * 4
    assert outcomes == [OUTCOME, OUTCOME, mended, mended, OUTCOME]
    assert requests == [4, 4, 6, 6, 6]
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert len(lines) == 6
    assert not any("value" in line for line in lines)


async def test_stored_answer_is_read_as_another_type(tmp_path: Path) -> None:
    """The checkpoint keeps the text, so a new type needs no new answer."""
    path = tmp_path / "run.jsonl"
    async with scripted_endpoint(echo_json) as server, Client(server.base_url) as client:
        await client.generate_text_completions(
            [PARIS], response_type=City, checkpoint=path, show_progress=False
        )
    (stored,) = limin.read_checkpoint(path)
    assert stored.value is None
    assert stored.parse(City) == PARIS_VALUE
    assert stored.parse(dict[str, Any]) == {"name": "Paris", "inhabitants": 2}


async def test_last_answer_on_a_full_disk_has_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that cannot be written stops the batch, and loses no value."""

    def refuse(*_: object) -> None:
        problem = "no space left on device"
        raise CheckpointError(problem, "run.jsonl")

    monkeypatch.setattr(Checkpoint, "add", refuse)
    outcomes = []
    async with scripted_endpoint(echo_json) as server, Client(server.base_url) as client:
        for prompts in ([PARIS, "x"], ["x", PARIS]):
            with pytest.raises(BatchError) as caught:
                await client.generate_text_completions(
                    prompts,
                    1,
                    response_type=City,
                    reask=1,
                    checkpoint=tmp_path / "run.jsonl",
                    show_progress=False,
                )
            assert isinstance(caught.value.stopped_by, CheckpointError)
            outcomes.append(kinds(caught.value.results))
    assert outcomes == [[str(PARIS_VALUE), "NotSentError"], ["not-json", "NotSentError"]]
    assert len(server.requests) == 2


async def test_method_is_a_function_of_one_prompt() -> None:
    """A method that is passed on asks as it does by itself."""
    async with scripted_endpoint(echo_json) as server, Client(server.base_url) as client:
        answers = await limin.run_parallel(
            PROMPTS, client.generate_text_completion, show_progress=False
        )
    assert [answer.message for answer in answers] == PROMPTS


@pytest.mark.parametrize(
    "extra_body",
    [
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"functions": [{"name": "f"}]},
    ],
)
async def test_call_in_the_place_of_an_answer(extra_body: dict[str, object]) -> None:
    """However tools are offered, a call without text is no misfit."""
    script = [Answer(None, tool_calls=[ToolCall("c", "f", "{}")])] * 2
    async with scripted_endpoint(script) as server, Client(server.base_url) as client:
        answer = await client.generate_text_completion(
            "hi", response_type=City, extra_body=extra_body, reask=3
        )
        with pytest.raises(StructuredOutputError, match="found nothing"):
            await client.generate_text_completion("hi", response_type=City)
    assert answer.value is None
    assert [call.name for call in answer.tool_calls] == ["f"]


async def test_request_without_time_left_is_not_sent() -> None:
    """The deadline of all requests is one: an Ask is told what is spent of it."""
    conversation = Conversation.from_prompts("hi")
    async with scripted_endpoint(echo_json) as server, Client(server.base_url) as client:
        caller = client._caller({"timeout": 30.0})
        assert (await caller.ask(conversation, spent=1.0)).message == "hi"
        with pytest.raises(limin.RequestTimeoutError, match="within 30 seconds"):
            await caller.ask(conversation, spent=31.0)
    assert len(server.requests) == 1


async def test_observers_are_told_of_the_answer() -> None:
    """A call is finished when its answer came; whether that fits is read afterwards."""
    told: list[object] = []

    class Listener(limin.calls.observer.Observer):
        def finished(self, call: object, result: object) -> None:
            del call
            told.append(result)

    async with scripted_endpoint(echo_json) as server, Client(server.base_url) as client:
        schema = limin.asking.AnswerType.of(City)
        assert schema is not None
        caller = client._caller({}, schema).observed_by(Listener())
        with pytest.raises(StructuredOutputError):
            await schema.typed_ask(caller.ask, caller)(Conversation.from_prompts("x"))
    assert [type(result) for result in told] == [TextCompletion]
