from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from builders import TIMING, body_of, capture, captures, response
from hypothesis import given
from hypothesis import strategies as st

from limin.checkpoint.file import Checkpoint, read_checkpoint
from limin.errors import CheckpointError, LiminError, RateLimitError
from limin.values.configuration import ModelConfiguration
from limin.values.conversation import Conversation, Message
from limin.values.timing import Attempt, Latency, Timing
from limin.values.warnings import ResponseWarning, WarningCode
from limin.wire.request import RequestEncoder
from limin.wire.response import ReadingContext, read_completion

if TYPE_CHECKING:
    from limin.checkpoint.line import RecordedAnswer
    from limin.values.completion import TextCompletion

FAILED = Attempt(
    start_time=1000.0, duration=0.1, error=RateLimitError(429, "slower"), waited=0.5
)
RETRIED = Timing(
    start_time=1000.0,
    end_time=1002.5,
    duration=2.25,
    attempts=(FAILED, Attempt(start_time=1000.6, duration=0.30000000000000004)),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def request(prompt: str = "hi", **parameters: Any) -> bytes:
    """Return the body that asks *prompt*."""
    encoder = RequestEncoder.of(ModelConfiguration(**{"model": "m", **parameters}))
    return encoder.encode(Conversation.from_prompts(prompt))


def completed(
    prompt: str = "hi",
    body: object = None,
    *,
    timing: Timing = TIMING,
    request_id: str | None = None,
    **question: Any,
) -> TextCompletion:
    """Return the completion of *prompt* that limin reads in *body*."""
    asked = ReadingContext(
        conversation=Conversation.from_prompts(prompt), **{"model": "m", **question}
    )
    headers = {"x-request-id": request_id} if request_id else {}
    body = body_of(f"re: {prompt}") if body is None else body
    return read_completion(asked, timing, response(body, headers=headers))


def write(path: Path, *prompts: str) -> bytes:
    """Write a checkpoint of *prompts*, each with an answer of its own; return its bytes."""
    with Checkpoint.open(path) as checkpoint:
        for index, prompt in enumerate(prompts):
            body = body_of(f"answer {index} to {prompt}")
            checkpoint.add(request(prompt), completed(prompt, body))
    return path.read_bytes()


def answers(path: Path) -> list[str]:
    """Return the answers in the checkpoint."""
    return [completion.message for completion in read_checkpoint(path)]


def text_of(recorded: RecordedAnswer | None) -> str:
    """Return the text of a recorded answer."""
    assert recorded is not None
    return completed(body=recorded.answer.body).message


def same(first: TextCompletion, second: TextCompletion) -> bool:
    """Return whether both are equal, except for the types of their attempts' errors."""
    timings = [attrs.evolve(each.timing, attempts=()) for each in (first, second)]
    attempts = [
        [attrs.evolve(attempt, error=None) for attempt in each.timing.attempts]
        for each in (first, second)
    ]
    rest = [
        attrs.evolve(each, timing=TIMING, choices=(), prompt_log_probs=None)
        for each in (first, second)
    ]
    choices = [
        [attrs.evolve(choice, log_probs=None) for choice in each.choices]
        for each in (first, second)
    ]
    return (
        timings[0] == timings[1]
        and attempts[0] == attempts[1]
        and rest[0] == rest[1]
        and choices[0] == choices[1]
        and first.full_token_log_probs == second.full_token_log_probs
        and first.warnings == second.warnings
    )


def restored(path: Path, body: bytes, completion: TextCompletion) -> TextCompletion:
    """Write *completion* to the file as the answer to *body*, and read it again."""
    with Checkpoint.open(path) as checkpoint:
        checkpoint.add(body, completion)
    (completion,) = read_checkpoint(path)
    return completion


@pytest.mark.parametrize(
    "body",
    [
        body_of("four"),
        b"\xef\xbb\xbf" + json.dumps(body_of("four")).encode(),
        b'{"choices": [{"message": {"content": "\xff\xfe"}}]}',
        b'{"choices": [{"message": {"content": "four"}, "score": NaN}]}',
        '{"choices": [{"message": {"content": "\u2028\\u0000\\ud800"}}]}',
    ],
)
def test_completion_comes_back_as_it_was(path: Path, body: object) -> None:
    """A completion is read as it was written, whatever the server sent."""
    completion = completed(body=body, timing=RETRIED, request_id="r-1")
    assert same(restored(path, request(), completion), completion)


@pytest.mark.parametrize("name", [name for name in captures() if "-logprobs_" in name])
def test_log_probs_come_back(path: Path, name: str) -> None:
    """A checkpoint loses no token that real servers sent."""
    exchange = capture(name)
    top = exchange["request"].get("top_logprobs")
    completion = completed(body=exchange["body"], asks_log_probs=True, top_log_probs=top)
    body = request(log_probs=True, top_log_probs=top)
    read = restored(path, body, completion)
    assert read.log_probs is not None
    assert same(read, completion)


def test_failed_attempts_say_what_they_were(path: Path) -> None:
    """The class and the sentence of an error stay, with the attempt that had it."""
    with Checkpoint.open(path) as checkpoint:
        checkpoint.add(request(), completed(timing=RETRIED))
    (completion,) = read_checkpoint(path)
    first, last = completion.timing.attempts
    assert str(first.error) == "RateLimitError: the server answered 429: slower"
    assert type(first.error) is LiminError
    assert (first.waited, last.error, last.duration) == (0.5, None, 0.30000000000000004)


STREAMED = attrs.evolve(
    TIMING,
    time_to_first_byte=0.1,
    time_to_first_token=0.2,
    time_to_first_text=0.30000000000000004,
    inter_token_latency=Latency.of([0.1, 0.2]),
    tokens_per_second=7.5,
    delta_times=[0.2, 0.3],
)


def test_times_of_a_stream_come_back(path: Path) -> None:
    """To the last digit, and none where none were taken."""
    with Checkpoint.open(path) as checkpoint:
        checkpoint.add(request(), completed(timing=STREAMED))
        checkpoint.add(request(), completed())
    streamed, whole = read_checkpoint(path)
    assert attrs.evolve(streamed.timing, attempts=()) == STREAMED
    assert whole.timing == TIMING
    assert b'"streamed":null' not in path.read_bytes()


def test_warnings_of_chunks_come_back(path: Path) -> None:
    """The body that was put together of them does not show their oddities."""
    odd = ResponseWarning(WarningCode.BODY_MENDED, "$.choices[0].delta", "odd", 2)
    streamed = attrs.evolve(completed(timing=STREAMED), body_warnings=(odd,))
    with Checkpoint.open(path) as checkpoint:
        checkpoint.add(request(), streamed)
    (completion,) = read_checkpoint(path)
    assert completion.warnings == (odd,)
    with Checkpoint.open(path) as checkpoint:
        recorded = checkpoint.take(request())
    assert recorded is not None
    question = ReadingContext(conversation=Conversation.from_prompts("hi"), model="m")
    assert recorded.completion(question).warnings == (odd,)


def test_recorded_line_is_taken(path: Path) -> None:
    """A run goes on with the answer, the time and the id that were recorded."""
    with Checkpoint.open(path) as checkpoint:
        checkpoint.add(request(), completed(timing=RETRIED, request_id="r-1"))
        checkpoint.add(request("other"), completed("other"))
    with Checkpoint.open(path) as checkpoint:
        recorded = checkpoint.take(request())
        unnamed = checkpoint.take(request("other"))
    assert recorded is not None
    assert (recorded.answer.status, recorded.answer.request_id) == (200, "r-1")
    assert text_of(recorded) == "re: hi"
    assert recorded.timing.duration == RETRIED.duration
    assert len(recorded.timing.attempts) == 2
    assert unnamed is not None
    assert unnamed.answer.request_id is None


def test_equal_requests_are_told_apart_by_count(path: Path) -> None:
    """Three samples of one prompt are three answers, each taken once, first come first."""
    write(path, "a", "b", "a", "a")
    with Checkpoint.open(path) as checkpoint:
        taken = [text_of(checkpoint.take(request("a"))) for _ in range(3)]
        assert checkpoint.take(request("a")) is None
        assert text_of(checkpoint.take(request("b"))) == "answer 1 to b"
    assert taken == ["answer 0 to a", "answer 2 to a", "answer 3 to a"]


def test_lines_of_this_run_are_not_taken(path: Path) -> None:
    """An answer of this run is not the answer to its next equal prompt."""
    with Checkpoint.open(path) as checkpoint:
        checkpoint.add(request(), completed())
        assert checkpoint.take(request()) is None


def test_taking_and_adding_by_turns(path: Path) -> None:
    """Reading back moves no line that is written."""
    write(path, "a", "b")
    with Checkpoint.open(path) as checkpoint:
        assert text_of(checkpoint.take(request("b"))) == "answer 1 to b"
        checkpoint.add(request("c"), completed("c"))
        assert text_of(checkpoint.take(request("a"))) == "answer 0 to a"
    assert answers(path) == ["answer 0 to a", "answer 1 to b", "re: c"]


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "another"},
        {"temperature": 0.5},
        {"log_probs": True},
        {"extra_body": {"n": 2}},
        {"prompt": "hi "},
    ],
)
def test_changed_request_is_another(path: Path, changed: dict[str, Any]) -> None:
    """An answer to something else is no answer."""
    write(path, "hi")
    with Checkpoint.open(path) as checkpoint:
        assert checkpoint.take(request(**changed)) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b'{"a":{"x":1,"y":2},"messages":[]}', b'{"messages":[], "a":{"y":2,"x":1}}'),
        (b'{"b":"\\ud800","messages":[]}', b'{"messages":[],"b":"\\uD800"}'),
        (b'{"stream":true,"stream_options":{},"messages":[]}', b'{"messages":[]}'),
        (b'{"stream":true,"b":"\\udfff","messages":[]}', b'{"messages":[],"b":"\\udfff"}'),
    ],
)
def test_same_question_in_another_form(path: Path, first: bytes, second: bytes) -> None:
    """Neither the order of keys nor the way of fetching makes another question."""
    with Checkpoint.open(path) as checkpoint:
        checkpoint.add(first, completed())
    with Checkpoint.open(path) as checkpoint:
        assert text_of(checkpoint.take(second)) == "re: hi"


