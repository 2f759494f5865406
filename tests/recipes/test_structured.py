"""Answers of a type, and asking again: over a function that asks."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Literal

import anyio
import attrs
import pytest

from limin import (
    AnswerWarningError,
    CheckpointError,
    Conversation,
    JsonSchema,
    Message,
    ServerError,
    StructuredOutputError,
    TextCompletion,
    ToolCall,
    Usage,
)
from limin.policy.failures import StopBatch, had_overload, is_fatal, is_overload
from limin.recipes import structured
from limin.recipes.structured import TypedAsk, TypedReader, TypedStream
from limin.values.choice import Choice
from limin.values.timing import Attempt, Timing
from limin.values.warnings import ResponseWarning, WarningCode

if TYPE_CHECKING:
    from collections.abc import Sequence

PARIS = '{"name": "Paris"}'
MISFIT = '{"name": 5}'
DISK = CheckpointError("no space left", "run.jsonl")


@attrs.frozen
class City:
    name: str


def completion_of(
    message: str, conversation: Conversation | None = None, **fields: object
) -> TextCompletion:
    """The completion of a request that took 2 seconds and 3 tokens."""
    return TextCompletion(
        conversation=conversation or Conversation.from_prompts("hi"),
        model="m",
        choices=(attrs.evolve(Choice(message=message, finish_reason="stop"), **fields),),  # type: ignore[arg-type]
        timing=Timing(
            start_time=1.0,
            end_time=3.0,
            duration=2.0,
            attempts=(Attempt(start_time=1.0, duration=2.0),),
        ),
        usage=Usage(completion_tokens=3),
    )


@attrs.define
class Script:
    """Asks nobody: gives the next answer, or raises it."""

    answers: list[str | TextCompletion | Exception]
    asked: list[Conversation] = attrs.field(factory=list)
    spent: list[float] = attrs.field(factory=list)
    reported: list[TextCompletion[object]] = attrs.field(factory=list)

    async def __call__(
        self, conversation: Conversation, *, spent: float = 0.0
    ) -> TextCompletion[object]:
        await anyio.lowlevel.checkpoint()
        self.asked.append(conversation)
        self.spent.append(spent)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, TextCompletion):
            return answer
        return completion_of(answer, conversation)

    def report(self, completion: TextCompletion[object], warning: ResponseWarning) -> None:
        """Note the completion, whose last warning it is."""
        assert completion.body_warnings[-1] == warning
        self.reported.append(completion)

    def typed(
        self, reask: int = 0, kind: object = City, *, offers_tools: bool = False
    ) -> TypedAsk[object]:
        """A function that asks for a *kind*."""
        schema: JsonSchema[object] = JsonSchema(kind)  # type: ignore[arg-type]
        return TypedAsk(self, TypedReader(schema, offers_tools, self.report), reask)


def script(*answers: str | TextCompletion | Exception) -> Script:
    return Script(list(answers))


HI = Conversation([Message("user", "hi")], metadata={"row": 7})


async def test_value_is_in_the_completion() -> None:
    """One request, and the completion as it came, with its value."""
    ask = script(PARIS)
    completion = await ask.typed(reask=2)(HI)
    assert completion.value == City("Paris")
    assert (completion.message, completion.earlier) == (PARIS, ())
    assert (ask.asked, ask.spent, ask.reported) == ([HI], [0.0], [])
    again: TextCompletion[object] = pickle.loads(pickle.dumps(completion))  # noqa: S301 (made here)
    assert again == completion


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            MISFIT,
            "This JSON does not fit its schema: Expected `str`, got `int` at `$.name`.",
        ),
        ("Paris!", "This is not the JSON that was asked for."),
    ],
)
async def test_misfit_is_asked_again_with_its_reason(answer: str, reason: str) -> None:
    """The model sees its answer and where it does not fit; the user sees both answers."""
    ask = script(answer, PARIS)
    completion = await ask.typed(reask=1)(HI)
    assert completion.value == City("Paris")
    assert [before.message for before in completion.earlier] == [answer]
    assert completion.total_usage == Usage(completion_tokens=6)
    assert completion.usage == Usage(completion_tokens=3)
    again = Conversation(
        [
            Message("user", "hi"),
            Message("assistant", answer),
            Message("user", f"{reason} Answer again, with nothing but JSON that fits."),
        ],
        metadata={"row": 7},
    )
    assert ask.asked == [HI, again]
    assert completion.conversation == again
    assert len(HI.messages) == 1


@pytest.mark.parametrize(
    ("reask", "answers", "reason"),
    [
        (0, [MISFIT], "invalid"),
        (0, ["Paris"], "not-json"),
        (1, [MISFIT, "Paris"], "not-json"),
        (2, ["Paris", MISFIT, MISFIT], "invalid"),
    ],
)
async def test_error_holds_every_answer(
    reask: int, answers: list[str], reason: str
) -> None:
    """After the last answer that does not fit, none is lost, and nothing more is asked."""
    ask = script(*answers)
    with pytest.raises(StructuredOutputError) as caught:
        await ask.typed(reask)(HI)
    error = caught.value
    assert (error.reason, ask.answers) == (reason, [])
    held = [*(before.message for before in error.earlier), error.completion.message]
    assert held == answers
    assert error.completion.total_usage == Usage(completion_tokens=3 * len(answers))
    assert len(error.attempts) == len(answers)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"finish_reason": "length"}, "truncated"),
        ({"refusal": "No."}, "refused"),
        ({"finish_reason": "content_filter"}, "filtered"),
    ],
)
async def test_what_would_repeat_is_not_asked_again(
    fields: dict[str, object], reason: str
) -> None:
    """A cut answer and a refusal cost one request, whatever `reask` says."""
    ask = script(completion_of("{", **fields))
    with pytest.raises(StructuredOutputError) as caught:
        await ask.typed(reask=5)(HI)
    assert (caught.value.reason, len(ask.asked)) == (reason, 1)


@pytest.mark.parametrize(
    ("elapsed", "spent"),
    [
        (9.0, [1.5, 3.5, 5.5]),  # It had to wait before it was sent, which is free.
        (0.25, [1.5, 1.75, 2.0]),  # It came out of a checkpoint.
    ],
)
async def test_all_requests_share_one_deadline(
    elapsed: float, spent: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each next request has less time, by the time that was really spent."""
    moments = iter([0.0, elapsed, 100.0, 100.0 + elapsed, 200.0])
    monkeypatch.setattr(structured.anyio, "current_time", lambda: next(moments))
    ask = script(MISFIT, MISFIT, PARIS)
    await ask.typed(reask=2)(HI, spent=1.5)
    assert ask.spent == spent


