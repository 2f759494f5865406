"""The types that mypy and pyright must infer for the public names."""

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Mapping,
    MutableMapping,
    Sequence,
)
from pathlib import Path
from typing import assert_type

from rich.table import Table

import limin
from limin import testing
from limin.telemetry import Telemetry, instrument


async def single() -> None:
    completion = await limin.generate_text_completion("hello", temperature=None, seed=1)
    assert_type(completion, limin.TextCompletion)
    assert_type(completion.message, str)
    assert_type(completion.finish_reason, str | None)
    assert_type(completion.token_log_probs, list[limin.TokenLogProb] | None)
    assert_type(completion.full_token_log_probs, list[list[limin.TokenLogProb]] | None)
    assert_type(completion.log_probs, limin.LogProbs | None)
    assert_type(completion.to_pretty_string(width=40, color=None), str)
    assert_type(completion.prompt_log_probs, limin.PromptLogProbs | None)
    assert_type(completion.warnings, tuple[limin.ResponseWarning, ...])
    assert_type(completion.usage, limin.Usage | None)
    assert_type(completion.duration, float)
    assert_type(completion.raw, object)


def positions(
    log_probs: limin.LogProbs, prompt: limin.PromptLogProbs, field: limin.FieldLogProbs
) -> None:
    assert_type(log_probs[0], limin.TokenPosition)
    assert_type(log_probs[1:], Sequence[limin.TokenPosition])
    assert_type(list(log_probs), list[limin.TokenPosition])
    assert_type(prompt[0], limin.TokenPosition | None)
    assert_type(prompt[1:], Sequence[limin.TokenPosition | None])
    assert_type(log_probs.pieces(), list[limin.TextPiece])
    assert_type(log_probs.text(), str)
    assert_type(log_probs.to_pretty_string(color=None, palette="viridis"), str)
    assert_type(log_probs.to_table(lowest=10), Table)
    assert_type(log_probs.total, float | None)
    assert_type(log_probs.perplexity, float | None)
    assert_type(log_probs.to_columns(), dict[str, list[object]])
    assert_type(field.log_prob, float | None)
    assert_type(field.prob, float | None)
    position = log_probs[0]
    assert_type(position.sampled, limin.TokenLogProb)
    assert_type(position.alternatives, tuple[limin.TokenLogProb, ...])
    assert_type(position.rank, int | None)
    assert_type(position.entropy, float | None)


async def sweep(client: limin.Client) -> None:
    configuration = limin.ModelConfiguration(temperature=0)
    pairs = [("a", configuration)]
    mixed: list[str | tuple[limin.Conversation, limin.ModelConfiguration]]
    mixed = ["b", (limin.Conversation.from_prompts("c"), configuration)]
    completions = await limin.generate_text_completions(pairs, response_type=int)
    assert_type(completions, list[limin.TextCompletion[int]])
    both = await client.generate_text_completions(mixed, on_error="return")
    assert_type(both, list[limin.TextCompletion | limin.LiminError])
    await client.generate_text_completions_for_conversations(pairs)
    limin.iter_text_completions(mixed, headers={"x-tag": "sweep"})


async def tables(client: limin.Client, source: AsyncIterator[str]) -> None:
    results = await client.generate_text_completions(
        limin.shard(["a", "b"], 0, 2), on_error="return", max_total_tokens=100
    )
    assert_type(limin.to_columns(results), dict[str, list[object]])
    summary = limin.Summary.of(results)
    assert_type(summary.failures, Mapping[str, int])
    assert_type(summary.duration, limin.Latency | None)
    decisions = await client.generate_decisions(["a"], ["b", "c"], on_error="return")
    limin.to_columns(decisions)
    run = await client.run_tools("a", [])
    limin.Summary.of([run, *results, KeyError()])
    limin.to_columns(limin.read_checkpoint("a", "b", without_warnings=["body-mended"]))
    assert_type(limin.shard(source, 0, 2), AsyncIterable[str])
    assert_type(limin.shard(range(3), 0, 2), Iterable[int])
    try:
        await client.generate_text_completions(["a"], max_total_tokens=1)
    except limin.LiminError as error:
        assert_type(error.conversation, limin.Conversation | None)