def test_half_surrogates_do_not_stop_a_run(path: Path) -> None:
    """JSON's escapes can carry what UTF-8 cannot; the line is whole all the same."""
    body = request(extra_body={"stop": "\ud800", "\udfff": 10**30})
    completion = completed(
        timing=attrs.evolve(
            TIMING,
            attempts=(
                Attempt(start_time=1.0, duration=1.0, error=LiminError("half: \ud800")),
            ),
        )
    )
    assert restored(path, body, completion).message == "re: hi"
    line = json.loads(path.read_bytes())
    assert line["parameters"] == {
        "model": "m",
        "temperature": 0.7,
        "stop": "?",
        "?": 10**30,
    }
    assert line["attempts"][0]["error"] == "LiminError: half: ⟨U+D800⟩"


def test_line_is_read_by_other_programs(path: Path) -> None:
    """The format is a contract: field by field."""
    with Checkpoint.open(path) as checkpoint:
        checkpoint.add(
            request(temperature=0.5).replace(b"{", b'{"stream":true,', 1),
            completed(timing=RETRIED, request_id="r-1"),
        )
    canonical = (
        b'{"messages":[{"content":"hi","role":"user"}],"model":"m","temperature":0.5}'
    )
    assert path.read_bytes().startswith(b'{"limin_checkpoint":1,')
    assert path.read_bytes().endswith(b"}\n")
    assert json.loads(path.read_bytes()) == {
        "limin_checkpoint": 1,
        "request": hashlib.sha256(canonical).hexdigest(),
        "messages": [{"role": "user", "content": "hi"}],
        "parameters": {"model": "m", "temperature": 0.5, "stream": True},
        "start_time": 1000.0,
        "end_time": 1002.5,
        "duration": 2.25,
        "attempts": [
            {
                "start_time": 1000.0,
                "duration": 0.1,
                "waited": 0.5,
                "error": "RateLimitError: the server answered 429: slower",
            },
            {
                "start_time": 1000.6,
                "duration": 0.30000000000000004,
                "waited": 0.0,
                "error": None,
            },
        ],
        "request_id": "r-1",
        "body": json.dumps(body_of("re: hi")),
    }