async def test_failed_request_to_ask_again_keeps_the_misfit() -> None:
    """The answer before it stays at hand: as the cause, if there is no other."""
    own_cause = ServerError(502, "bad gateway")
    own_cause.__cause__ = OSError()
    for failure in (ServerError(500, "oops"), own_cause):
        ask = script(MISFIT, failure)
        with pytest.raises(ServerError) as caught:
            await ask.typed(reask=1)(HI)
        assert caught.value is failure
        if failure is own_cause:
            assert isinstance(failure.__cause__, OSError)
        else:
            assert isinstance(failure.__cause__, StructuredOutputError)
            assert failure.__cause__.completion.message == MISFIT


async def test_first_failure_is_raised_as_it_is() -> None:
    """Nothing is added to an error of the only request."""
    failure = ServerError(500, "oops")
    with pytest.raises(ServerError) as caught:
        await script(failure).typed(reask=1)(HI)
    assert caught.value is failure
    assert failure.__cause__ is None


async def test_fence_is_a_warning() -> None:
    """A fence is read, told in the warnings, and reported."""
    ask = script(f"```json\n{PARIS}\n```")
    completion = await ask.typed()(HI)
    assert completion.value == City("Paris")
    assert [warning.code for warning in completion.warnings] == [WarningCode.FENCED_JSON]
    assert ask.reported == [completion]


@pytest.mark.parametrize(
    ("answer", "is_typed"), [(PARIS, True), (MISFIT, False), ("```{}", False)]
)
async def test_answer_that_could_not_be_kept_has_its_value(
    answer: str, *, is_typed: bool
) -> None:
    """A full disk stops the batch, and the last answer is read like any other."""
    ask = script(StopBatch(completion_of(answer), DISK))
    with pytest.raises(StopBatch) as caught:
        await ask.typed(reask=3)(HI)
    assert caught.value.error is DISK
    if is_typed:
        assert isinstance(caught.value.result, TextCompletion)
        assert caught.value.result.value == City("Paris")
    else:
        assert isinstance(caught.value.result, StructuredOutputError)


