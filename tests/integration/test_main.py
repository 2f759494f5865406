"""`python -m limin demo`, as a person runs it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from limin.__main__ import main

if TYPE_CHECKING:
    import pytest


def assert_shown(out: str, err: str) -> None:
    """Assert that each part of the demo is in the output."""
    assert "The capital of France is Paris." in out
    assert re.search(r"first token after \d+\.\d", out)
    assert "Kenya" in out
    assert "tokens a second" in out
    assert "assistant" in out
    assert "[0.9" in out
    assert "most likely" in out
    assert "limin: 8 done in" in err


def test_demo_on_the_local_model(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an endpoint the demo starts a local server."""
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert main(["demo"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("Starting a language model on this machine")
    assert_shown(out, err)


def test_demo_on_another_endpoint(capfd: pytest.CaptureFixture[str]) -> None:
    """OPENAI_BASE_URL names the endpoint, and an argument the model."""
    assert main(["demo", "--model", "tiny"]) == 0
    out, err = capfd.readouterr()
    assert "One completion, of tiny" in out
    assert_shown(out, err)


def test_failed_demo_gives_the_reason(capfd: pytest.CaptureFixture[str]) -> None:
    """A failure is one line on stderr, without a traceback."""
    assert main(["demo", "--base-url", "ftp://nowhere"]) == 2
    assert capfd.readouterr().err.startswith("limin: base_url: expected http://")
