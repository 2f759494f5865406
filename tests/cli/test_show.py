"""`limin show`: a run or a checkpoint, for the eye."""

from __future__ import annotations

from pathlib import Path

import pytest
from programs import run_shell
from stored import ENTRY, answered, batch, checkpoint, failed

from limin.__main__ import main

LINES = (
    answered(2, id="x", answer="two", warnings=["fewer-choices"]),
    failed(1),
    answered(7, id="2", answer="seven", logprobs={"content": [ENTRY]}),
)


@pytest.fixture(autouse=True)
def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a run."""
    monkeypatch.chdir(tmp_path)
    Path("out.jsonl").write_bytes(b"".join(LINES))


def shown(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    """Return what `limin show` writes to stdout."""
    assert main(["show", "out.jsonl", *arguments]) == status
    return capsys.readouterr().out


def headings(text: str) -> list[str]:
    """Return the heading of each line that is shown."""
    return [line for line in text.splitlines() if line.startswith("── ")]


def test_run(capsys: pytest.CaptureFixture[str]) -> None:
    """What the run came to stands first, and then each line in the input's order."""
    text = shown(capsys)
    assert text.startswith("Answered")
    assert "Failed             1: BadRequestError 1" in text
    assert headings(text) == ["── line 1", "── line 2", "── line 7"]
    assert "BadRequestError: no" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["--failed"], [1]),
        (["--warning", "fewer-choices"], [2]),
        (["--without-warning", "fewer-choices"], [1, 7]),
        (["--failed", "--without-warning", "fewer-choices"], [1]),
        (["--where", "x"], [2]),
        (["--where", "2"], [7]),
        (["--where", "1"], [1]),
    ],
)
def test_lines_that_are_asked_for(
    capsys: pytest.CaptureFixture[str], arguments: list[str], lines: list[int]
) -> None:
    """Lines are chosen by failure, warning, id, and number if no line has such an id."""
    text = shown(capsys, *arguments)
    assert headings(text) == [f"── line {number}" for number in lines]
    assert text.startswith("Answered") == ("--where" not in arguments)


@pytest.mark.parametrize(
    "arguments",
    [["--where", "9"], ["--warning", "text-mismatch"], ["--failed", "--where", "x"]],
)
def test_nothing_is_as_asked_for(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Whoever names what is not there gets a status for a script."""
    assert main(["show", "out.jsonl", *arguments]) == 1
    assert capsys.readouterr().err == "limin: no line is as asked for\n"


def test_run_without_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """That nothing failed is no failure."""
    Path("out.jsonl").write_bytes(answered(1))
    assert headings(shown(capsys, "--failed")) == []


def test_lowest(capsys: pytest.CaptureFixture[str]) -> None:
    """The least probable tokens of an answer are listed."""
    assert "0  hi     0.61" in shown(capsys, "--lowest", "1")
    with pytest.raises(SystemExit) as ended:
        main(["show", "out.jsonl", "--lowest", "0"])
    assert ended.value.code == 2


def test_colors(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Colors come to a terminal or if they are asked for, and not against NO_COLOR."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in shown(capsys)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown(capsys)


def test_page(capsys: pytest.CaptureFixture[str]) -> None:
    """A page has the same lines, and is not replaced by chance."""
    assert shown(capsys, "--html", "page.html", "--failed") == ""
    page = Path("page.html").read_text()
    assert "<title>Run out.jsonl</title>" in page
    assert "Line 1" in page
    assert "Line 7" not in page
    assert main(["show", "out.jsonl", "--html", "page.html"]) == 2
    assert "page.html exists; --overwrite replaces it" in capsys.readouterr().err
    shown(capsys, "--html", "page.html", "--overwrite")
    assert "Line 7" in Path("page.html").read_text()


def test_every_shape(capsys: pytest.CaptureFixture[str]) -> None:
    """OpenAI's lines and checkpoints of the library are shown alike."""
    body = {"choices": [{"message": {"content": "batched"}}]}
    Path("out.jsonl").write_bytes(batch(1, "the-id", body))
    text = shown(capsys, "--where", "the-id")
    assert headings(text) == ["── line 1 · the-id"]
    assert "batched" in text
    Path("out.jsonl").write_bytes(checkpoint("kept", {"id": 7}, "served"))
    assert "kept" in shown(capsys, "--warning", "log-probs-missing")


def test_wrong_warning(capsys: pytest.CaptureFixture[str]) -> None:
    """A warning that does not exist is told before anything is read."""
    with pytest.raises(SystemExit) as ended:
        main(["show", "out.jsonl", "--warning", "cold-feet"])
    assert ended.value.code == 2
    assert "served-model-changed" in capsys.readouterr().err


def test_file_that_is_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    """What is no run is told in one line, which does not act on the terminal."""
    Path("\x1b[2J").write_text("hello\n")
    assert main(["show", "\x1b[2J"]) == 1
    assert capsys.readouterr().err == (
        "limin: checkpoint ␛[2J: line 1: expected a line of a run or a checkpoint, found "
        "another\n"
    )


def test_answers_that_do_not_count(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever changed the input between two runs is told."""
    Path("out.jsonl").write_bytes(answered(1) + answered(1, request="other"))
    assert main(["show", "out.jsonl"]) == 0
    assert capsys.readouterr().err == (
        "limin: answers left out because a newer line has their number or id, and another "
        "request: 1\n"
    )


def test_reader_that_has_gone(tmp_path: Path) -> None:
    """`| head -1` ends the program without a word, and a full disk with one."""
    Path("out.jsonl").write_bytes(b"".join(answered(n) for n in range(1, 2000)))
    script = (
        "limin show out.jsonl | head -1; echo ${PIPESTATUS[0]}\n"
        "limin convert out.jsonl --to jsonl | head -1 | wc -l; echo ${PIPESTATUS[0]}\n"
        "limin show out.jsonl > /dev/full; echo $?"
    )
    done = run_shell(script, base_url="", folder=tmp_path)
    assert done.stdout.splitlines()[1:] == ["0", "1", "0", "1"]
    assert done.stderr == "limin: output stdout: No space left on device\n"