def test_body_that_is_no_text(path: Path) -> None:
    """Bytes that JSON cannot hold are kept in base64, to the last one."""
    body = b'{"choices": [{"message": {"content": "\xff"}}]}'
    completion = attrs.evolve(completed(), raw_bytes=body)
    with Checkpoint.open(path) as checkpoint:
        checkpoint.add(request(), completion)
    line = json.loads(path.read_bytes())
    assert line["body"] is None
    with Checkpoint.open(path) as checkpoint:
        recorded = checkpoint.take(request())
    assert recorded is not None
    assert recorded.answer.body == body


def test_any_conversation_comes_back(path: Path) -> None:
    """Every conversation that could be sent can be read."""
    roles = ["developer", "user", "assistant", "tool", "tool", "assistant", "user"]
    conversation = Conversation([Message(role, role * 2) for role in roles])  # type: ignore[arg-type] # from a list
    body = RequestEncoder.of(ModelConfiguration(model="m")).encode(conversation)
    completion = attrs.evolve(completed(), conversation=conversation)
    assert restored(path, body, completion).conversation == conversation


def test_line_torn_at_any_byte_is_dropped(path: Path) -> None:
    """Nothing stays of a line that was not finished, and all of the others."""
    first = len(write(path, "a"))
    whole = write(path, "b")
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        assert answers(path) == ["answer 0 to a"]
        assert path.stat().st_size == cut
        with Checkpoint.open(path) as checkpoint:
            assert checkpoint.take(request("b")) is None
            assert text_of(checkpoint.take(request("a"))) == "answer 0 to a"
        assert path.read_bytes() == whole[:first]


