"""Completions for blocks, called as Ray's actors call them; Ray itself is in tests/ray."""

from __future__ import annotations

import gc
import inspect
import json
import pickle
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pyarrow as pa
import pytest
from answers import answer_body
from loopback import Request, completion, echo, http
from programs import serving

from limin import Limits, read_checkpoint
from limin.errors import (
    AuthenticationError,
    CheckpointError,
    ConfigurationError,
    ConversationError,
)
from limin.ray import TextCompletions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopback import Loopback


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    """A server that sends each prompt back; refuses some, as they say."""
    with serving(answer) as server:
        yield server


async def answer(request: Request) -> bytes:
    """Answer the last prompt with itself."""
    if request.prompt.startswith("refuse"):
        return http(b'{"error": {"message": "too odd"}}', "400 Bad Request")
    if request.prompt.startswith("forbid"):
        return http(b'{"error": {"message": "wrong key"}}', "401 Unauthorized")
    if request.prompt.startswith("absurd"):
        return http(completion("a", usage={"prompt_tokens": 10**30}))
    if request.prompt.startswith("decide"):
        return http(json.dumps(answer_body({"A": 0.9})).encode())
    return await echo(request)


@pytest.fixture
def asking(server: Loopback) -> Iterator[Any]:
    """A function that makes instances, which are closed at the end."""
    server.requests.clear()
    server.most_in_flight = 0
    made: list[TextCompletions] = []

    def ask(**options: Any) -> TextCompletions:
        made.append(TextCompletions(**{"base_url": server.base_url, **options}))
        return made[-1]

    yield ask
    for each in made:
        each.close()


def block(*prompts: str | None) -> Any:
    return pa.table(
        {"prompt": list(prompts), "id": pa.array(range(len(prompts)), pa.int8())}
    )


def test_ray_sees_an_async_class() -> None:
    """Ray hands several batches at once to a class whose call is a coroutine function."""
    assert inspect.iscoroutinefunction(TextCompletions.__call__)


async def test_rows_keep_their_columns(asking: Any) -> None:
    """Each row has an answer or an error, once, and in its place."""
    out = await asking()(block("a", None, "refuse", "b"))
    assert out.column_names[:2] == ["prompt", "id"]
    assert str(out.schema.field("id").type) == "int8"
    assert out.column("answer").to_pylist() == ["a", None, None, "b"]
    kinds = [None, "ConversationError", "BadRequestError", None]
    assert out.column("error_kind").to_pylist() == kinds
    assert "too odd" in out.column("error").to_pylist()[2]


async def test_all_blocks_have_one_client_and_one_bound(
    asking: Any, server: Loopback
) -> None:
    """However many batches Ray hands over at once, requests are bounded."""
    completions = asking(n_parallel=2)
    connections = server.connections

    async def call(*prompts: str) -> None:
        out = await completions(block(*prompts))
        assert out.column("answer").to_pylist() == list(prompts)

    for _ in range(2):
        async with anyio.create_task_group() as tasks:
            for name in "abcd":
                tasks.start_soon(call, *(f"{name}{n}" for n in range(5)))
    assert len(server.requests) == 40
    assert server.most_in_flight <= 2
    assert server.connections - connections <= 2


async def test_auto_finds_the_number(asking: Any) -> None:
    """Parallelism is found over all blocks."""
    out = await asking(n_parallel="auto")(block(*"abcdef"))
    assert out.column("answer").to_pylist() == list("abcdef")


async def test_counts_that_no_column_holds(asking: Any) -> None:
    """A hostile count fails no block."""
    out = await asking()(block("absurd"))
    assert out.column("error_kind").to_pylist()[0] in {None, "ResponseError"}
    assert out.column("prompt_tokens").to_pylist() == [None]


async def test_messages_and_templates(asking: Any, server: Loopback) -> None:
    """Conversations come from a column, or prompts from several."""
    chats = pa.table({"chat": [[{"role": "user", "content": "hi"}]]})
    out = await asking(messages_column="chat")(chats)
    assert out.column("answer").to_pylist() == ["hi"]
    options = {"template": "{id}: {prompt}", "system_prompt": "Be kind."}
    out = await asking(**options, max_tokens=3, prefix="out_")(block("x"))
    assert out.column("out_answer").to_pylist() == ["0: x"]
    sent = json.loads(server.requests[-1].body)
    assert sent["messages"][0] == {"role": "system", "content": "Be kind."}
    assert sent["max_tokens"] == 3


