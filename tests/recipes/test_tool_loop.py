"""The loop of tools over answers of a script: no server, and no model."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from builders import read
from tool_scripts import TOKENS, Script, call, calling, run, saying, sent

import limin
from limin import Conversation, Message, Tool, ToolCall
from limin.policy.failures import StopBatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from limin.values.options import OnToolError


def double(n: int) -> int:
    """Double a number."""
    return 2 * n


async def half(n: float) -> float:
    """Halve a number."""
    return n / 2


async def test_calls_are_run_until_there_is_an_answer() -> None:
    """Each result is told to the model behind its call, and the run has everything."""
    conversation = Conversation([Message("user", "hello")], metadata={"id": 7})
    first = calling(call("double", '{"n": 2}', "a"), call("half", '{"n":1}', "b"))
    script = Script([first, calling(call("double", '{"n":5}', "c")), saying()])
    ended = await run(script, [double, half], conversation)
    assert [len(asked.messages) for asked in script.asked] == [1, 4, 6]
    assert sent(script.asked[-1]) == [
        first["choices"][0]["message"],
        {"role": "tool", "content": "4", "tool_call_id": "a"},
        {"role": "tool", "content": "0.5", "tool_call_id": "b"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call("double", '{"n":5}', "c")],
        },
        {"role": "tool", "content": "10", "tool_call_id": "c"},
    ]
    assert sent(ended.conversation, 6) == [{"role": "assistant", "content": "done"}]
    assert ended.ended_by == "answer"
    assert (str(ended), ended.completion.message) == ("done", "done")
    assert [result.result for result in ended.calls] == [4, 0.5, 10]
    assert [result.error for result in ended.calls] == [None] * 3
    assert all(result.duration >= 0 for result in ended.calls)
    assert ended.usage == limin.Usage(
        prompt_tokens=30, completion_tokens=9, total_tokens=39
    )
    assert ended.conversation.metadata == script.asked[1].metadata == {"id": 7}
    assert len(conversation.messages) == 1


async def test_answers_hold_the_conversation_as_it_was_then() -> None:
    """What comes later does not reach an earlier completion."""
    script = Script([calling(call("double", '{"n":2}')), saying()])
    ended = await run(script, [double])
    assert [len(each.conversation.messages) for each in ended.completions] == [1, 3]


async def test_first_request_may_be_another() -> None:
    """A call is forced by the first request alone."""
    forced = Script([calling(call("double", '{"n":2}'))])
    later = Script([calling(call("double", '{"n":3}')), saying()])
    ended = await run(forced, [double], later=later)
    assert (len(forced.asked), len(later.asked)) == (1, 2)
    assert len(ended.completions) == 3


@pytest.mark.parametrize("max_rounds", [1, 3])
async def test_max_rounds_counts_requests(max_rounds: int) -> None:
    """The last calls are run, so that the conversation can go on."""
    answers = (calling(call("double", f'{{"n":{n}}}')) for n in range(9))
    script = Script(answers)
    ended = await run(script, [double], max_rounds=max_rounds)
    assert ended.ended_by == "max-rounds"
    assert len(script.asked) == len(ended.completions) == len(ended.calls) == max_rounds
    assert ended.conversation.messages[-1].role == "tool"


async def test_max_calls_counts_calls() -> None:
    """Calls beyond the limit are not run; as many as the limit are no reason to end."""
    pair = calling(call("double", '{"n":1}', "a"), call("double", '{"n":2}', "b"))
    assert (await run(Script([pair, saying()]), [double], max_calls=2)).ended_by == "answer"
    ended = await run(Script([pair, pair]), [double], max_calls=3)
    assert ended.ended_by == "max-calls"
    assert [result.result for result in ended.calls] == [2, 4, 2]
    assert len(ended.completions) == 2
    none_left = await run(Script([pair, pair]), [double], max_calls=2)
    assert (none_left.ended_by, len(none_left.calls)) == ("max-calls", 2)


async def test_third_equal_call_with_an_equal_result_ends_the_run() -> None:
    """A model that asks the same again, in spite of the result, goes on so."""
    again = calling(call("double", '{"n":1}'))
    script = Script([again] * 9)
    ended = await run(script, [double])
    assert (ended.ended_by, len(ended.calls), len(script.asked)) == ("repeats", 3, 3)
    pair = calling(call("double", '{"n":1}', "a"), call("double", '{"n":2}', "b"))
    assert (await run(Script([pair] * 9), [double])).ended_by == "repeats"


async def test_equal_calls_that_are_no_repetition() -> None:
    """Other results, other calls between, and equal calls of one answer go on."""
    count = iter(range(9))

    def tick() -> int:
        """Count."""
        return next(count)

    again = calling(call("tick"))
    assert (await run(Script([again] * 4 + [saying()]), [tick])).ended_by == "answer"
    one, two = (calling(call("double", f'{{"n":{n}}}')) for n in (1, 2))
    mixed = [one, one, two, one, one, saying()]
    assert (await run(Script(mixed), [double])).ended_by == "answer"
    at_once = calling(*(call("double", '{"n":1}', str(n)) for n in range(3)))
    assert (await run(Script([at_once, saying()]), [double])).ended_by == "answer"


async def test_answer_that_was_cut_off_calls_nothing() -> None:
    """Arguments may be cut off, too; the answer is kept."""
    cut = calling(call("double", '{"n":1'), finish_reason="length")
    ended = await run(Script([cut]), [double])
    assert (ended.ended_by, ended.calls, len(ended.completions)) == ("length", (), 1)
    text = await run(Script([saying("do", "length")]), [double])
    assert (text.ended_by, str(text)) == ("length", "do")


async def test_finish_reason_stop_beside_calls() -> None:
    """The calls count, and not the word for them."""
    answer = calling(call("double", '{"n":1}'), finish_reason="stop")
    assert len((await run(Script([answer, saying()]), [double])).calls) == 1


async def test_unknown_tool_and_arguments_that_do_not_fit() -> None:
    """The model is told what is wrong, and where; nothing is raised."""
    wrong = calling(
        call("duble", "{}", "a"),
        call("double", '{"n": "two"}', "b"),
        call("double", "", "c"),
        call("double", '"Paris"', "d"),
        call("double", '{"n": 1', "e"),
    )
    ended = await run(Script([wrong, saying()]), [double, half], on_error="raise")
    texts = [result.message.text for result in ended.calls]
    assert texts[0] == (
        "error: expected a call of one of the functions double, half, found 'duble'"
    )
    assert texts[1].startswith("error: the arguments do not fit: Expected `int`")
    assert texts[1].endswith("at `$.n`")
    assert texts[2].endswith("missing at `$.n`")
    assert texts[3].endswith("at `$`")
    assert "no JSON" in texts[4]
    assert {type(result.error) for result in ended.calls} == {limin.ToolCallError}
    assert {result.duration for result in ended.calls} == {0.0}


async def test_call_of_no_function_is_refused_and_answered() -> None:
    """Each call has its answer, also one of a tool that limin does not know."""
    custom = {
        "id": "x",
        "type": "custom",
        "custom": {"name": "double", "input": "2"},
    }
    odd: list[Any] = [{"id": "y", "type": "search"}, {"id": "z", "type": "custom"}]
    odd.append({"id": "v", "type": "custom", "custom": {"input": "no name"}})
    script = Script([calling(custom, call("double", '{"n":1}'), *odd), saying()])
    ended = await run(script, [double])
    results = sent(script.asked[-1], 2)
    assert [each["tool_call_id"] for each in results] == ["x", "c1", "y", "z", "v"]
    assert results[1]["content"] == "2"
    assert results[0]["content"] == (
        "error: expected a call of one of the functions double, found one of the type "
        "'custom'"
    )
    assert [result.call.name for result in ended.calls] == ["double", "double", "", "", ""]
    assert sent(script.asked[-1])[0]["tool_calls"][0] == custom  # type: ignore[index]  # a list


async def test_tools_of_the_server_alone() -> None:
    """A tool that the server runs needs no function, and none can be called here."""
    script = Script([calling(call("double")), saying()])
    ended = await run(script, [{"type": "web_search"}])
    assert ended.calls[0].message.text == (
        "error: expected a call of one of the functions none, found 'double'"
    )


@pytest.mark.parametrize(
    "tool",
    [
        Tool("weather", "Tell it.", {"type": "object"}),
        {"type": "function", "function": {"name": "weather"}},
        {"function": {"name": "weather"}},
    ],
)
async def test_tool_without_a_function(tool: Any) -> None:
    """It is refused before anything is sent."""
    script = Script([])
    with pytest.raises(limin.ConfigurationError) as raised:
        await run(script, [double, tool])
    expected = "tools: expected a function for each, found none for 'weather'"
    assert (str(raised.value), script.asked) == (expected, [])


async def test_older_interface_of_openai() -> None:
    """The result of a `function_call` is a message of the function, without an id."""
    answer = calling(function_call={"name": "double", "arguments": '{"n":4}'})
    del answer["choices"][0]["message"]["tool_calls"]
    script = Script([answer, saying()])
    await run(script, [double])
    assert sent(script.asked[-1]) == [
        answer["choices"][0]["message"],
        {"role": "function", "content": "8", "name": "double"},
    ]


async def test_ids_that_a_server_left_out() -> None:
    """They are made from the place in the conversation, and repeated in the result."""
    pair = [call("double", f'{{"n":{n}}}') for n in (1, 2)]
    for each in pair:
        del each["id"]
    script = Script([calling(*pair), calling(pair[0]), saying()])
    await run(script, [double])
    ids = [each.get("tool_call_id") for each in sent(script.asked[-1])]
    assert ids == [None, "call00001", "call00002", None, "call00003"]


async def test_open_calls_at_the_end_of_the_conversation_are_run_first() -> None:
    """So a run that a limit ended can go on, and so can a call that a person approved."""
    calls = [ToolCall(str(n), "double", f'{{"n":{n}}}') for n in (1, 2)]
    same = [ToolCall("", "double", '{"n":3}')] * 2
    start = Conversation(
        [
            Message("user", "hello"),
            Message("assistant", None, tool_calls=[*calls, *same]),
            Message("tool", "2", tool_call_id="1"),
            Message("tool", "6", tool_call_id=""),
        ]
    )
    script = Script([saying()])
    ended = await run(script, [double], start)
    assert sent(script.asked[0], 4) == [
        {"role": "tool", "content": "4", "tool_call_id": "2"},
        {"role": "tool", "content": "6", "tool_call_id": ""},
    ]
    assert [result.result for result in ended.calls] == [4, 6]
    assert len(start.messages) == 4
    with pytest.raises(limin.ConfigurationError) as raised:
        await run(script, [double], start, max_calls=1)
    expected = "max_calls: expected at least 2, the open calls of the conversation, found 1"
    assert str(raised.value) == expected


async def test_run_goes_on_from_the_conversation_of_another() -> None:
    """The calls that a limit kept from running are the first of the next run."""
    pair = calling(call("double", '{"n":1}', "a"), call("double", '{"n":2}', "b"))
    ended = await run(Script([pair]), [double], max_calls=1)
    script = Script([saying()])
    await run(script, [double], ended.conversation)
    results = [(each["tool_call_id"], each["content"]) for each in sent(script.asked[0], 2)]
    assert results == [("a", "2"), ("b", "4")]


async def test_results_alone_are_no_open_calls() -> None:
    """A conversation may begin with a result, which belongs to no call."""
    start = Conversation([Message("tool", "2", tool_call_id="1")])
    assert (await run(Script([saying()]), [double], start)).calls == ()


async def test_error_of_a_request_has_the_run_before_it() -> None:
    """Nothing that came is lost; before the first answer there is nothing."""
    broken = limin.ServerError(500, "broken")
    with pytest.raises(limin.ServerError) as raised:
        await run(Script([calling(call("double", '{"n":1}')), broken]), [double])
    before = raised.value.tool_run
    assert before is not None
    assert (len(before.completions), before.calls[0].result) == (1, 2)
    assert (before.ended_by, len(before.conversation.messages)) == ("error", 3)
    with pytest.raises(limin.ServerError) as raised:
        await run(Script([limin.ServerError(500, "broken")]), [double])
    assert raised.value.tool_run is None


async def test_other_exception_of_a_request_has_the_run_in_its_cause() -> None:
    """A warning that is an error, for example; its own cause is not lost."""
    error = limin.LiminWarning("odd")
    error.__cause__ = KeyError("why")
    with pytest.raises(limin.LiminWarning) as raised:
        await run(Script([calling(call("double", '{"n":1}')), error]), [double])
    cause = raised.value.__cause__
    assert isinstance(cause, limin.ToolRunError)
    assert str(cause) == "a run with tools was ended by LiminWarning"
    assert cause.tool_run is not None
    assert cause.tool_run.calls[0].result == 2
    assert isinstance(cause.__cause__, KeyError)


@pytest.mark.parametrize("fits", [True, False])
async def test_answer_that_could_not_be_kept(*, fits: bool) -> None:
    """It is in the run of the error, which is the one that the caller sees.

    So is an answer that does not fit its type.
    """
    full = limin.CheckpointError("no space left on device", "run.jsonl")
    full.__cause__ = OSError("full")
    kept = read(calling(call("double", '{"n":2}')))
    misfit = limin.StructuredOutputError(kept, "invalid", "$", "expected an int")
    stop = StopBatch(kept if fits else misfit, full)
    with pytest.raises(limin.CheckpointError) as raised:
        await run(Script([calling(call("double", '{"n":1}')), stop]), [double])
    assert raised.value is full
    assert isinstance(full.__cause__, OSError)
    before = raised.value.tool_run
    assert before is not None
    assert before.completions[-1] is kept
    assert before.conversation.messages[-1].tool_calls
    assert len(before.calls) == 1


def fail_with_cause() -> None:
    """Fail because of something else."""
    try:
        raise KeyError("inner")  # noqa: EM101, TRY301 (the cause is the point)
    except KeyError:
        raise ValueError("secret")  # noqa: B904, EM101 (the context is the point)


async def fail_later() -> None:
    """Fail from something else."""
    raise ValueError("secret") from KeyError("inner")  # noqa: EM101 (the cause is the point)


@pytest.mark.parametrize("function", [fail_with_cause, fail_later])
async def test_exception_of_a_tool_is_raised(function: Callable[..., object]) -> None:
    """It comes out as it is, outside of any group, and the run is in its cause."""
    name = function.__name__
    answer = calling(call("double", '{"n":1}', "a"), call(name, "{}", "b"))
    with pytest.raises(ValueError, match=r"^secret$") as raised:
        await run(Script([answer]), [double, function], on_error="raise", n_parallel=1)
    cause = raised.value.__cause__
    assert isinstance(cause, limin.ToolRunError)
    assert isinstance(cause.__cause__, KeyError)
    assert str(cause) == "a run with tools was ended by ValueError"
    assert cause.tool_run is not None
    assert [result.result for result in cause.tool_run.calls] == [2, None]
    assert cause.tool_run.calls[1].error is raised.value
    assert cause.tool_run.conversation.messages[-1].text == "error: ValueError"


async def test_limins_error_in_a_tool_has_the_run() -> None:
    """An error that has a run of its own, from inside the tool, keeps it."""
    inner = await run(Script([saying("inner")]))

    async def ask() -> None:
        """Ask another model."""
        raise limin.ServerError(500, "broken")

    async def run_another() -> None:
        """Run another loop."""
        error = limin.ServerError(500, "broken")
        error.tool_run = inner
        raise error

    with pytest.raises(limin.ServerError) as raised:
        await run(Script([calling(call("ask"))]), [ask], on_error="raise")
    assert raised.value.tool_run is not None
    with pytest.raises(limin.ServerError) as raised:
        await run(Script([calling(call("run_another"))]), [run_another], on_error="raise")
    assert raised.value.tool_run is inner
    cause = raised.value.__cause__
    assert isinstance(cause, limin.ToolRunError)
    assert cause.tool_run is not None
    assert len(cause.tool_run.calls) == 1


@pytest.mark.parametrize("on_error", ["tell", "tell-all", "raise"])
async def test_cancellation_cancels_the_tools(on_error: OnToolError) -> None:
    """Nothing of a run goes on behind its back, and no exception takes its place."""
    started, ended = anyio.Event(), anyio.Event()

    async def wait() -> None:
        """Wait."""
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    script = Script([calling(call("wait"))])
    async with anyio.create_task_group() as tasks:

        async def begin() -> None:
            await run(script, [wait], on_error=on_error)
            pytest.fail("it was cancelled")

        tasks.start_soon(begin)
        await started.wait()
        tasks.cancel_scope.cancel()
    assert ended.is_set()


async def test_deadline_before_the_first_answer_is_an_error() -> None:
    """There is no completion that a run could have."""

    async def never() -> Any:
        await anyio.sleep_forever()

    with pytest.raises(limin.RequestTimeoutError) as raised:
        await run(Script([never]), max_seconds=0.01)
    assert str(raised.value) == "no complete answer within 0.01 seconds"
    assert raised.value.tool_run is None


async def test_usage_that_a_server_did_not_tell() -> None:
    """A sum of which a part is missing is not known, and no sum is made up."""
    silent = saying()
    del silent["usage"]
    answers = [calling(call("double", '{"n":1}')), silent]
    assert (await run(Script(answers), [double])).usage is None
    assert (await run(Script([silent]))).usage is None
    assert (await run(Script([saying()]))).usage == limin.Usage(**TOKENS)


async def test_run_can_be_pickled() -> None:
    """Runs go from process to process with everything, and so do errors that have one."""
    broken = limin.ServerError(500, "broken")
    wrong = calling(call("double", '{"n":1}', "a"), call("double", '{"n":""}', "b"))
    with pytest.raises(limin.ServerError) as raised:
        await run(Script([wrong, broken]), [double])
    before = raised.value.tool_run
    assert before is not None
    copied = pickle.loads(pickle.dumps(raised.value))  # noqa: S301 (our own bytes)
    assert copied.tool_run == before
    assert str(copied.tool_run.calls[1].error) == str(before.calls[1].error)
    sent_back = copied.tool_run.completion.to_message()
    assert sent_back == before.completion.to_message()
    assert repr(copied.tool_run) == "<limin.ToolRun: 1 requests, 2 calls, ended by error>"
