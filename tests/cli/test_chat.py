"""`limin chat`: what is asked, what is kept, and how it ends."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import start_blocking_portal
from loopback import completion, http
from programs import Stdin, Terminal, on_its_terminal, serving
from streaming import (
    CHUNKED,
    CLOSE,
    DONE,
    FINISH,
    WAIT,
    chunk_of,
    chunked,
    event_of,
    serve_scripts,
    streamed,
    text_of,
)

from limin.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from streaming import StreamingServer

    from limin.local import LocalEndpoint

REFUSED = http(b'{"error": {"message": "no such \\u001b[31m"}}', "400 Bad Request")
LENGTH = chunk_of({}, finish_reason="length")
PART = CHUNKED + chunked(text_of("part"))  # The person presses Ctrl-C where it is shown.
HALF = CHUNKED + chunked(text_of("half"))


def said(text: str, **choice: object) -> bytes:
    """Return a stream that says *text*."""
    return streamed(event_of(chunk_of({"content": text}, **choice)), FINISH, DONE)


@contextmanager
def running(scripts: Sequence[Sequence[bytes | str]]) -> Iterator[StreamingServer]:
    """Run a server that answers by *scripts*, in a thread of its own."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve_scripts(*scripts)) as server,
    ):
        yield server


class Chat:
    """A person at a terminal, who types lines."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Sit down in front of a terminal without colors."""
        self._monkeypatch = monkeypatch
        self.bodies: list[dict[str, Any]] = []

    def type(
        self,
        *lines: str | BaseException,
        answers: Sequence[bytes | Sequence[bytes | str]],
        arguments: Sequence[str] = (),
    ) -> tuple[int, str]:
        """Type *lines*, which the server answers; return the status and what is shown.

        An exception is raised in the place of a line.
        """
        shown, left = Terminal(), list(lines)

        def read(prompt: str) -> str:
            shown.write(prompt)
            line = left.pop(0) if left else EOFError()
            if isinstance(line, BaseException):
                raise line
            return line

        self._monkeypatch.setattr("builtins.input", read)
        self._monkeypatch.setattr(sys, "stdin", Terminal())
        self._monkeypatch.setattr(sys, "stdout", shown)
        self._monkeypatch.setenv("NO_COLOR", "1")
        self._interrupt_at(shown)
        scripts = [[each] if isinstance(each, bytes) else each for each in answers]
        with running(scripts) as server:
            status = main(["chat", "--base-url", server.base_url, "-m", "m", *arguments])
        self.bodies = server.bodies
        return status, shown.getvalue()

    @property
    def asked(self) -> list[list[str]]:
        """The texts of the messages of each request."""
        return [[m["content"] for m in body["messages"]] for body in self.bodies]

    @staticmethod
    def _interrupt_at(shown: Terminal) -> None:
        """Let the person press Ctrl-C when a part of an answer is there."""
        write = shown.write

        def write_and_interrupt(text: str) -> int:
            if text == "part":
                signal.raise_signal(signal.SIGINT)
            return write(text)

        shown.write = write_and_interrupt  # type: ignore[method-assign] # the person


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ctrl_c: None) -> Chat:  # noqa: ARG001 (a person can press it)
    """Return a person at a terminal, in a folder of the test."""
    monkeypatch.chdir(tmp_path)
    return Chat(monkeypatch)