async def odd() -> None:
    try:
        await limin.generate_text_completion("hello", on_warning="raise")
    except limin.AnswerWarningError as error:
        assert_type(error.completion, limin.TextCompletion[object])
        assert_type(error.warnings[0].code, limin.WarningCode)


async def streamed(client: limin.Client) -> None:
    async with limin.stream_text_completion("hello", idle_timeout=None) as stream:
        assert_type(stream, limin.CompletionStream)
        async for delta in stream:
            assert_type(delta, limin.Delta)
            assert_type(delta.text, str)
            assert_type(delta.log_probs, limin.LogProbs | None)
        assert_type(stream.completion, limin.TextCompletion)
    async with client.stream_text_completion("hello", seed=1) as stream:
        completion = await stream.until_done()
    assert_type(completion.timing.time_to_first_token, float | None)
    assert_type(completion.timing.inter_token_latency, limin.Latency | None)
    assert_type(completion.timing.delta_times, tuple[float, ...])
    fetched = await limin.generate_text_completion("hello", stream=True)
    assert_type(fetched, limin.TextCompletion)
    limin.stream_text_completion("hello", stream=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def batches() -> None:
    prompts = (str(n) for n in range(3))
    completions = await limin.generate_text_completions(prompts, 2, system_prompt="s")
    assert_type(completions, list[limin.TextCompletion])
    conversations = [limin.Conversation.from_prompts("hello")]
    async with limin.Client("http://model.test/v1") as client:
        assert_type(client, limin.Client)
        more = await client.generate_text_completions_for_conversations(conversations)
    assert_type(more, list[limin.TextCompletion])


async def replicas() -> None:
    endpoint = limin.Endpoint("http://b.test/v1", api_key="k", headers={"x": "y"})
    limin.Client(["http://a.test/v1", endpoint], affinity=False)
    limin.Client(endpoint)
    limin.Client(["http://a.test/v1", 3])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    limin.Endpoint("http://b.test/v1", api_key=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    completion = await limin.generate_text_completion("hello", base_url=[endpoint])
    assert_type(completion.endpoint, str | None)
    assert_type(completion.timing.attempts[0].endpoint, str | None)


async def results(client: limin.Client) -> None:
    async with client.iter_text_completions(["hello"], show_progress=True) as finished:
        assert_type(finished, limin.Results)
        assert_type(finished, limin.Results[limin.TextCompletion])
        await take(finished)


async def take(finished: limin.Results) -> None:
    async for index, result in finished:
        assert_type(index, int)
        assert_type(result, limin.TextCompletion | limin.LiminError)


async def length(text: str) -> int:
    return len(text)


async def parallel(client: limin.Client) -> None:
    lengths = await limin.run_parallel(["hello"], length, "auto")
    assert_type(lengths, list[int])
    either = await limin.run_parallel(["hello"], length, 2, on_error="return")
    assert_type(either, list[int | Exception])
    completions = await limin.run_parallel(["hello"], client.generate_text_completion)
    assert_type(completions, list[limin.TextCompletion])
    try:
        await limin.run_parallel([1], length)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await limin.run_parallel(["hello"], len)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    except limin.BatchError as error:
        assert_type(
            error.results, Sequence[limin.TextCompletion[object] | limin.LiminError]
        )
        assert_type(error.errors, dict[int, limin.LiminError])


def messages(path: Path, sound: bytes) -> None:
    image = limin.Image.from_path(path)
    assert_type(image, limin.Image)
    assert_type(image.data, bytes | None)
    assert_type(limin.Image("https://a.test/b.png", detail="low").url, str | None)
    audio = limin.Audio(sound, media_type="audio/flac")
    file = limin.File(file_id="file-1")
    assert_type(limin.File.from_path("a.pdf"), limin.File)
    part = {"type": "video_url", "video_url": {"url": "https://a.test"}}
    message = limin.Message("user", ["What is this?", image, audio, file, part])
    assert_type(message.text, str)
    call = limin.ToolCall("call-1", "weather", "{}", extra={"extra_content": 1})
    called = limin.Message("assistant", None, tool_calls=[call, {"id": "call-2"}])
    assert_type(called.tool_calls, Sequence[limin.ToolCall | Mapping[str, object]])
    result = limin.Message("tool", "5", tool_call_id=call.id, name="weather")
    conversation = limin.Conversation([message, called, result], metadata={"id": 5})
    assert_type(conversation.metadata, Mapping[str, object])
    assert_type(conversation.to_openai(), list[dict[str, object]])
    rows: list[dict[str, object]] = [{"role": "user", "content": "hello"}]
    assert_type(limin.Conversation.from_openai(rows, metadata={}), limin.Conversation)
    limin.Audio("https://a.test/b.wav")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    limin.Message("user", 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    limin.Message("user", "hello", "Ann")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def tools(client: limin.Client) -> None:
    tool = limin.Tool("length", "Tell a length.", {"type": "object"}, length, strict=True)
    await limin.generate_text_completion(
        "hello",
        tools=[tool, length, {"type": "web_search"}],
        tool_choice="length",
        parallel_tool_calls=False,
        max_completion_tokens=5,
        reasoning_effort="low",
        logit_bias={5: -100},
    )
    await client.generate_text_completions(["hello"], tools=(tool,), logit_bias={"5": 1})
    configuration = limin.ModelConfiguration(tools=[tool, length], tool_choice="auto")
    kept = configuration.tools
    assert_type(kept, tuple[limin.Tool | Mapping[str, object], ...])
    delta = limin.ToolCallDelta(index=0, arguments="{}")
    assert_type(delta.extra, Mapping[str, object] | None)
    await limin.generate_text_completion("hello", tools=[5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    await limin.generate_text_completion("hello", tool_choice=5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await limin.generate_text_completion("hello", logit_bias=[5])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def tool_runs(client: limin.Client, checkpoint: Path) -> None:
    run = await limin.run_tools(
        "hello",
        [length, limin.Tool.from_function(length, strict=True)],
        max_rounds=5,
        max_calls=None,
        max_seconds=60,
        tool_timeout=2.5,
        on_tool_error="tell-all",
        checkpoint=checkpoint,
        fsync=True,
        stream=True,
        base_url="http://model.test/v1",
    )
    assert_type(run, limin.ToolRun)
    assert_type(run.completion, limin.TextCompletion)
    assert_type(run.completions, tuple[limin.TextCompletion[object], ...])
    assert_type(run.usage, limin.Usage | None)
    assert_type(run.conversation, limin.Conversation)
    assert_type(run.calls, tuple[limin.ToolResult, ...])
    result = run.calls[0]
    assert_type(result.result, object)
    assert_type(result.error, Exception | None)
    assert_type(result.duration, float)
    assert_type(result.call.parse(), dict[str, object])
    assert_type(result.call.parse(list[int]), list[int])
    again = await client.run_tools(run.conversation, [length], n_parallel=2)
    assert_type(again, limin.ToolRun)
    try:
        await client.run_tools("hello", [length], on_tool_error="raise")
    except limin.LiminError as error:
        assert_type(error.tool_run, limin.ToolRun[object] | None)
    await client.run_tools("hello", [length], on_tool_error="hide")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.run_tools("hello", [length], show_progress=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.run_tools("hello", [5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


async def wrong() -> None:
    await limin.generate_text_completion("hello", temprature=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await limin.generate_text_completion("hello", max_tokens="5")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await limin.generate_text_completion("hello", on_warning="error")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    limin.Message("bot", "hello")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def decisions(log_probs: limin.LogProbs) -> None:
    decision = limin.label_probs(log_probs, ["yes", "no"])
    assert_type(decision, limin.Decision[str])
    assert_type(decision.label, str | None)
    assert_type(decision.low, Mapping[str, float])
    assert_type(decision.agrees, bool | None)
    score = limin.label_probs(log_probs, range(1, 6), fold=False, start=2)
    assert_type(score, limin.Decision[int])
    assert_type(score.expected, float | None)
    assert_type(score.probs, Mapping[int, float])


async def asked_decisions(client: limin.Client, conversation: limin.Conversation) -> None:
    decision = await client.generate_decision("hello", ["yes", "no"], orders=2)
    assert_type(decision, limin.Decision[str])
    assert_type(decision.completion, limin.TextCompletion[object] | None)
    score = await limin.generate_decision(conversation, range(1, 6), client=client)
    assert_type(score, limin.Decision[int])
    assert_type(score.expected, float | None)
    labels = {"yes": 1, "no": 2}
    assert_type(
        await client.generate_decisions(["hello", conversation], labels, 8),
        list[limin.Decision[str]],
    )
    assert_type(
        await limin.generate_decisions(["hello"], [1, 2], on_error="return"),
        list[limin.Decision[int] | limin.LiminError],
    )
    pairs = [("hello", ["Paris", "Rome"]), ("hi", ["3", "4"])]
    assert_type(await client.generate_decisions(pairs), list[limin.Decision[str]])
    assert_type(
        await limin.generate_decisions(pairs, n_parallel="auto", on_error="return"),
        list[limin.Decision[str] | limin.LiminError],
    )
    ranges = [("hello", range(3)), ("hi", range(10))]
    assert_type(await limin.generate_decisions(ranges), list[limin.Decision[int]])


async def wrong_decisions(client: limin.Client) -> None:
    await client.generate_decision("hello", [0.5])  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
    await client.generate_decision("hello", ["a"], by="number")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.generate_decisions(["hello"])  # type: ignore[list-item]  # pyright: ignore[reportCallIssue, reportArgumentType]


class Tally(limin.Observer):
    def attempt(self, call: limin.ObservedCall, headers: MutableMapping[str, str]) -> None:
        assert_type(call.number, int)
        assert_type(call.configuration, limin.ModelConfiguration)
        assert_type(call.conversation, limin.Conversation)
        assert_type(call.endpoint.base_url, str)
        headers["x-attempt"] = str(call.number)


class Unrelated:
    def begun(self, call: limin.ObservedCall) -> None: ...
    def attempt(self, call: object, headers: MutableMapping[str, str]) -> None: ...
    def waiting(self, call: object, wait: float, why: limin.LiminError) -> None: ...
    def first_token(self, call: object) -> None: ...
    def finished(self, call: object, result: object) -> None: ...


def observed() -> None:
    client = limin.Client(observers=[Tally(), Unrelated(), Telemetry(provider_name="a")])
    assert_type(client.state, limin.ClientState)
    assert_type(client.state.idle, int | None)
    instrument(capture_content="span_only")
    limin.Client(observers=[object()])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    instrument(capture_content="often")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def scripted_answers() -> None:
    tokens = [("Par", -0.1, {"Lon": -2.0}), ("is", -0.2, {"ma": -3.0})]
    script = [
        testing.Answer("Paris", log_probs=tokens, usage={"total_tokens": 3}),
        testing.Answer({"city": "Paris"}, tool_calls=[limin.ToolCall("1", "f", "{}")]),
        testing.Refusal(429, "slower", retry_after=0.5, headers={"x-tag": "a"}),
        testing.Stream(["a", "b"], cut_after=1),
        testing.Silence(),
        testing.Garbage(b""),
        testing.QUIRKS["usage-null"].with_text("Paris"),
    ]
    async with testing.scripted_endpoint(script) as endpoint:
        assert_type(endpoint.base_url, str)
        assert_type(endpoint.requests, list[testing.Request])
        text: str = endpoint.requests[0].messages[-1]["content"]
        assert_type(text, str)
        assert_type(endpoint.requests[0].headers, Mapping[str, str])


async def answers_of_functions() -> None:
    def now(request: testing.Request) -> testing.Answer | testing.Refusal:
        return testing.Answer("a") if request.body else testing.Refusal(400)

    async def later(request: testing.Request) -> testing.Reply:
        return now(request)

    async with (
        testing.scripted_endpoint(now),
        testing.scripted_endpoint(later),
        testing.scripted_endpoint(lambda _: testing.QUIRKS["usage-null"]),
        testing.replay_endpoint(Path("a"), missing="record") as endpoint,
    ):
        assert_type(endpoint, testing.ScriptedEndpoint)


async def wrong_scripts() -> None:
    testing.Answer("a", log_probs=["a"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    testing.scripted_endpoint(["a"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    testing.replay_endpoint("a", missing="ask")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