async def test_answers_of_a_type(asking: Any) -> None:
    """The column `value` has the JSON alone, whatever stands around it."""
    fence = '```json\n{"a": 1}\n```'
    out = await asking(response_type=dict[str, int])(block(fence, "no"))
    assert out.column("value").to_pylist() == ['{"a": 1}', None]
    assert out.column("answer").to_pylist() == [fence, "no"]
    assert out.column("error_kind").to_pylist() == [None, "StructuredOutputError"]


async def test_decisions(asking: Any) -> None:
    """Labels have probabilities; rows that fail are rows."""
    out = await asking(labels=["yes"], by="letter")(block("decide", None))
    assert out.column("label").to_pylist() == ["yes", None]
    assert out.column("prob.yes").to_pylist() == [1.0, None]
    assert out.column("error_kind").to_pylist() == [None, "ConversationError"]


async def test_error_that_would_fail_every_row(asking: Any, server: Loopback) -> None:
    """A wrong key fails the block instead of a million rows; the next block is asked."""
    completions = asking(n_parallel=1)
    with pytest.raises(AuthenticationError, match="wrong key"):
        await completions(block("forbid", "a", "b"))
    assert len(server.requests) == 1
    out = await completions(block("c"))
    assert out.column("answer").to_pylist() == ["c"]


async def test_checkpoint_is_a_folder(
    asking: Any, server: Loopback, tmp_path: Path
) -> None:
    """A second run pays for what has no answer, also for decisions."""
    path = tmp_path / "run"
    for prompts in (("a", "refuse"), ("a", "b", "refuse")):
        completions = asking(checkpoint=path, fsync=True)
        out = await completions(block(*prompts))
        assert out.column("answer").to_pylist()[0] == "a"
        completions.close()
    assert [r.prompt for r in server.requests] == ["a", "refuse", "b", "refuse"]
    assert [c.message for c in read_checkpoint(path)] == ["a", "b"]
    for _ in range(2):
        completions = asking(checkpoint=tmp_path / "decided", labels=["yes"])
        await completions(block("decide"))
        completions.close()
    assert len(server.requests) == 5


async def test_checkpoint_that_cannot_be_used(asking: Any, tmp_path: Path) -> None:
    """Each block says why, before anything is sent."""
    (tmp_path / "run").write_text("")
    completions = asking(checkpoint=tmp_path / "run")
    for _ in range(2):
        with pytest.raises(CheckpointError, match="File exists"):
            await completions(block("a"))


async def test_empty_block() -> None:
    """It has the columns, and no client is needed: engines ask for the columns so."""
    out = await TextCompletions()(
        block().cast(pa.schema({"prompt": pa.string(), "id": pa.int8()}))
    )
    assert (out.num_rows, "answer" in out.column_names) == (0, True)


def test_instance_opens_nothing(tmp_path: Path) -> None:
    """Made in the driver, it checks its arguments, without a key and without a folder."""
    before = threading.active_count()
    TextCompletions(checkpoint=tmp_path / "run", base_url=["http://a/v1", "http://b/v1"])
    assert threading.active_count() == before
    assert list(tmp_path.iterdir()) == []


async def test_no_key_is_told_in_the_first_block() -> None:
    """OpenAI's own server wants one, which only the actor's environment can have."""
    with pytest.raises(ConfigurationError, match="set OPENAI_API_KEY"):
        await TextCompletions()(block("a"))


async def test_bug_in_an_option_is_no_silence(server: Loopback) -> None:
    """Whatever keeps the client from being made is raised in the block."""
    limits: Any = object()
    completions = TextCompletions(base_url=server.base_url, limits=limits)
    with pytest.raises(ConfigurationError, match="limits: expected"):
        await completions(block("a"))


async def test_closed_instance_is_opened_again(asking: Any) -> None:
    """Whoever closes it ends its thread, and may go on."""
    before = threading.active_count()
    completions = asking(limits=Limits(), requests_per_minute=6000)
    for prompt in "ab":
        await completions(block(prompt))
        completions.close()
        completions.close()
        assert "limin" not in {thread.name for thread in threading.enumerate()}
    assert threading.active_count() <= before + 1  # One of anyio's may be idle.


async def test_forgotten_instance_ends_its_thread(server: Loopback) -> None:
    """Ray drops the instance of an actor that ends in good order."""
    completions = TextCompletions(base_url=server.base_url)
    await completions(block("a"))
    assert "limin" in {thread.name for thread in threading.enumerate()}
    del completions
    with anyio.fail_after(20):  # A thread that waits for work may still hold the last one.
        while "limin" in {thread.name for thread in threading.enumerate()}:
            gc.collect()
            await anyio.lowlevel.checkpoint()