LINE = (
    b'{"limin_checkpoint":1,"request":"%b","messages":[],"parameters":{},'
    b'"start_time":0,"end_time":0,"duration":0,"attempts":[],"request_id":null,"body":1}\n'
)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"Dear diary,\nnothing today.\n", 1),
        (b"Dear diary", 1),
        (b'{"name": "Ada"}\n{"name": "Alan"}\n', 1),
        (b"[1]\n", 1),
        (b"\n", 1),
        (b"\xff\xfe\n", 1),
        (b"[" * 100_000 + b"\n", 1),
        (b'{"limin_checkpoint":1,"request":"00"}\n', 1),
        (b'{"limin_checkpoint":2,"request":"00"}\n', 1),
        (b'{"limin_checkpoint":2,"requ', 1),
        (LINE.replace(b"1}", b"null}") % b"no hash", 1),
        (LINE % (b"0123" * 16), 1),
    ],
)
@pytest.mark.parametrize("before", [0, 1])
def test_what_is_no_checkpoint_stays_as_it_is(
    path: Path, content: bytes, line: int, before: int
) -> None:
    """Another program's file, named by mistake, loses no byte."""
    content = write(path, *["a"] * before) + content
    path.write_bytes(content)
    for read in (Checkpoint.open, answers):
        with pytest.raises(
            CheckpointError, match=f"line {line + before}: expected"
        ) as caught:
            read(path)
        assert caught.value.path == str(path)
        assert path.read_bytes() == content


def test_empty_file_is_a_new_checkpoint(path: Path) -> None:
    """A file that `touch` or `mktemp` made can be used."""
    path.touch()
    assert answers(path) == []
    write(path, "a")
    assert answers(path) == ["answer 0 to a"]


def test_more_fields_do_no_harm(path: Path) -> None:
    """Users may add columns of their own."""
    line = json.loads(write(path, "a")) | {"mine": [1]}
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert answers(path) == ["answer 0 to a"]
    with Checkpoint.open(path) as checkpoint:
        assert text_of(checkpoint.take(request("a"))) == "answer 0 to a"


@pytest.mark.parametrize(
    "changed",
    [
        {"body": "[]"},
        {"body": None},
        {"messages": [{"role": "tool", "content": "hi"}]},
        {"messages": [{"role": "nobody", "content": "hi"}]},
    ],
)
def test_line_without_completion_is_named(path: Path, changed: dict[str, Any]) -> None:
    """A line that somebody changed says where it is, and repeats no prompt."""
    write(path, "a", "b")
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    lines[1] |= changed
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    completions = read_checkpoint(path)
    assert next(completions).message == "answer 0 to a"
    with pytest.raises(CheckpointError, match="line 2: expected a completion"):
        next(completions)


@pytest.mark.parametrize("where", ["missing/run.jsonl", ""])
def test_path_that_cannot_be_opened(tmp_path: Path, where: str) -> None:
    """A missing folder, or a folder itself, is an error before anything is sent."""
    path = str(tmp_path / where)
    for read in (Checkpoint.open, lambda path: list(read_checkpoint(path))):
        with pytest.raises(CheckpointError, match=r"No such file|Is a directory") as caught:
            read(path)
        assert caught.value.path == path


def test_missing_file_cannot_be_read(path: Path) -> None:
    """Reading makes no file, and an empty answer would hide the wrong path."""
    with pytest.raises(CheckpointError, match="No such file"):
        answers(path)
    assert not path.exists()


def test_pipe_is_no_checkpoint(path: Path) -> None:
    """Nobody waits for the end of a pipe."""
    os.mkfifo(path)
    with pytest.raises(CheckpointError, match="seek"):
        Checkpoint.open(path)


def test_second_run_is_refused(path: Path) -> None:
    """Two runs would ask the same twice; when the first ends, the next may begin."""
    with Checkpoint.open(path):
        with pytest.raises(CheckpointError, match="in use by another run"):
            Checkpoint.open(path)
        assert answers(path) == []
    Checkpoint.open(path).close()


