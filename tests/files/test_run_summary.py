"""What a run came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stored import answered, batch, checkpoint, failed, marked, unanswered_batch

from limin.files.run_summary import summarize
from limin.files.stored_run import StoredRun

if TYPE_CHECKING:
    from pathlib import Path

    from limin import Summary


def summary(folder: Path, *lines: bytes) -> Summary:
    """Return the summary of a run of *lines*."""
    path = folder / "out.jsonl"
    path.write_bytes(b"".join(lines))
    with StoredRun.open(str(path)) as run:
        return summarize(line.record() for line in run.lines())


def test_run_of_fields(tmp_path: Path) -> None:
    """Answers, failures by kind, warnings by code, tokens and times are counted."""
    wrong = {"type": "StructuredOutputError", "message": "no"}
    found = summary(
        tmp_path,
        answered(1, seconds=2.0, warnings=["fewer-choices"]),
        answered(2, usage=None, finish_reason=None),
        failed(3),
        answered(4, error=wrong),
    )
    assert (found.total, found.answered) == (4, 2)
    assert found.failures == {"BadRequestError": 1, "StructuredOutputError": 1}
    assert found.finish_reasons == {"stop": 1}
    assert found.warnings == {"fewer-choices": 1}
    assert (found.prompt_tokens, found.completion_tokens, found.total_tokens) == (6, 14, 20)
    assert found.uncounted == 1
    assert (found.start_time, found.end_time) == (999.0, 1002.0)
    assert found.duration is not None
    assert found.duration.median == 1.25


def test_times_of_lines_of_openai_are_not_known(tmp_path: Path) -> None:
    """OpenAI's lines do not hold how long an answer took."""
    body = {"choices": [{"message": {"content": "hi"}}]}
    found = summary(tmp_path, batch(1, "a", body), unanswered_batch(2, "b"))
    assert (found.total, found.failures) == (2, {"ConnectError": 1})
    assert (found.duration, found.seconds, found.completion_tokens) == (None, None, None)


def test_checkpoint(tmp_path: Path) -> None:
    """A checkpoint has answers alone."""
    found = summary(tmp_path, checkpoint("hi", {}, "served"))
    assert (found.total, found.failed) == (1, 0)
    assert found.warnings == {"log-probs-missing": 1}


def test_nothing(tmp_path: Path) -> None:
    """A run that has just begun came to nothing yet."""
    found = summary(tmp_path)
    assert (found.total, found.duration, found.start_time) == (0, None, None)
    assert summary(tmp_path, marked(1, {"answer": None}, "fields")).answered == 1
