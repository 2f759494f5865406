"""Raw JSON that is read late."""

from __future__ import annotations

import msgspec
import pytest

from limin.wire.raw_json import read_text, read_value


@pytest.mark.parametrize("data", [b"[1", b"", b"nul"])
def test_value_that_cannot_be_decoded(data: bytes) -> None:
    """What is no JSON is no value."""
    assert read_value(msgspec.Raw(data)) is None


@pytest.mark.parametrize("data", [b"[1", b"5", b'"a'])
def test_text_that_is_none(data: bytes) -> None:
    """What is no text is none."""
    assert read_text(msgspec.Raw(data)) is None
