"""Runs with tools from end to end: strict servers, whole and streamed, and checkpoints.

The servers are scripts. Some of them answer 400 where the real ones do: to an echo that has
lost something. The real llama.cpp is in tests/integration/test_tools.py.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any, Literal

import anyio
import attrs
import pytest

import limin
from limin import Client, Conversation, Message, ToolCall
from limin.testing import Answer, Refusal, Request, Silence, scripted_endpoint

ROUNDS = 10
CALLER = Path(__file__).with_name("tool_caller.py")


def add(a: int, b: int = 1) -> int:
    """Add two numbers.

    Args:
        a: The first.
        b: The second.
    """
    return a + b


@attrs.define
class StrictServer:
    """A server that wants each of its messages back as it was.

    Attributes:
        kind: Which field it wants back, and how its calls look.
        said: The messages that it has sent.
    """

    kind: Literal["gemini", "deepseek", "kimi"]
    said: list[Any] = attrs.field(factory=list)

    def respond(self, request: Request) -> Answer | Refusal:
        """Answer with two calls, or after ten rounds with a text."""
        problem = self.find_problem(request.messages)
        if problem is not None:
            return Refusal(400, problem)
        number = len(self.said)
        calls = self.make_calls(number) if number < ROUNDS - 1 else []
        reasoning = None
        if self.kind != "gemini":
            # Kimi wants the field even where it is empty.
            reasoning = "" if self.kind == "kimi" and number % 2 else f"think {number}"
        self.said.append(
            {
                "reasoning_content": reasoning,
                "tool_calls": [call.to_openai() for call in calls],
            }
        )
        text = None if calls else f"{number}"
        return Answer(text, tool_calls=calls, reasoning=reasoning)

    def make_calls(self, number: int) -> list[ToolCall]:
        """Return calls in the server's own spelling."""
        arguments = f'{{ "a": {number},  "b":2}}'
        if self.kind != "gemini":
            return [ToolCall(f"add:{number}", "add", arguments)]
        signed = {"google": {"thought_signature": f"sig+{number}/é=="}}
        first = ToolCall(f"g{number}", "add", arguments, extra={"extra_content": signed})
        # Only the first of parallel calls is signed.
        # https://ai.google.dev/gemini-api/docs/openai
        return [first, ToolCall(f"h{number}", "add", '{"a":1}')]

    def find_problem(self, messages: list[Any]) -> str | None:
        """Return what the echo has lost; None if it is whole."""
        echo = [message for message in messages if message["role"] == "assistant"]
        for sent_back, said in zip(echo, self.said, strict=True):
            if self.kind == "gemini":
                pairs = zip(sent_back["tool_calls"], said["tool_calls"], strict=True)
                if any(mine != yours for mine, yours in pairs):
                    return "Function call is missing a thought_signature"
            elif sent_back.get("reasoning_content") != said["reasoning_content"]:
                return "Missing `reasoning_content` field in the assistant message"
            if sent_back["tool_calls"] != said["tool_calls"]:
                return "the calls are others"
            answered = {call["id"] for call in sent_back["tool_calls"]}
            results = {m.get("tool_call_id") for m in messages if m["role"] == "tool"}
            if not answered <= results:
                return "a call has no result"
        return None


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["gemini", "deepseek", "kimi"])
async def test_ten_rounds_with_a_server_that_wants_everything_back(
    kind: Literal["gemini", "deepseek", "kimi"], *, stream: bool
) -> None:
    """Signatures, reasoning and the model's own spelling go back verbatim."""
    strict = StrictServer(kind)
    async with scripted_endpoint(strict.respond) as server:
        ended = await limin.run_tools(
            "add", [add], base_url=server.base_url, max_rounds=ROUNDS, stream=stream
        )
    assert ended.ended_by == "answer"
    assert (str(ended), len(ended.completions)) == ("9", ROUNDS)
    n_calls = 2 if kind == "gemini" else 1
    assert len(ended.calls) == (ROUNDS - 1) * n_calls
    assert {result.error for result in ended.calls} == {None}
    assert [each.result for each in ended.calls[::n_calls]] == list(range(2, ROUNDS + 1))


@pytest.mark.parametrize("kind", ["gemini", "deepseek", "kimi"])
async def test_lossy_echo_is_refused(
    kind: Literal["gemini", "deepseek", "kimi"],
) -> None:
    """The servers of these tests notice what the test above is about."""
    strict = StrictServer(kind)
    async with (
        scripted_endpoint(strict.respond) as server,
        Client(server.base_url) as client,
    ):
        completion = await client.generate_text_completion("add", tools=[add])
        calls = [attrs.evolve(each, extra=None) for each in completion.tool_calls]
        conversation = Conversation(
            [
                Message("user", "add"),
                Message("assistant", None, tool_calls=calls),
                *(Message("tool", "2", tool_call_id=each.id) for each in calls),
            ]
        )
        problem = "thought_signature" if kind == "gemini" else "reasoning_content"
        with pytest.raises(limin.BadRequestError, match=problem):
            await client.run_tools(conversation, [add])


