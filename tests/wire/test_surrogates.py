"""Halves of surrogate pairs: never in what is handed over."""

from __future__ import annotations

import json
from typing import Any

import attrs
import msgspec
import pytest
from builders import TIMING, body_of, read
from hypothesis import example, given
from hypothesis import strategies as st

from limin.checkpoint.line import decode_line, encode_line, restore_completion
from limin.checkpoint.request import RecordedRequest
from limin.values.conversation import Conversation
from limin.wire.http import HttpResponse
from limin.wire.response import ReadingContext
from limin.wire.stream import AnswerReader
from limin.wire.surrogates import TextJoiner, mend_json, mend_text

TEXT = st.text(st.characters() | st.characters(categories=["Cs"]))
HI = Conversation.from_prompts("hi")
REQUEST = RecordedRequest.of(
    b'{"model":"m","messages":[{"role":"user","content":"hi"}]}', HI
)


def stream(*chunks: object) -> Any:
    """Return the completion of a stream of *chunks*, and its deltas."""
    context = ReadingContext(conversation=Conversation.from_prompts("hi"), model="m")
    head = HttpResponse(200, {"content-type": "text/event-stream"}, b"")
    reader = AnswerReader(context, head)
    deltas = []
    for chunk in (*chunks, None):
        data = b"[DONE]" if chunk is None else json.dumps(chunk).encode()
        update = reader.feed(b"data: " + data + b"\n\n")
        assert update.error is None
        deltas += update.deltas
    return reader.completion(attrs.evolve(TIMING, time_to_first_byte=0.5)), deltas


@given(TEXT)
@example("\ud83e\udd8a\ud83e \udd8a\\ud83e\\\ud83e")
def test_any_json_loses_its_halves_only(text: str) -> None:
    """Characters stay, and a half becomes U+FFFD, as it does in text."""
    data, count = mend_json(json.dumps(text).encode())
    mended = msgspec.json.decode(data)
    assert mended == mend_text(text)
    assert mended.encode().decode() == mended
    assert (count > 0) == (mended != text and "\ufffd" in mended)


@given(st.lists(TEXT))
@example(["\ud83e", "\udd8a"])
@example(["\ud83e", "", "\ud83e", "a"])
def test_any_pieces_are_joined(pieces: list[str]) -> None:
    """However a text is cut, the same text comes out, and nothing has halves."""
    joiner = TextJoiner()
    handed = [joiner.add(piece) for piece in pieces]
    handed.append(joiner.end())
    assert "".join(handed) == joiner.text() == mend_text("".join(pieces))
    assert all(piece.encode() is not None for piece in handed)
    assert joiner.end() == ""


HALF = "\ud800"
FULL = body_of("4", finish_reason="stop")

WHOLE: dict[str, dict[str, Any]] = {
    "message": body_of(f"4{HALF}"),
    "finish reason": body_of("4", finish_reason=HALF),
    "id": {**FULL, "id": HALF},
    "model": {**FULL, "model": f"m{HALF}"},
    "a name": {**FULL, HALF: 1},
    "a name in the choice": body_of("4", **{HALF: 1}),
    "reasoning": {
        "choices": [{"message": {"content": "4", "reasoning_content": HALF}}],
    },
    "refusal": {"choices": [{"message": {"content": None, "refusal": HALF}}]},
    "tokens": body_of(
        "4",
        logprobs={"content": [{"token": HALF, "logprob": -1, "top_logprobs": []}]},
    ),
}


def check(completion: Any) -> None:
    """Encode all that a completion shows, and read it back from a checkpoint."""
    texts = [completion.message, completion.finish_reason, completion.id]
    texts += [completion.served_model, completion.reasoning, completion.refusal]
    texts += [token.token for token in completion.token_log_probs or ()]
    assert all(text.encode() is not None for text in texts if text is not None)
    assert completion.to_pretty_string().encode()
    assert completion.to_html().encode()
    line = decode_line(encode_line(REQUEST, completion))
    assert line is not None
    restored = restore_completion(line)
    assert restored.choices == completion.choices
    assert restored.warnings == completion.warnings


@pytest.mark.parametrize("name", WHOLE)
def test_half_in_a_whole_answer(name: str) -> None:
    """What comes of it can be encoded, shown, stored and read back."""
    completion = read(WHOLE[name])
    check(completion)
    assert "half-surrogate" in {str(warning.code) for warning in completion.warnings}


@pytest.mark.parametrize("name", WHOLE)
def test_half_in_a_stream(name: str) -> None:
    """A stream gives the same as a whole answer."""
    body = WHOLE[name]
    (choice,) = body["choices"]
    chunk = {**choice, "delta": choice["message"]}
    chunk.setdefault("finish_reason", "stop")
    del chunk["message"]
    completion, deltas = stream({**body, "choices": [chunk]})
    check(completion)
    if "name" not in name:  # Names of fields that limin does not know are in `raw` only.
        codes = {str(warning.code) for warning in completion.warnings}
        assert "half-surrogate" in codes
    assert "".join(delta.text for delta in deltas) == completion.message
    for delta in deltas:
        assert all(text.encode() is not None for text in (delta.text, delta.reasoning))
        assert (delta.finish_reason or "").encode() is not None
    whole = {**body, "choices": [{**chunk, "message": choice["message"]}]}
    assert read(whole).choices == completion.choices


def test_half_at_the_end_of_a_stream() -> None:
    """It is handed over with the finish reason."""
    chunk = {"choices": [{"index": 0, "delta": {"content": "4\ud83e"}}]}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    completion, deltas = stream(chunk, end)
    assert [delta.text for delta in deltas] == ["4", "\ufffd"]
    assert completion.message == "4\ufffd"
