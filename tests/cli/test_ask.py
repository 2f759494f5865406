"""`limin ask` and `limin models`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from loopback import completion, http
from programs import Stdin, Terminal, run_program, serving
from streaming import DONE, event_of, streamed

from limin.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loopback import Loopback, Request

    from limin.local import LocalEndpoint

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
LOGPROBS = {
    "content": [{"token": "ok", "logprob": -0.1, "bytes": None, "top_logprobs": []}]
}


@pytest.fixture(autouse=True)
def _stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing come by stdin."""
    monkeypatch.setattr(sys, "stdin", None)


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Let stdout be a terminal, without colors.

    pytest sets stdout after the fixtures, so this is none.
    """
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setenv("NO_COLOR", "1")
    return shown


class Script:
    """A server whose answer is set by the test."""

    def __init__(self) -> None:
        """Answer `ok`."""
        self.answer = http(completion("ok"))

    async def respond(self, _request: Request) -> bytes:
        """Return the answer."""
        return self.answer


@pytest.fixture
def script() -> Script:
    """Return what the server answers."""
    return Script()


@pytest.fixture
def server(script: Script, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """Run a server that the environment names."""
    with serving(script.respond) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        yield server


def asked(server: Loopback) -> Any:
    """Return the body of the only request."""
    (request,) = server.requests
    return json.loads(request.body)


def test_answer_of_the_real_model(llama: LocalEndpoint, tmp_path: Path) -> None:
    """Into a pipe goes the bare text, and its reader sees no more."""
    arguments = ["--temperature", "0", "--max-tokens", "12"]
    question = ["What is the capital", *arguments]
    place = {"base_url": llama.base_url, "folder": tmp_path}
    done = run_program("ask", *question, stdin="of France?", **place)
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout
    assert done.stdout.count("\n") == 1


def test_stdin_is_appended(
    server: Loopback, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The question is the argument, and what comes by stdin."""
    monkeypatch.setattr(sys, "stdin", Stdin("line\nlast ü\n".encode()))
    assert main(["ask", "Read this:", "-s", "Be short.", "-m", "m"]) == 0
    assert asked(server)["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Read this:\n\nline\nlast ü"},
    ]
    assert capsys.readouterr() == ("ok\n", "")