def test_refused_file_is_let_go(path: Path) -> None:
    """A file that is no checkpoint is not locked for it."""
    path.write_bytes(b"no")
    with pytest.raises(CheckpointError):
        Checkpoint.open(path)
    path.write_bytes(b"")
    Checkpoint.open(path).close()


def test_file_is_its_owners_alone(path: Path) -> None:
    """Prompts are in it."""
    write(path)
    assert path.stat().st_mode & 0o777 == 0o600


FULL = """
import resource, sys
sys.path[:0] = sys.argv[2:]
from limin.errors import CheckpointError
from test_file import Checkpoint, completed, request
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
with Checkpoint.open(sys.argv[1]) as checkpoint:
    try:
        for _ in range(9):
            checkpoint.add(request(), completed())
    except CheckpointError as error:
        print(error)
    size = checkpoint._file.seek(0, 2)
    try:
        checkpoint.add(request(), completed())
    except CheckpointError as error:
        print(checkpoint._file.seek(0, 2) - size)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
"""


def test_full_disk_leaves_whole_lines(path: Path) -> None:
    """The line that has no room is absent, and the error says which file and why."""
    command = [
        sys.executable,
        "-P",
        "-c",
        FULL,
        str(path),
        *(str(folder) for folder in Path(__file__).parents[:2]),
    ]
    run = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603 (ours)
    assert run.stdout == f"checkpoint {path}: File too large\n0\n"
    assert path.read_bytes().endswith(b"}\n")
    texts = answers(path)
    assert texts == ["re: hi"] * len(texts)
    assert 0 < len(texts) < 9


def test_short_writes_make_one_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may take a line in pieces."""
    write_some = os.write
    monkeypatch.setattr(os, "write", lambda to, data: write_some(to, bytes(data[:7])))
    write(path, "a", "b")
    assert answers(path) == ["answer 0 to a", "answer 1 to b"]


def test_interrupt_between_writes_leaves_whole_lines(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of a line loses the line, and not the file."""
    write(path, "a")
    write_some = os.write

    def write_and_stop(descriptor: int, data: memoryview) -> int:
        write_some(descriptor, bytes(data[:7]))
        raise KeyboardInterrupt

    with Checkpoint.open(path) as checkpoint:
        monkeypatch.setattr(os, "write", write_and_stop)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.add(request("b"), completed("b"))
        monkeypatch.setattr(os, "write", write_some)
        checkpoint.add(request("c"), completed("c"))
    assert answers(path) == ["answer 0 to a", "re: c"]


@pytest.mark.parametrize("fsync", [True, False])
def test_disk_is_waited_for_if_asked(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, fsync: bool
) -> None:
    """Against a power cut a line must be on the disk, not only with the system."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with Checkpoint.open(path, fsync=fsync) as checkpoint:
        checkpoint.add(request("a"), completed("a"))
        checkpoint.add(request("b"), completed("b"))
    assert len(synced) == (2 if fsync else 0)


def test_line_that_changed_meanwhile(path: Path) -> None:
    """A lock stops only programs that ask for it; a changed line is no answer."""
    size = len(write(path, "a"))
    with Checkpoint.open(path) as checkpoint:
        path.write_bytes(b"x" * (size - 1) + b"\n")
        with pytest.raises(CheckpointError, match="at byte 0: expected"):
            checkpoint.take(request("a"))


def test_reading_is_lazy(path: Path) -> None:
    """A checkpoint larger than the memory can be read; a later error comes later."""
    whole = write(path, "a", "b")
    path.write_bytes(whole + b"no checkpoint\n")
    completions = read_checkpoint(path)
    assert next(completions).message == "answer 0 to a"
    assert next(completions).message == "answer 1 to b"
    with pytest.raises(CheckpointError, match="line 3"):
        next(completions)


@given(prompts=st.lists(st.text(), min_size=1, max_size=5), data=st.data())
def test_cut_file_is_the_start_of_the_run(prompts: list[str], data: st.DataObject) -> None:
    """Wherever a power cut ends the file, the lines written before it are read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        whole = write(path, *prompts)
        cut = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:cut])
        read = [
            completion.conversation.messages[0].content
            for completion in read_checkpoint(path)
        ]
        assert len(read) == whole[:cut].count(b"\n")
        assert read == prompts[: len(read)]
        Checkpoint.open(path).close()
        assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[: len(read)])
