"""`limin decide`: what is sent, what is written, and what a resumed run asks."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from answers import answer_body, listed_labels, prompt_of
from builders import body_of
from loopback import Request, http
from programs import bodies, lines_of, serving

from limin.__main__ import main
from limin.files.run_lines import encode_line, read_mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback import Loopback

    from limin.local import LocalEndpoint

USAGE = {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}


def decide(prompt: str) -> dict[str, Any]:
    """Return an answer: the letter of the second label, or else a 4, both likely."""
    labels = sorted(listed_labels(prompt))
    if not labels:
        return answer_body({"4": 0.5, "2": 0.25})
    letters = [chr(ord("A") + listed_labels(prompt).index(label)) for label in labels]
    return answer_body({letters[1]: 0.6, letters[0]: 0.3})


async def respond(request: Request) -> bytes:
    """Decide; but refuse what is bad, and send no log probabilities for what is bare."""
    prompt = prompt_of(request.body)
    if prompt.startswith("bad"):
        return http(b'{"error": {"message": "no such thing"}}', "400 Bad Request")
    body = body_of("b") if prompt.startswith("bare") else decide(prompt)
    return http(json.dumps(body | {"usage": USAGE, "model": "served"}).encode())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Loopback]:
    """Run a server that the environment names, and work in a folder of the test."""
    monkeypatch.chdir(tmp_path)
    with serving(respond) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        yield server


def decided(*arguments: str, text: str = "one\n", status: int = 0) -> list[dict[str, Any]]:
    """Return the lines of the decisions about *text*."""
    Path("in.txt").write_text(text)
    assert main(["decide", "in.txt", "-o", "out.jsonl", *arguments]) == status
    return lines_of(Path("out.jsonl"))


def test_labels(server: Loopback, capsys: pytest.CaptureFixture[str]) -> None:
    """The labels are listed under letters, and each has its bounds in the output."""
    (line,) = decided("--labels", 'a, "b, or c"', "-s", "Be short.", "-m", "m")
    (body,) = bodies(server)
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert sorted(listed_labels(body["messages"][1]["content"])) == ["a", "b, or c"]
    sent = {name: body[name] for name in ("model", "temperature", "top_logprobs")}
    assert sent == {"model": "m", "temperature": 0.0, "top_logprobs": 20}
    assert (line["prompt"], line["label"], line["is_certain"]) == ("one", "b, or c", True)
    assert line["prob"] == pytest.approx(0.6 / 0.9)
    assert [line["low"], line["high"]] == pytest.approx([0.6, 0.7])
    assert line["mass"] == pytest.approx(0.9)
    assert list(line["labels"]) == ["a", "b, or c"]
    assert line["labels"]["a"]["high"] == pytest.approx(0.4)
    assert line["usage"]["total_tokens"] == 10
    assert (line["served_model"], line["error"]) == ("served", None)
    assert not {"expected", "spread", "logprobs"} & line.keys()
    assert capsys.readouterr().err.startswith("limin: 1 done in ")


def test_scale(server: Loopback) -> None:
    """A scale has a mean with its bounds, and nothing is added to the question."""
    (line,) = decided("--scale", "1-5")
    assert bodies(server)[0]["messages"] == [{"role": "user", "content": "one"}]
    assert line["label"] == 4
    assert list(line["labels"]) == ["1", "2", "3", "4", "5"]
    assert line["expected"] == pytest.approx(10 / 3)
    assert line["expected_low"] < line["expected"] < line["expected_high"]


def test_style(server: Loopback) -> None:
    """The options of a decision are options of the command."""
    arguments = ["--by", "text", "--prefill", "It is", "--continue-prefill", "--no-fold"]
    arguments += ["--alternatives", "5", "--temperature", "0.7", "--max-tokens", "3"]
    decided("--labels", "4,2", *arguments)
    (body,) = bodies(server)
    assert body["messages"][0] == {"role": "user", "content": "one"}
    assert body["messages"][1] == {"role": "assistant", "content": "It is"}
    assert body["continue_final_message"] is True
    given = {name: body[name] for name in ("temperature", "max_tokens", "top_logprobs")}
    assert given == {"temperature": 0.7, "max_tokens": 3, "top_logprobs": 5}


def test_orders(server: Loopback) -> None:
    """Each order of the labels is a request, and the output has their spread."""
    (line,) = decided("--labels", "a,b", "--orders", "2")
    asked = [tuple(listed_labels(request.prompt)) for request in server.requests]
    assert sorted(asked) == [("a", "b"), ("b", "a")]
    assert line["spread"] == pytest.approx(0.0, abs=1e-9)


def test_failures_are_kept_and_asked_again(server: Loopback) -> None:
    """Without log probabilities a line failed; --fallback asks for it alone."""
    command = ["--labels", "a,b"]
    good, bad, bare = decided(*command, text="one\nbad\nbare\n", status=1)
    assert good["label"] == "b"
    assert (bad["answer"], bad["error"]["status"]) == (None, 400)
    assert (bare["answer"], bare["error"]["type"]) == ("b", "LogProbsMissingError")
    Path("in.txt").write_text("one\nbare\n")
    again = ["decide", "in.txt", "-o", "out.jsonl", *command, "--resume"]
    assert main([*again, "--fallback", "text", "--by", "letter"]) == 0
    assert [request.prompt[:4] for request in server.requests[3:]] == ["bare"]


@pytest.mark.usefixtures("server")
def test_text_decides() -> None:
    """A label by its text has no probability."""
    (line,) = decided(
        "--labels", "a,b", "--by", "text", "--fallback", "text", text="bare\n"
    )
    assert (line["label"], line["prob"], line["low"], line["high"]) == ("b", None, 0, 1)
    assert line["warnings"] == ["decided-by-text", "log-probs-missing"]


@pytest.mark.usefixtures("server")
def test_no_label() -> None:
    """Where the text is no label either, there is none, whatever the labels are called."""
    arguments = ["--labels", "None,x", "--by", "text", "--fallback", "text"]
    (line,) = decided(*arguments, text="bare\n")
    assert (line["label"], line["low"], line["error"]) == (None, None, None)


@pytest.mark.parametrize(
    ("again", "n_more"),
    [
        (["--labels", "a,b"], 0),
        (["--labels", "b,a"], 0),
        (["--labels", "a,b,c"], 2),
        (["--labels", "a,b", "--orders", "2"], 4),
        (["--labels", "a,b", "--no-fold"], 2),
        (["--labels", "a,b", "--by", "text"], 2),
    ],
)
def test_resumed_run(server: Loopback, again: list[str], n_more: int) -> None:
    """What has a decision is not asked again, unless the labels or the way are others."""
    decided("--labels", "a,b", text="one\ntwo\n")
    decided(*again, "--resume", text="one\ntwo\n")
    assert len(server.requests) == 2 + n_more


@pytest.mark.usefixtures("server")
def test_resumed_run_that_meets_another_model() -> None:
    """A decision by another model than the first has a warning."""
    decided("--labels", "a,b")
    lines = Path("out.jsonl")
    fields = json.loads(lines.read_bytes())
    mark = read_mark(lines.read_bytes().removesuffix(b"\n"))
    assert mark is not None
    del fields["limin"]
    fields["served_model"] = "another"
    lines.write_bytes(encode_line(json.dumps(fields).encode(), mark))
    first, second = decided("--labels", "a,b", "--resume", text="one\ntwo\n")
    changed = {"served-model-changed"}
    assert set(second["warnings"]) - set(first["warnings"]) == changed


def test_other_scale_of_the_same_request(server: Loopback) -> None:
    """The numbers are in no request, and a decision between others is another one."""
    decided("--scale", "1-5")
    decided("--scale", "1-7", "--resume")
    first, second = bodies(server)
    assert first == second


@pytest.mark.usefixtures("ctrl_c")
def test_interrupted_run_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C costs no decision; --resume asks the rest, as the requests show."""
    monkeypatch.chdir(tmp_path)
    asked: list[str] = []

    async def answer_two(request: Request) -> bytes:
        asked.append(prompt_of(request.body)[:3])
        if len(asked) == 3:
            os.kill(os.getpid(), signal.SIGINT)
            await anyio.sleep_forever()
        return await respond(request)

    with serving(answer_two) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        command = ["--labels", "a,b", "-n", "1"]
        text = "one\ntwo\nsix\nten\n"
        assert len(decided(*command, text=text, status=130)) == 2
        assert "limin: interrupted; all answers are in out" in capsys.readouterr().err
        assert len(decided(*command, "--resume", text=text)) == 4
    assert asked == ["one", "two", "six", "six", "ten"]