def test_stdin_alone(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question may come by stdin alone."""
    monkeypatch.setattr(sys, "stdin", Stdin(b"hi"))
    assert main(["ask"]) == 0
    assert asked(server)["messages"] == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("data", "problem"), [(b"", "found none"), (b"\xff", "found other bytes")]
)
def test_no_question(
    server: Loopback,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    data: bytes,
    problem: str,
) -> None:
    """Without a question nothing is sent."""
    monkeypatch.setattr(sys, "stdin", Stdin(data))
    assert main(["ask"]) == 2
    assert problem in capsys.readouterr().err
    assert server.requests == []


def test_stdin_that_is_a_terminal(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is waited for at a keyboard."""
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert main(["ask", "hi"]) == 0
    assert asked(server)["messages"] == [{"role": "user", "content": "hi"}]


def test_pictures(server: Loopback, tmp_path: Path) -> None:
    """Pictures are sent, from a file and by a URL."""
    (tmp_path / "a.png").write_bytes(PNG)
    images = ["-i", str(tmp_path / "a.png"), "-i", "https://example.com/b.png"]
    assert main(["ask", "What is this?", *images]) == 0
    text, first, second = asked(server)["messages"][0]["content"]
    assert text == {"type": "text", "text": "What is this?"}
    assert first["image_url"]["url"].startswith("data:image/png;base64,")
    assert second["image_url"]["url"] == "https://example.com/b.png"


def test_picture_that_is_not_there(
    server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong path is told, and nothing is sent."""
    assert main(["ask", "hi", "-i", "/missing.png"]) == 2
    assert "no such file" in capsys.readouterr().err
    assert server.requests == []


def test_object_with_everything(
    server: Loopback, script: Script, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With --json everything that is known is one object on one line."""
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object"}')
    body = json.loads(completion('{"a": "ü"}')) | {"usage": {"total_tokens": 3}}
    body["choices"][0]["logprobs"] = LOGPROBS
    script.answer = http(json.dumps(body).encode())
    arguments = ["--json", "--log-probs", "--schema", str(schema)]
    assert main(["ask", "hi", *arguments]) == 0
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    fields = json.loads(line)
    assert fields["value"] == {"a": "ü"}
    assert fields["usage"]["total_tokens"] == 3
    assert fields["logprobs"] == LOGPROBS
    assert fields["conversation"] == [{"role": "user", "content": "hi"}]
    assert asked(server)["logprobs"] is True


@pytest.mark.usefixtures("server")
def test_object_without_log_probs(capsys: pytest.CaptureFixture[str]) -> None:
    """What was not asked for is not there."""
    assert main(["ask", "hi", "--json"]) == 0
    assert "logprobs" not in json.loads(capsys.readouterr().out)


def stream(*chunks: dict[str, object]) -> bytes:
    """Return a stream of deltas of the first choice, and one of another."""
    events = [event_of({"choices": [{"index": 0, **chunk}]}) for chunk in chunks]
    other = event_of({"choices": [{"index": 1, "delta": {"content": "other"}}]})
    return streamed(*events, other, DONE)


def test_answer_streams_to_a_terminal(
    server: Loopback, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text comes piece by piece, and acts on no terminal."""
    terminal = on_terminal(monkeypatch)
    script.answer = stream(
        {"delta": {"reasoning": "hm"}},
        {"delta": {"content": "a\x1b[31m\n"}},
        {"delta": {"content": "b"}, "finish_reason": "stop"},
    )
    assert main(["ask", "hi"]) == 0
    assert asked(server)["stream"] is True
    assert terminal.getvalue() == "hma␛[31m\nb\n"


def test_answer_streams_in_colors(
    server: Loopback, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With log probabilities each piece has the color of its probability."""
    terminal = on_terminal(monkeypatch)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    script.answer = stream(
        {"delta": {"content": "ok"}, "logprobs": LOGPROBS, "finish_reason": "stop"}
    )
    assert main(["ask", "hi", "--log-probs", "2"]) == 0
    assert asked(server)["top_logprobs"] == 2
    assert "\x1b[38;2;" in terminal.getvalue()


@pytest.mark.parametrize("has_log_probs", [False, True])
def test_whole_answer_on_a_terminal(
    server: Loopback,
    script: Script,
    monkeypatch: pytest.MonkeyPatch,
    *,
    has_log_probs: bool,
) -> None:
    """With --no-stream the answer is waited for."""
    terminal = on_terminal(monkeypatch)
    body = json.loads(completion("ok"))
    if has_log_probs:
        body["choices"][0]["logprobs"] = LOGPROBS
    script.answer = http(json.dumps(body).encode())
    arguments = ["--log-probs"] if has_log_probs else []
    assert main(["ask", "hi", "--no-stream", *arguments]) == 0
    assert "stream" not in asked(server)
    assert terminal.getvalue() == "ok\n"


@pytest.mark.usefixtures("server")
def test_refusal(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that refuses has answered nothing."""
    body = json.loads(completion(""))
    body["choices"][0]["message"]["refusal"] = "I will not \x1b[31m."
    script.answer = http(json.dumps(body).encode())
    assert main(["ask", "hi"]) == 1
    assert capsys.readouterr().err == "limin: the model refused: I will not ␛[31m.\n"


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("reason", "note"), [("length", "at its length limit"), ("content_filter", "a filter")]
)
def test_answer_that_was_cut_off(
    script: Script, capsys: pytest.CaptureFixture[str], reason: str, note: str
) -> None:
    """Whoever reads half an answer is told so, beside it."""
    body = json.loads(completion("half\n"))
    body["choices"][0]["finish_reason"] = reason
    script.answer = http(json.dumps(body).encode())
    assert main(["ask", "hi"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "half\n"
    assert note in shown.err


@pytest.mark.usefixtures("server")
def test_refused_request(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal of the server is one line on stderr."""
    script.answer = http(b'{"error": {"message": "no"}}', "400 Bad Request")
    assert main(["ask", "hi"]) == 1
    assert capsys.readouterr().err.startswith("limin: the server answered 400: no; asked")


def test_models(
    script: Script, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    """The models are listed one a line."""
    script.answer = http(b'{"data": [{"id": "a"}, {"id": "b\\nc"}]}')
    assert main(["models"]) == 0
    assert capsys.readouterr().out == "a\nb c\n"
    assert server.requests[0].head.startswith(b"GET /v1/models HTTP/1.1\r\n")