def counting(request: Request) -> Answer:
    """Call a tool as often as the prompt says, without ids, and then answer."""
    texts = [m["content"] for m in request.messages if m["role"] != "assistant"]
    prompt, *results = texts
    if len(results) < int(prompt.split()[-1]):
        return Answer(None, tool_calls=[ToolCall("", "add", f'{{"a": {len(results)}}}')])
    return Answer(f"{prompt}: {results}")


async def test_choice_forces_the_first_request_alone() -> None:
    """Otherwise no run with `required` would ever come to an answer."""
    async with scripted_endpoint(counting) as server, Client(server.base_url) as client:
        configuration = limin.ModelConfiguration(tools=[add], tool_choice="required")
        options: list[Any] = [
            {"tool_choice": "required"},
            {"tool_choice": {"type": "function", "function": {"name": "add"}}},
            {"model_configuration": configuration},
            {"tool_choice": "auto"},
        ]
        for each in options:
            await client.run_tools("count 2", [add], **each)
    sent = [request.parameters.get("tool_choice") for request in server.requests]
    named = {"type": "function", "function": {"name": "add"}}
    assert sent[:3] == ["required", None, None]
    assert sent[3:6] == [named, None, None]
    assert sent[6:9] == ["required", None, None]
    assert sent[9:] == ["auto"] * 3


async def test_function_and_method_do_the_same() -> None:
    """A prompt or a conversation, a system prompt, and the tools with their schemas."""
    async with scripted_endpoint(counting) as server, Client(server.base_url) as client:
        for run in (client.run_tools, limin.run_tools):
            own: Any = {} if run == client.run_tools else {"base_url": server.base_url}
            prompted = await run("count 1", [add], max_tokens=5, seed=1, **own)
            conversed = await run(Conversation.from_prompts("count 1"), [add], **own)
            assert str(prompted) == str(conversed) == "count 1: ['1']"
    bodies = [json.loads(request.body) for request in server.requests]
    assert bodies[0] == bodies[4]
    assert (bodies[0]["max_tokens"], bodies[0]["seed"]) == (5, 1)
    (tool,) = bodies[0]["tools"]
    assert tool["function"]["description"] == "Add two numbers."
    assert tool["function"]["parameters"]["properties"]["a"]["description"] == "The first."


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"max_rounds": 0}, "max_rounds: expected an integer of at least 1, found 0"),
        ({"max_calls": 0}, "max_calls: expected at least 1, found 0"),
        ({"max_seconds": -1}, "max_seconds: expected seconds above 0 or None, found -1"),
        ({"n_parallel": 0}, "n_parallel: expected an integer of at least 1, found 0"),
        ({"tool_timeout": 0}, "tool_timeout: expected seconds above 0 or None, found 0"),
        (
            {"on_tool_error": "hide"},
            "on_tool_error: expected tell, tell-all or raise, found another str",
        ),
        ({"checkpoint": 5}, "checkpoint: expected a path or None, found 5"),
        ({"fsync": "yes"}, "fsync: expected True or False, found a str"),
    ],
)
async def test_option_that_makes_no_sense(options: Any, problem: str) -> None:
    """It is refused before anything is sent."""
    async with scripted_endpoint(counting) as server:
        with pytest.raises(limin.ConfigurationError) as raised:
            await limin.run_tools("count 1", [add], base_url=server.base_url, **options)
    assert (str(raised.value), server.requests) == (problem, [])


@pytest.mark.parametrize(
    ("tools", "problem"),
    [
        ([add, add], "tools: expected another name for each"),
        ([5], "tools[0]: expected a function, a Tool or a mapping, found an int"),
        (["add"], "tools[0]: expected a function, a Tool or a mapping, found a str"),
        ([lambda a: a], "the parameter a has no annotation"),
    ],
)
async def test_tools_that_make_no_sense(tools: Any, problem: str) -> None:
    """They are refused before anything is sent."""
    async with scripted_endpoint(counting) as server:
        with pytest.raises(limin.ConfigurationError) as raised:
            await limin.run_tools("count 1", tools, base_url=server.base_url)
    assert problem in str(raised.value)
    assert server.requests == []


async def test_unknown_option() -> None:
    """Options of other functions are no options of this one."""
    with pytest.raises(TypeError, match="run_tools"):
        await limin.run_tools("count 1", [add], show_progress=True)  # type: ignore[call-arg]  # on purpose


async def test_second_run_is_out_of_the_checkpoint(tmp_path: Path) -> None:
    """Each request is a line; tools run again, and nothing is asked again."""
    path, n_added = tmp_path / "run.jsonl", 0

    def add_and_count(a: int) -> int:
        """Add one."""
        nonlocal n_added
        n_added += 1
        return a + 1

    tool = limin.Tool("add", "", {"type": "object"}, add_and_count)
    async with scripted_endpoint(counting) as server:
        runs = [
            await limin.run_tools(
                "count 3",
                [tool],
                base_url=server.base_url,
                checkpoint=path,
                tool_choice=choice,
                fsync=True,
            )
            for choice in (None, None, "required", "required")
        ]
    assert len(server.requests) == 4 + 1  # The first of the forced ones is another.
    assert len(list(limin.read_checkpoint(path))) == 5
    assert n_added == 12
    assert {str(run) for run in runs} == {"count 3: ['1', '2', '3']"}
    assert runs[1].conversation == runs[0].conversation
    ids = [message.tool_call_id for message in runs[0].conversation.messages]
    assert [each for each in ids if each] == ["call00001", "call00002", "call00003"]