FORGETFUL = """
import sys, anyio, pyarrow as pa
from limin.ray import TextCompletions
completions = TextCompletions(base_url=sys.argv[1])
print(anyio.run(completions, pa.table({"prompt": ["a"]})).column("answer").to_pylist())
"""


def test_program_ends_by_itself(server: Loopback) -> None:
    """A program that closes nothing ends all the same, without a word."""
    command = [sys.executable, "-W", "error", "-c", FORGETFUL, server.base_url]
    done = subprocess.run(  # noqa: S603 (our own program)
        command, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "['a']\n", "")


SECRET = "sk-very-secret-key"  # noqa: S105 (it opens nothing)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"api_key": SECRET}, "api_key: expected none .* environment"),
        ({"headers": {"Authorization": SECRET}}, "found authorization.* OPENAI_API_KEY"),
        ({"headers": {"x": "1", "Api-Key": SECRET}}, "headers: expected none with a key"),
        ({"base_url": f"http://a/v1?key={SECRET}"}, "set OPENAI_BASE_URL"),
        ({"base_url": ["http://a/v1", f"http://a/v1?key={SECRET}"]}, "OPENAI_BASE_URL"),
    ],
)
def test_arguments_hold_no_key(options: dict[str, Any], problem: str) -> None:
    """Ray stores arguments; the error says where the key belongs, and does not show it."""
    with pytest.raises(ConfigurationError, match=problem) as caught:
        TextCompletions(**options)
    assert SECRET not in str(caught.value)


async def test_key_is_that_of_the_environment(
    asking: Any, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read with the first block, and is in no column and no repr."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    completions = asking(headers={"X-Team": "red"})
    out = await completions(block("a", "refuse"))
    assert f"Bearer {SECRET}".encode() in server.requests[0].head
    assert b"red" in server.requests[0].head
    assert SECRET not in str(out.to_pylist()) + repr(completions)
    with pytest.raises(TypeError):
        pickle.dumps(completions)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"n_parallel": 0}, "n_parallel: expected"),
        ({"temperature": "hot"}, "temperature: expected"),
        ({"headers": 5}, "headers: expected"),
        ({"base_url": 5}, "base_url: expected a URL"),
        ({"base_url": [5]}, "base_url: expected a URL"),
        ({"base_url": "http://[::1"}, "base_url: expected http"),
        ({"checkpoint": 5}, "checkpoint: expected a path"),
        ({"prefix": 5}, "prefix: expected"),
        ({"response_type": 5}, "response_type"),
        ({"reask": 1}, "reask: expected response_type"),
        ({"labels": ["a"], "response_type": int}, "response_type: expected none beside"),
        ({"labels": ["a"], "stream": True}, "stream: expected none beside labels"),
        ({"labels": []}, "labels: expected"),
        ({"orders": 2}, "orders: expected none without labels"),
    ],
)
def test_arguments_that_make_no_sense(options: dict[str, Any], problem: str) -> None:
    """They are refused at construction, which a driver can do before Ray does."""
    with pytest.raises(ConfigurationError, match=problem):
        TextCompletions(**options)


def test_system_prompt_that_is_no_text() -> None:
    """It would fail every row."""
    prompt: Any = 5
    with pytest.raises(ConversationError, match="system message: expected"):
        TextCompletions(system_prompt=prompt)


@pytest.mark.parametrize("name", ["tools", "max_total_tokens", "api_keys", "http_client"])
def test_unknown_options(name: str) -> None:
    """They are told by name."""
    options: dict[str, Any] = {name: 1}
    with pytest.raises(TypeError, match=name):
        TextCompletions(**options)


async def test_column_that_is_missing_or_taken(asking: Any, server: Loopback) -> None:
    """The block fails, since every row would."""
    with pytest.raises(ConfigurationError, match="found none named 'question'"):
        await asking(prompt_column="question")(block("a"))
    with pytest.raises(ConfigurationError, match="found answer"):
        await asking()(pa.table({"prompt": ["a"], "answer": ["b"]}))
    assert server.requests == []


async def test_replicas(server: Loopback) -> None:
    """Several base URLs are replicas of one endpoint, and share the rows."""
    with serving() as other:
        completions = TextCompletions(base_url=[server.base_url, other.base_url])
        try:
            out = await completions(block(*map(str, range(40))))
        finally:
            completions.close()
        assert out.column("answer").to_pylist() == list(map(str, range(40)))
        assert other.requests
