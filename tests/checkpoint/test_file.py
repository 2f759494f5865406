from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import zlib
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from builders import TIMING, body_of, capture, captures
from hypothesis import example, given
from hypothesis import strategies as st
from recorded import RETRIED, STREAMED, completed, request, same

from limin.checkpoint.file import Checkpoint, read_checkpoint
from limin.checkpoint.line import MARK
from limin.checkpoint.request import RecordedRequest, ShortBody
from limin.errors import CheckpointError, ConfigurationError, LiminError
from limin.values.conversation import Conversation
from limin.values.messages import Message
from limin.values.timing import Attempt
from limin.values.warnings import ResponseWarning, WarningCode
from limin.wire.response import ReadingContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from limin.checkpoint.line import RecordedAnswer
    from limin.values.completion import TextCompletion


HI = Conversation.from_prompts("hi")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


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


def restored(
    path: Path, asked: RecordedRequest, completion: TextCompletion
) -> TextCompletion:
    """Write *completion* to the file as the answer to *asked*, and read it again."""
    with Checkpoint.open(path) as checkpoint:
        checkpoint.add(asked, completion)
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
        checkpoint.add(RecordedRequest.of(first, HI), completed())
    with Checkpoint.open(path) as checkpoint:
        assert text_of(checkpoint.take(RecordedRequest.of(second, HI))) == "re: hi"


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
            request(temperature=0.5, stream=True, extra_body={"stream_options": None}),
            completed(timing=RETRIED, request_id="r-1"),
        )
    canonical = (
        b'{"messages":[{"content":"hi","role":"user"}],"model":"m","temperature":0.5}'
    )
    data = path.read_bytes()
    fields = data[data.index(b'"request"') : -1]
    checksum = f"{zlib.crc32(fields):08x}"
    assert data == b'{"limin_checkpoint":2,"crc32":"%b",%b\n' % (checksum.encode(), fields)
    assert json.loads(data) == {
        "limin_checkpoint": 2,
        "crc32": checksum,
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
    completion = attrs.evolve(completed(), conversation=conversation)
    assert restored(path, request(conversation), completion).conversation == conversation


def test_lines_are_added_between_lines_that_are_taken(path: Path) -> None:
    """A run takes what it has and adds what it asks for, in any order."""
    prompts = [f"{number} {'words ' * number}" for number in range(100)]
    write(path, *prompts)
    with Checkpoint.open(path) as checkpoint:
        for index, prompt in enumerate(prompts):
            expected = f"answer {index} to {prompt}"
            assert text_of(checkpoint.take(request(prompt))) == expected
            checkpoint.add(request("new"), completed("new"))


def test_first_answer_is_found_after_others_were_added(path: Path) -> None:
    """Another call that begins meanwhile expects the model of the first answer."""
    named = {**body_of("words " * 2_000), "model": "served"}
    with Checkpoint.open(path) as checkpoint:
        checkpoint.add(request("a"), completed("a", named))
        for _ in range(3):
            assert find_served_model(checkpoint, "m") == "served"
            checkpoint.add(request("new"), completed("new"))


def test_line_torn_at_any_byte_is_dropped(path: Path) -> None:
    """Nothing stays of a line that was not finished, and all of the others."""
    first = len(write(path, "a"))
    whole = write(path, "b")
    for cut in range(first, len(whole) - 1):
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


VERSION_1 = Path(__file__).parents[1] / "data" / "checkpoint_version_1.jsonl"


def without_checksum(line: bytes) -> dict[str, Any]:
    """Return the fields of a line as version 1 had them."""
    fields = json.loads(line) | {"limin_checkpoint": 1}
    del fields["crc32"]
    return dict(fields)


def test_file_of_version_1_is_read(path: Path) -> None:
    """A run that an earlier limin began is finished by this one."""
    path.write_bytes(VERSION_1.read_bytes())
    assert answers(path) == ["answer 0 to a", "answer 1 to b", "\N{REPLACEMENT CHARACTER}"]
    with Checkpoint.open(path) as checkpoint:
        assert checkpoint.size == 3
        recorded = [checkpoint.take(request(prompt)) for prompt in "aba"]
        checkpoint.add(request("c"), completed("c"))
    first, streamed, last = recorded
    assert first is not None
    assert first.timing.duration == RETRIED.duration
    assert streamed is not None
    assert attrs.evolve(streamed.timing, attempts=()) == STREAMED
    assert last is not None
    assert last.answer.body == b'{"choices": [{"message": {"content": "\xff"}}]}'
    assert path.read_bytes().startswith(VERSION_1.read_bytes() + b'{"limin_checkpoint":2,')
    assert answers(path)[3:] == ["re: c"]


def test_torn_line_of_version_1_is_dropped(path: Path) -> None:
    """As in a file of this version."""
    whole = VERSION_1.read_bytes()
    path.write_bytes(whole[:-9])
    assert len(answers(path)) == 2
    Checkpoint.open(path).close()
    assert path.read_bytes() == whole[: whole.rindex(b"\n", 0, -1) + 1]


@pytest.mark.parametrize("newline", [b"\n", b""])
def test_line_without_checksum_after_one_with_it_is_damaged(
    path: Path, newline: bytes
) -> None:
    """This version writes none, so something else has."""
    content = write(path, "a") + VERSION_1.read_bytes().splitlines()[0] + newline
    path.write_bytes(content)
    for read in (Checkpoint.open, answers):
        with pytest.raises(CheckpointError, match="line 2: expected a line as it was"):
            read(path)
    assert path.read_bytes() == content


def test_more_fields_do_no_harm_without_a_checksum(path: Path) -> None:
    """Users could add columns of their own to lines of version 1."""
    line = without_checksum(write(path, "a")) | {"mine": [1]}
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert answers(path) == ["answer 0 to a"]
    with Checkpoint.open(path) as checkpoint:
        assert text_of(checkpoint.take(request("a"))) == "answer 0 to a"


@pytest.mark.parametrize(
    "changed",
    [
        {"body": "[]"},
        {"body": None},
        {"messages": [{"role": "nobody", "content": "hi"}]},
    ],
)
def test_line_without_completion_is_named(path: Path, changed: dict[str, Any]) -> None:
    """A line that somebody changed says where it is, and repeats no prompt."""
    write(path, "a", "b")
    lines = [without_checksum(line) for line in path.read_bytes().splitlines()]
    lines[1] |= changed
    asked = lines[1]["parameters"] | {"messages": lines[1]["messages"]}
    lines[1]["request"] = ShortBody(json.dumps(asked).encode()).digest().hex()
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    completions = read_checkpoint(path)
    assert next(completions).message == "answer 0 to a"
    with pytest.raises(CheckpointError, match="line 2: expected a completion"):
        next(completions)


@pytest.mark.parametrize(
    ("written", "damaged"),
    [
        (b'"content":"a"', b'"content":"b"'),
        (b'"role":"user"', b'"role":"tool"'),
        (b'"model":"m"', b'"model":"n"'),
        (b'"model":"m"', b'"modem":"m"'),
        (b'"request":"', b'"request":"0'),
        (b'"temperature":0.5', b'"temperature":0.7'),
    ],
)
def test_damaged_request_without_a_checksum_is_found(
    path: Path, written: bytes, damaged: bytes
) -> None:
    """The digest of the request is one of all its fields, in version 1, too."""
    with Checkpoint.open(path) as checkpoint:
        checkpoint.add(request("a", temperature=0.5), completed("a"))
    fields = without_checksum(path.read_bytes())
    content = json.dumps(fields, separators=(",", ":")).encode().replace(written, damaged)
    assert damaged in content
    path.write_bytes(content + b"\n")
    for read in (Checkpoint.open, answers):
        with pytest.raises(CheckpointError, match="line 1: expected a line as it was"):
            read(path)
    assert path.read_bytes() == content + b"\n"


def test_question_mark_may_stand_for_half_a_surrogate_pair(path: Path) -> None:
    """The digest is of the request as it was sent, which a line cannot hold."""
    asked = request("a", extra_body={"user": "\ud800"})
    with Checkpoint.open(path) as checkpoint:
        checkpoint.add(asked, completed("a"))
    line = without_checksum(path.read_bytes())
    assert line["parameters"]["user"] == "?"
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    with Checkpoint.open(path) as checkpoint:
        assert text_of(checkpoint.take(asked)) == "re: a"


def make_socket(path: Path) -> None:
    """Make a socket at *path*."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def make_secret(path: Path) -> None:
    """Make a file at *path* that not even its owner may open."""
    path.touch(mode=0)


# The place, from the folder of the test, what makes it, and the problem.
PLACES: list[Any] = [
    ("missing/run.jsonl", None, "No such file"),
    ("file/run.jsonl", lambda path: path.parent.touch(), "Not a directory"),
    ("nul\0.jsonl", None, "embedded null"),
    ("half \ud800.jsonl", None, "surrogates not allowed"),
    ("x" * 300, None, "File name too long"),
    ("loop", lambda path: path.symlink_to(path), "symbolic links"),
    ("pipe", os.mkfifo, "seek|regular file"),
    ("socket", make_socket, "No such device or address"),
    ("/dev/null", None, "expected a regular file"),
    ("/dev/zero", None, "expected a regular file"),
    ("/dev/full", None, "expected a regular file"),
    pytest.param(
        "secret",
        make_secret,
        "Permission denied",
        marks=pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything"),
    ),
]


@pytest.mark.parametrize(("place", "make", "problem"), PLACES)
def test_place_that_cannot_be_used(
    tmp_path: Path, place: str, make: Callable[[Path], object] | None, problem: str
) -> None:
    """Whatever is wrong with it is a `CheckpointError`, before anything is sent."""
    path = str(tmp_path / place)
    if make is not None:
        make(Path(path))
    for read in (Checkpoint.open, lambda path: list(read_checkpoint(path))):
        with pytest.raises(CheckpointError, match=problem) as caught:
            read(path)
        assert caught.value.path == path


@pytest.mark.parametrize("path", [5, None, True, ["run.jsonl"]])
def test_value_that_is_no_path(path: Any) -> None:
    """It is a wrong argument, and no file descriptor."""
    for read in (Checkpoint.open, lambda path: list(read_checkpoint(path))):
        with pytest.raises(ConfigurationError, match="checkpoint: expected a path"):
            read(path)


def test_path_may_be_bytes(path: Path) -> None:
    """As everywhere in Python."""
    Checkpoint.open(os.fsencode(path)).close()  # type: ignore[arg-type] # not promised
    assert answers(path) == []


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


OTHER = """
import sys
from limin.checkpoint.file import Checkpoint
from limin.errors import CheckpointError
try:
    Checkpoint.open(sys.argv[1]).close()
except CheckpointError as error:
    print(error.problem)
"""


def open_elsewhere(path: Path) -> str:
    """Open the checkpoint in another process; return the problem, if there is one."""
    command = [sys.executable, "-c", OTHER, str(path)]
    run = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603 (ours)
    return run.stdout.strip()


def test_run_of_another_process_is_refused(path: Path) -> None:
    """Two runs would ask the same twice; when the first ends, the next may begin."""
    with Checkpoint.open(path):
        assert open_elsewhere(path) == "in use by another run"
        assert answers(path) == []
    assert open_elsewhere(path) == ""


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
import os, resource, sys
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
    size = os.path.getsize(sys.argv[1])
    try:
        checkpoint.add(request(), completed())
    except CheckpointError as error:
        print(os.path.getsize(sys.argv[1]) - size)
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
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    with Checkpoint.open(path, fsync=fsync) as checkpoint:
        checkpoint.add(request("a"), completed("a"))
        checkpoint.add(request("b"), completed("b"))
    assert synced.count(path.stat().st_ino) == (2 if fsync else 0)
    assert bool(synced) == fsync


@pytest.mark.parametrize("change", ["garbage", "another line", "no checksum", "cut"])
def test_line_that_changed_meanwhile(path: Path, change: str) -> None:
    """A lock stops only programs that ask for it; a changed line is no answer."""
    data = write(path, "a", "b")
    first, second = data.splitlines(keepends=True)
    changed = {
        "garbage": b"x" * (len(first) - 1) + b"\n" + second,
        "another line": second + first,
        "no checksum": json.dumps(without_checksum(first)).encode() + b"\n",
        "cut": first[:-9],
    }
    with Checkpoint.open(path) as checkpoint:
        path.write_bytes(changed[change])
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
        cut = data.draw(st.integers(len(b'{"limin_checkpoint"'), len(whole)))
        path.write_bytes(whole[:cut])
        read = [
            completion.conversation.messages[0].content
            for completion in read_checkpoint(path)
        ]
        assert len(read) == whole[: cut + 1].count(b"\n")
        assert read == prompts[: len(read)]
        Checkpoint.open(path).close()
        assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[: len(read)])


@pytest.mark.parametrize("size", range(1, len(b'{"limin_checkpoint"')))
def test_file_that_is_hardly_begun_stays_as_it_is(path: Path, size: int) -> None:
    """A file that holds only `{` may be another program's."""
    path.write_bytes(b'{"limin_checkpoint"'[:size])
    for read in (Checkpoint.open, answers):
        with pytest.raises(CheckpointError, match="line 1: expected"):
            read(path)
    assert path.stat().st_size == size


@pytest.mark.parametrize("end", [b"", b"\0", b"\0" * 500])
def test_whole_line_without_newline_is_taken(path: Path, end: bytes) -> None:
    """It was paid for; zeros behind it are those of a power cut."""
    whole = write(path, "a", "b")
    path.write_bytes(whole[:-1] + end)
    assert answers(path) == ["answer 0 to a", "answer 1 to b"]
    with Checkpoint.open(path) as checkpoint:
        assert text_of(checkpoint.take(request("b"))) == "answer 1 to b"
    assert path.read_bytes() == whole
    write(path, "c")
    assert len(answers(path)) == 3


def test_newline_that_comes_while_the_file_is_read(path: Path) -> None:
    """A reader beside a run may see a line before its end; the rest is for later."""
    whole = write(path, "a", "b")
    path.write_bytes(whole.splitlines()[0])
    completions = read_checkpoint(path)
    assert next(completions).message == "answer 0 to a"
    path.write_bytes(whole)
    assert list(completions) == []


@given(
    start=st.sampled_from([b"", *(MARK[:size] for size in range(1, len(MARK) + 1))]),
    rest=st.binary(max_size=99),
)
@example(start=MARK, rest=b'00000000","request":"}')
def test_any_other_file_is_refused_or_torn(start: bytes, rest: bytes) -> None:
    """No bytes make another error, and only a line that limin began is cut off."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        path.write_bytes(start + rest)
        try:
            Checkpoint.open(path).close()
        except CheckpointError:
            assert path.read_bytes() == start + rest
            with pytest.raises(CheckpointError):
                answers(path)
            return
        assert answers(path) == []
        assert path.read_bytes() == b""
        assert not start + rest or (start + rest).startswith(b'{"limin_checkpoint"')


def test_zeros_at_the_end_are_cut_off(path: Path) -> None:
    """After a power cut some file systems have them where the last line should be."""
    whole = write(path, "a")
    path.write_bytes(whole + b"\0" * 500)
    assert answers(path) == ["answer 0 to a"]
    Checkpoint.open(path).close()
    assert path.read_bytes() == whole


def test_whole_line_with_more_behind_it_is_not_thrown_away(path: Path) -> None:
    """It is no torn line; the file stays as it is."""
    content = write(path, "a", "b")[:-1] + b"?"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="line 2: expected a line as it was written"):
        Checkpoint.open(path)
    assert path.read_bytes() == content


def test_line_that_stands_there_twice_is_one_answer(path: Path) -> None:
    """A copy of an answer is no second sample."""
    whole = write(path, "a", "a")
    first, second = whole.splitlines(keepends=True)
    path.write_bytes(first + second + first)
    assert answers(path) == ["answer 0 to a", "answer 1 to a"]
    with Checkpoint.open(path) as checkpoint:
        assert checkpoint.size == 2
        taken = [checkpoint.take(request("a")) for _ in range(3)]
    assert [text_of(recorded) for recorded in taken[:2]] == answers(path)
    assert taken[2] is None


def find_collision() -> tuple[bytes, bytes]:
    """Return two texts of one length that have the same CRC-32."""
    known = dict[int, bytes]()
    texts = (hashlib.sha256(b"%d" % n).hexdigest()[:12].encode() for n in count())
    for text in texts:
        other = known.setdefault(zlib.crc32(text), text)
        if other != text:
            break
    return other, text


def test_lines_with_one_checksum_are_two_answers(path: Path) -> None:
    """Samples of one prompt are told apart by all of their bytes, not by a checksum."""
    first, second = find_collision()
    whole = write(path, "a").replace(b"answer 0 to", first)
    fields = whole[len(MARK) + 10 : -1]
    checksum = b"%08x" % zlib.crc32(fields)
    assert zlib.crc32(fields.replace(first, second)) == zlib.crc32(fields)
    line = MARK + checksum + b'",' + fields + b"\n"
    path.write_bytes(line + line.replace(first, second))
    assert answers(path) == [f"{first.decode()} a", f"{second.decode()} a"]
    with Checkpoint.open(path) as checkpoint:
        assert checkpoint.size == 2
        taken = [checkpoint.take(request("a")) for _ in range(2)]
    assert list(map(text_of, taken)) == answers(path)


@pytest.mark.parametrize("fields", [b"", b'"request":"%b"}' % (b"no digest" * 8)])
def test_forged_checksum_is_found_out(path: Path, fields: bytes) -> None:
    """A checksum says that a line is as it was written, and not that limin wrote it."""
    path.write_bytes(
        b'{"limin_checkpoint":2,"crc32":"%08x",%b\n' % (zlib.crc32(fields), fields)
    )
    with pytest.raises(CheckpointError, match="line 1: expected"):
        Checkpoint.open(path)


def find_served_model(checkpoint: Checkpoint, model: str) -> str | None:
    """Return the name that the server gave to *model*."""
    checkpoint.served_model = None
    for _ in checkpoint.find_served_model(model):
        pass
    return checkpoint.served_model


def test_name_of_the_model_is_that_of_the_first_line_with_it(path: Path) -> None:
    """A file may hold the runs of several models."""
    lines = [("m", None, "served 1"), ("other", b"[]", None), ("other", None, "served 2")]
    with Checkpoint.open(path) as checkpoint:
        for number, (model, raw, served) in enumerate(lines):
            body = body_of(f"{number}") | ({"model": served} if served else {})
            completion = completed("a", body)
            if raw is not None:
                completion = attrs.evolve(completion, raw_bytes=raw)
            checkpoint.add(request("a", model=model), completion)
        assert find_served_model(checkpoint, "m") == "served 1"
        assert find_served_model(checkpoint, "other") == "served 2"
        assert find_served_model(checkpoint, "served 1") is None


@pytest.mark.parametrize(
    "parameters",
    [{}, {"extra_body": {"user": "\ud800"}}],
    ids=["ASCII", "half a surrogate pair"],
)
@pytest.mark.parametrize("model", ["modèle", 'a "model"', "m\\n", "模型"])
def test_name_of_a_model_is_found_however_it_is_written(
    path: Path, model: str, parameters: dict[str, Any]
) -> None:
    """Names are escaped in most lines, and not in all."""
    with Checkpoint.open(path) as checkpoint:
        completion = completed("a", body_of("a") | {"model": "served"})
        checkpoint.add(request("a", model=model, **parameters), completion)
        assert find_served_model(checkpoint, model) == "served"


def test_name_of_a_model_is_found_behind_many_lines_of_another(path: Path) -> None:
    """The search is as long as the file, and gives way to others meanwhile."""
    with Checkpoint.open(path) as checkpoint:
        other = request("a", model="other", extra_body={"metadata": {"model": "m"}})
        for size in (3_000_000, 300_000, 300_000, 300_000):
            checkpoint.add(other, completed("a", body_of("a" * size)))
        body = body_of("b") | {"model": "served"}
        checkpoint.add(request("b"), completed("b", body))
        turns = sum(1 for _ in checkpoint.find_served_model("m"))
        assert checkpoint.served_model == "served"
    assert turns == 4