def test_conversation_grows(chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    """Each question is sent with all that was said before; blank lines are none."""
    status, shown = chat.type(
        "one", "  ", " two ", answers=[said("a\x1b[31m"), said("b")], arguments=["-s", "s"]
    )
    assert status == 0
    assert shown == "> a␛[31m\n> > b\n> \n"
    assert chat.asked == [["s", "one"], ["s", "one", "a\x1b[31m", "two"]]
    assert chat.bodies[1]["stream"] is True
    assert capsys.readouterr().err.startswith("limin: m at 127.0.0.1:")


def test_undo(chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    """The last question and its answer are taken back, again and again."""
    lines = ("one", "two", "/undo", "three", "/undo", "/undo", "/undo", "four")
    chat.type(*lines, answers=[said("a")])
    assert chat.asked[2] == ["one", "a", "three"]
    assert chat.asked[3] == ["four"]
    notes = capsys.readouterr().err.splitlines()[1:]
    assert notes == [
        "limin: taken back: two",
        "limin: taken back: three",
        "limin: taken back: one",
        "limin: there is nothing to take back",
    ]


def test_system(chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    """The system's message can be set, replaced and taken away at any time."""
    lines = ("/system", "/system\t Be kind.", "one", "/system Be short.", "two", "/system")
    chat.type(*lines, "three", answers=[said("a")])
    assert [texts[0] for texts in chat.asked] == ["Be kind.", "Be short.", "one"]
    shown = capsys.readouterr().err
    assert "there is no system's message" in shown
    assert "taken away; it was: Be short." in shown


def test_commands(chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown command is told and not sent; two slashes send one; /exit ends."""
    status, shown = chat.type(
        "/undone it", "//etc is a folder?", "/help", "/exit", "more", answers=[said("a")]
    )
    assert status == 0
    assert chat.asked == [["/etc is a folder?"]]
    assert "/save FILE.jsonl" in shown
    assert "limin: /undone is no command; /help lists them" in capsys.readouterr().err


def test_saved_conversation_is_a_line_of_a_run(
    chat: Chat, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The saved file is an input of `limin run`, and grows with the conversation."""
    path = tmp_path / "talk.jsonl"
    lines = ("/save talk.jsonl", "ü", "/save talk.jsonl", "two", "/save talk.jsonl")
    chat.type(*lines, answers=[said("a")], arguments=["-s", "s"])
    assert [m["content"] for m in json.loads(path.read_text())["messages"]] == [
        *["s", "ü", "a", "two", "a"]
    ]
    assert path.read_text().count("\n") == 1
    shown = capsys.readouterr().err
    assert "there is no conversation to save yet" in shown
    assert shown.count("saved in talk.jsonl") == 2
    assert main(["run", "talk.jsonl", "--dry-run"]) == 0


def test_save_that_is_refused(
    chat: Chat, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A file of the user's is left alone, and what goes wrong is told."""
    (tmp_path / "mine").write_text("precious")
    lines = ("one", "/save mine", "/save", "/save missing/a", "/save a\0b")
    chat.type(*lines, "/save ~nobody-at-all/x", answers=[said("a")])
    assert (tmp_path / "mine").read_text() == "precious"
    notes = capsys.readouterr().err.splitlines()[1:]
    assert notes == [
        "limin: mine exists; /save takes another file",
        "limin: there is no file to save it in",
        "limin: missing/a: No such file or directory",
        "limin: a␀b: it cannot be written",
        "limin: ~nobody-at-all/x: it cannot be written",
    ]


@pytest.mark.parametrize("broken", [REFUSED, [HALF, CLOSE]])
def test_error_leaves_the_conversation(
    chat: Chat, capsys: pytest.CaptureFixture[str], broken: bytes | list[bytes | str]
) -> None:
    """What the server refuses, or does not finish, is told, and is not kept."""
    arguments = ["--max-retries", "0"]
    answers: list[Any] = [said("a"), broken, said("c")]
    chat.type("one", "bad", "three", answers=answers, arguments=arguments)
    assert chat.asked[2] == ["one", "a", "three"]
    shown = capsys.readouterr().err
    assert "; the conversation is as it was before\n" in shown
    assert "\x1b" not in shown


def test_refused_connection(chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that is not there ends no conversation."""
    arguments = ["--base-url", "http://127.0.0.1:1/v1", "--max-retries", "0"]
    status, _ = chat.type("one", answers=[said("a")], arguments=arguments)
    assert status == 0
    assert "; the conversation is as it was before\n" in capsys.readouterr().err


def test_interrupted_answer(chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C stops the answer; the part that was read stays in the conversation."""
    status, shown = chat.type("one", "two", answers=[[PART, WAIT], said("b")])
    assert status == 0
    assert chat.asked == [["one"], ["one", "part", "two"]]
    assert "> part\n> b\n" in shown
    assert "limin: stopped; the conversation keeps this part" in capsys.readouterr().err


def test_interrupted_before_the_answer(
    chat: Chat, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C before the first word leaves nothing of the question."""

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("limin.cli.chat.ChatModel.show_answer", interrupt)
    status, shown = chat.type("one", "/undo", answers=[said("a")])
    assert (status, shown) == (0, "> \n> > \n")
    notes = capsys.readouterr().err
    assert "stopped; the conversation is as it was before" in notes
    assert "there is nothing to take back" in notes


def test_interrupt_at_the_prompt(chat: Chat) -> None:
    """Ctrl-C at the prompt ends the program, as Ctrl-C ends others."""
    status, shown = chat.type("one", KeyboardInterrupt(), answers=[said("a")])
    assert (status, shown) == (130, "> a\n> \n")


def test_bytes_that_are_no_text(chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    """A terminal of another encoding costs a line, and not the conversation."""
    wrong = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    chat.type(wrong, "one", answers=[said("a")])
    assert chat.asked == [["one"]]
    assert "expected UTF-8, found other bytes" in capsys.readouterr().err


def test_answer_that_was_cut_off(chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever reads half an answer is told so."""
    chat.type("one", answers=[streamed(text_of("a"), event_of(LENGTH), DONE)])
    assert "cut off at its length limit" in capsys.readouterr().err


def test_without_readline(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python has no readline, lines are read without it."""
    monkeypatch.setitem(sys.modules, "readline", None)
    chat.type("one", answers=[said("a")])
    assert chat.asked == [["one"]]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "set OPENAI_API_KEY"),
        (["--base-url", "http://localhost/v1", "--timeout", "-1"], "timeout: expected"),
    ],
)
def test_wrong_start(
    capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    """What is wrong is told before anybody has typed."""
    assert main(["chat", *arguments]) == 2
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize("has_stdin", [True, False])
def test_lines_of_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, has_stdin: bool
) -> None:
    """Without a terminal each line is a question, even with a slash before it."""
    lines = Stdin(b"one\n\n/exit\n") if has_stdin else None
    monkeypatch.setattr(sys, "stdin", lines)

    async def respond(request: Any) -> bytes:
        return http(completion(f"{request.prompt}: \x1b[31m"))

    with serving(respond) as server:
        assert main(["chat", "--base-url", server.base_url]) == 0
    shown = "one: \x1b[31m\n/exit: \x1b[31m\n" if has_stdin else ""
    assert capsys.readouterr() == (shown, "")
    if has_stdin:
        messages = json.loads(server.requests[1].body)["messages"]
        texts = [message["content"] for message in messages]
        assert texts == ["one", "one: \x1b[31m", "/exit"]


@pytest.mark.parametrize(
    ("data", "status", "note"),
    [
        (b"one\nrefuse\ntwo\n", 1, "limin: the model refused: no"),
        (b"one\nbad\ntwo\n", 1, "limin: the server answered 400"),
        (b"one\n\xff\n", 2, "limin: expected UTF-8 by stdin, found other bytes"),
    ],
)
def test_pipe_that_goes_wrong(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    data: bytes,
    status: int,
    note: str,
) -> None:
    """A script sees by the status that something was not answered."""
    monkeypatch.setattr(sys, "stdin", Stdin(data))

    async def respond(request: Any) -> bytes:
        body = json.loads(completion("ok"))
        if request.prompt == "refuse":
            body["choices"][0]["message"] |= {"content": None, "refusal": "no"}
        return REFUSED if request.prompt == "bad" else http(json.dumps(body).encode())

    with serving(respond) as server:
        assert main(["chat", "--base-url", server.base_url]) == status
    shown = capsys.readouterr()
    assert shown.err.startswith(note)
    assert shown.out.startswith("ok\n")


def show_until(terminal: int, text: bytes) -> bytes:
    """Return what *terminal* shows until there is *text*."""
    shown = b""
    while text not in shown:
        assert select.select([terminal], [], [], 30)[0], shown
        shown += os.read(terminal, 4096)
    return shown


def test_real_terminal(llama: LocalEndpoint, tmp_path: Path) -> None:
    """On a real terminal, with a real model: Ctrl-C in an answer, the history, Ctrl-D."""
    arguments = ["chat", "--temperature", "0"]
    place = {"base_url": llama.base_url, "folder": tmp_path}
    with on_its_terminal(*arguments, **place) as (process, terminal):
        show_until(terminal, b"> ")
        os.write(terminal, b"Write a long story about the sea.\r")
        show_until(terminal, b"sea.\r\n")
        show_until(terminal, b" ")  # The answer has begun.
        os.write(terminal, b"\x03")
        show_until(terminal, b"the conversation keeps this part, and /undo drops it\r\n> ")
        os.write(terminal, b"/save talk.jsonl\r")
        show_until(terminal, b"saved in talk.jsonl\r\n> ")
        os.write(terminal, b"\x1b[A\r")  # The up-arrow brings the command back.
        show_until(terminal, b"saved in talk.jsonl\r\n> ")
        os.write(terminal, b"\x04")
        assert process.wait(timeout=30) == 0
    question, part = json.loads((tmp_path / "talk.jsonl").read_text())["messages"]
    assert question == {"role": "user", "content": "Write a long story about the sea."}
    assert part["role"] == "assistant"
    assert part["content"]