@pytest.mark.parametrize("stream", [False, True])
async def test_many_runs_over_one_checkpoint(tmp_path: Path, *, stream: bool) -> None:
    """Calls of one process share the file; the second time nothing is sent."""
    path, prompts = tmp_path / "run.jsonl", [f"{n} count {n % 4}" for n in range(12)]

    async with scripted_endpoint(counting) as server, Client(server.base_url) as client:

        async def ask(prompt: str) -> str:
            ended = await client.run_tools(prompt, [add], checkpoint=path, stream=stream)
            return str(ended)

        for _ in range(2):
            answers = await limin.run_parallel(prompts, ask, 4, show_progress=False)
            assert answers[3] == "3 count 3: ['1', '2', '3']"
            assert len(server.requests) == 12 + 18


async def test_checkpoint_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is the checkpoint's, and the answer that came is in its run."""

    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("limin.checkpoint.open_file.OpenFile.add", fail)
    async with scripted_endpoint(counting) as server:
        with pytest.raises(limin.CheckpointError, match="No space left") as raised:
            await limin.run_tools(
                "count 2", [add], base_url=server.base_url, checkpoint=tmp_path / "a"
            )
    before = raised.value.tool_run
    assert before is not None
    assert (len(before.completions), len(server.requests)) == (1, 1)


async def test_error_of_the_server_has_the_run(tmp_path: Path) -> None:
    """A run that failed goes on where it was, once the server does."""
    path, broken = tmp_path / "run.jsonl", True

    def respond(request: Request) -> Answer | Refusal:
        if broken and len(request.messages) > 3:
            return Refusal(500)
        return counting(request)

    async with (
        scripted_endpoint(respond) as server,
        Client(server.base_url, max_retries=0) as client,
    ):
        with pytest.raises(limin.ServerError) as raised:
            await client.run_tools("count 2", [add], checkpoint=path)
        broken = False
        ended = await client.run_tools("count 2", [add], checkpoint=path)
    assert raised.value.tool_run is not None
    assert raised.value.tool_run.calls[0].result == 1
    assert str(ended) == "count 2: ['1', '2']"
    assert len(server.requests) == 2 + 2


async def test_cancelled_run_keeps_its_answers(tmp_path: Path) -> None:
    """They are in the file, and the same call goes on from there."""
    path = tmp_path / "run.jsonl"

    def respond(request: Request) -> Answer | Silence:
        if len(request.messages) > 3:
            silent.set()
            return Silence()
        return counting(request)

    silent = anyio.Event()
    async with scripted_endpoint(respond) as server, Client(server.base_url) as client:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:

                async def run() -> None:
                    await client.run_tools("count 2", [add], checkpoint=path)

                tasks.start_soon(run)
                await silent.wait()
                scope.cancel()
    assert len(list(limin.read_checkpoint(path))) == 2


async def test_warning_about_a_choice_that_was_ignored() -> None:
    """It is in the completions of the run, as everywhere."""
    async with scripted_endpoint(counting) as server:
        ended = await limin.run_tools(
            "count 0", [add], base_url=server.base_url, tool_choice="required"
        )
    codes = [warning.code for warning in ended.completion.warnings]
    assert codes == [limin.WarningCode.TOOL_CHOICE_IGNORED]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_killed_run_goes_on_where_it_was(
    anyio_backend_name: str, tmp_path: Path
) -> None:
    """Kill -9 in a tool costs no answer that came, though the server sends no ids."""
    path = tmp_path / "run.jsonl"

    def command(base_url: str, die_at: int) -> list[str]:
        program = [sys.executable, str(CALLER), base_url, anyio_backend_name]
        return [*program, str(path), str(die_at)]

    async with scripted_endpoint(counting) as server:
        n_asked = []
        for die_at in (2, 4, -1):
            before = len(server.requests)
            with anyio.fail_after(60):
                ended = await anyio.run_process(
                    command(server.base_url, die_at), check=False, stderr=PIPE
                )
            n_asked.append(len(server.requests) - before)
            killed = ended.returncode == -signal.SIGKILL
            assert killed == (die_at > 0), ended.stderr
    assert n_asked == [3, 2, 2]
    assert ended.stdout.decode() == "count 6: ['1', '2', '3', '4', '5', '6']\n"


async def test_reasoning_is_in_the_conversation() -> None:
    """What a server wants back can be read by the user, too."""
    strict = StrictServer("deepseek")
    async with scripted_endpoint(strict.respond) as server:
        ended = await limin.run_tools("add", [add], base_url=server.base_url, max_rounds=2)
    assert ended.ended_by == "max-rounds"
    extras = [message.extra for message in ended.conversation.messages]
    assert extras[1::2] == [
        {"reasoning_content": "think 0"},
        {"reasoning_content": "think 1"},
    ]