@pytest.mark.parametrize(("answer", "value"), [(PARIS, City("Paris")), (MISFIT, None)])
async def test_answer_with_a_raised_warning_has_its_value(
    answer: str, value: City | None
) -> None:
    """`on_warning="raise"` raises a completion that is usable all the same."""
    warning = ResponseWarning(WarningCode.BODY_MENDED, "$", "odd")
    ask = script(AnswerWarningError((warning,), completion_of(answer)))
    with pytest.raises(AnswerWarningError) as caught:
        await ask.typed(reask=1)(HI)
    assert caught.value.completion.value == value
    assert len(ask.asked) == 1


async def test_call_in_the_place_of_an_answer_has_no_value() -> None:
    """Where tools are offered, a call is an answer, and is not asked for again."""
    called = completion_of("Let me look.", tool_calls=(ToolCall("c", "f", "{}"),))
    reader = TypedReader(JsonSchema(City), True, script().report)  # noqa: FBT003 (one of three)
    assert reader.read(called).value is None
    with pytest.raises(StructuredOutputError):
        reader.read(completion_of("Let me look."))


def test_misfit_stops_no_batch() -> None:
    """It is one prompt's result, and no sign of a server with too much to do."""
    reader = TypedReader(JsonSchema(City), False, script().report)  # noqa: FBT003 (one of three)
    with pytest.raises(StructuredOutputError) as caught:
        reader.read(completion_of(MISFIT))
    error = caught.value
    assert [is_fatal(error), is_overload(error), had_overload(error)] == [False] * 3


def test_error_has_the_paths_of_the_user() -> None:
    """The completion in an error knows its type, so that its fields have those paths."""
    reader = TypedReader(JsonSchema(list[int]), False, script().report)  # noqa: FBT003 (one of three)
    with pytest.raises(StructuredOutputError) as caught:
        reader.read(completion_of('{"value": [1, "a"]}'))
    assert caught.value.completion._schema == JsonSchema(list[int])


def stream_of(kind: object = City) -> TypedStream[object]:
    """A stream of answers of a *kind*."""
    schema: JsonSchema[object] = JsonSchema(kind)  # type: ignore[arg-type]
    return TypedStream(TypedReader(schema, False, script().report))  # noqa: FBT003 (one of three)


@pytest.mark.parametrize(
    ("kind", "pieces", "partials"),
    [
        (City, ["", ' {"na', 'me": "Pa', 'ris"'], [None, {}, {}, {"name": "Paris"}]),
        (list[str], ['{"val', 'ue":[', '"a",', '"b"]}'], [None, [], ["a"], ["a", "b"]]),
        (int, ['{"value": 1', "2", "}"], [None, None, 12]),
        (Literal["yes"], ["```json\n", '{"value": "yes"}', "```"], [None, "yes", "yes"]),
        (City, ["Paris", PARIS], [None, None]),
    ],
)  # fmt: skip
def test_partial_holds_what_is_closed(
    kind: object, pieces: Sequence[str], partials: Sequence[object]
) -> None:
    """Never half a word, never the object around a value, and nothing of other text."""
    stream = stream_of(kind)
    for piece, partial in zip(pieces, partials, strict=True):
        stream.feed(piece, 0)
        assert stream.partial == partial


def test_partial_is_that_of_the_first_choice() -> None:
    """Deltas of choices come in any order; the lowest index is the first choice."""
    stream = stream_of()
    stream.feed('{"name": ', 1)
    assert stream.partial == {}
    stream.feed('{"name": "Paris"', 0)
    stream.feed('"Rome"}', 1)
    stream.feed("}", 0)
    assert stream.partial == {"name": "Paris"}


def test_number_alone_is_closed_by_the_end() -> None:
    """A server that ignores the schema may send a bare number."""
    stream = stream_of(int)
    stream.feed("12", 0)
    assert stream.partial is None
    with pytest.raises(StructuredOutputError, match="invalid: Expected `object`"):
        stream.read(completion_of("12"))
    assert stream.partial == 12