def test_table_and_parts(server: Loopback) -> None:
    """Tables, templates and parts are those of a run; a taken name is refused."""
    Path("in.csv").write_text('text,label\n"good, really",a\n"bad\nand long",b\nx,a\n')
    command = ["decide", "in.csv", "--template", "Kind? {text}", "--labels", "a,b"]
    assert main([*command, "-o", "out.jsonl"]) == 2
    assert not Path("out.jsonl").exists()
    for part in ("1/2", "2/2"):
        more = ["--prefix", "out.", "--shard", part, "-o", f"{part[0]}.jsonl"]
        assert main([*command, *more]) == 0
    text = Path("1.jsonl").read_text() + Path("2.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert sorted(line["out.limin"]["line"] for line in lines) == [2, 3, 5]
    assert {(line["label"], line["out.label"]) for line in lines} == {
        ("a", "b"),
        ("b", "b"),
    }
    assert len(server.requests) == 3


def test_budget(server: Loopback, capsys: pytest.CaptureFixture[str]) -> None:
    """The requests of all orders count, and nothing is sent once the tokens are used."""
    arguments = ["--labels", "a,b", "--orders", "2", "-n", "1", "--max-total-tokens", "20"]
    decided(*arguments, text="1\n2\n", status=3)
    assert len(server.requests) == 2
    assert "20 tokens" in capsys.readouterr().err


def test_dry_run(server: Loopback, capsys: pytest.CaptureFixture[str]) -> None:
    """The first request is shown as it would be sent."""
    Path("in.txt").write_text("one\n")
    assert main(["decide", "in.txt", "--labels", "a,b", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert server.requests == []
    assert "one\\n\\nA. " in shown
    assert shown.startswith("1 lines (lines), 0 answered, 1 to ask\n")


def test_wrong_lines_are_told_before_anything_is_sent(
    server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line without a question is told with its number."""
    system = '{"messages": [{"role": "system", "content": "x"}]}'
    Path("in.jsonl").write_text(f'{{"prompt": "a"}}\n{system}\n{{"x": 1}}\n')
    assert main(["decide", "in.jsonl", "--labels", "a,b"]) == 2
    shown = capsys.readouterr().err
    assert "line 2: expected a user message" in shown
    assert "line 3: expected prompt or messages" in shown
    assert server.requests == []


def test_field_that_would_be_taken_for_an_answers(
    server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    """`show` and `convert` take the names of a run's fields for the answer's."""
    Path("in.jsonl").write_text('{"prompt": "a", "logprobs": {}}\n')
    assert main(["decide", "in.jsonl", "--labels", "a,b"]) == 2
    assert "the output would overwrite logprobs" in capsys.readouterr().err
    assert server.requests == []


def test_lines_of_openai(server: Loopback, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines of the Batch API are requests already, and are refused."""
    Path("in.jsonl").write_text('{"custom_id": "a", "body": {}}\n')
    assert main(["decide", "in.jsonl", "--labels", "a,b"]) == 2
    assert "found lines of OpenAI's Batch API, which `limin run`" in capsys.readouterr().err
    assert server.requests == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--labels", ""],
        ["--labels", "a,a"],
        ["--labels", "a,,b"],
        ["--labels", "1,2", "--orders", "2", "--by", "text"],
        ["--labels", "a,b", "--alternatives", "-2"],
        ["--labels", "a,b", "--extra-body", '{"grammar": "root ::= [ab]"}'],
    ],
)
@pytest.mark.usefixtures("server")
def test_wrong_options(arguments: list[str]) -> None:
    """What makes no sense is refused, and no output is made."""
    Path("in.txt").write_text("one\n")
    assert main(["decide", "in.txt", "-o", "out.jsonl", *arguments]) == 2
    assert not Path("out.jsonl").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--labels", "a,b", "--scale", "1-5"],
        ["--labels", 'a,"b'],
        ["--scale", "5-1"],
        ["--scale", "1-1"],
        ["--scale", "1-5000"],
        ["--scale", "low-high"],
        ["--labels", "a,b", "--orders", "0"],
    ],
)
def test_wrong_arguments(arguments: list[str]) -> None:
    """Labels are one row of CSV, and a scale goes up."""
    with pytest.raises(SystemExit) as ended:
        main(["decide", "in.txt", *arguments])
    assert ended.value.code == 2


def test_real_model(
    llama: LocalEndpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Decisions come from a real model, and a resumed run asks for none of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_BASE_URL", llama.base_url)
    command = ["--labels", "yes,no"]
    text = "Is the sky blue?\nIs grass red?\n"
    lines = decided(*command, text=text)
    assert {line["label"] for line in lines} <= {"yes", "no"}
    assert all(0 < line["low"] <= line["high"] <= 1 for line in lines)
    capsys.readouterr()
    assert decided(*command, "--resume", text=text) == lines
    shown = capsys.readouterr().err
    assert shown == "limin: 2 of 2 lines have an answer already\n"
