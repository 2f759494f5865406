"""Odd answers of QUIRKS whose stream is not as it should be; a whole answer is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from limin.testing.answers import Quirk
from limin.testing.bodies import encode
from limin.testing.chunks import DONE, event_of, to_chunks
from limin.testing.odd_bodies import USAGE, standard_body
from limin.testing.responses import streamed, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from limin.testing.requests import Request
    from limin.testing.responses import Response

    Chunks = list[dict[str, Any]]

_BEGINS = 3  # Chunks of a stream that breaks off: the role, and the start of the text.


@attrs.frozen(kw_only=True)
class _OddStream:
    """What becomes of the chunks of a standard stream.

    Attributes:
        events: Makes the bytes of the events.
        is_cut: Whether the connection breaks off behind them.
    """

    events: Callable[[Chunks], list[bytes]]
    is_cut: bool = False

    def respond(self, request: Request, text: str) -> Response:
        """Return the odd stream, or a whole answer."""
        body = standard_body(text, request)
        if not request.streams:
            return whole(body)
        chunks = list(to_chunks(body, includes_usage=request.includes_usage))
        return streamed(self.events(chunks), is_cut=self.is_cut)


def _stream(
    name: str,
    servers: str,
    description: str,
    events: Callable[[Chunks], list[bytes]],
    *,
    is_cut: bool = False,
    text: str = "Paris is the capital.",
) -> Quirk:
    return Quirk(
        name=name,
        servers=servers,
        description=description,
        text=text,
        respond=_OddStream(events=events, is_cut=is_cut).respond,
    )


def _events(chunks: Chunks) -> list[bytes]:
    return [*map(event_of, chunks), DONE]


def _with_line_ends(end: bytes) -> Callable[[Chunks], list[bytes]]:
    return lambda chunks: [event.replace(b"\n", end) for event in _events(chunks)]


def _behind_each(line: bytes) -> Callable[[Chunks], list[bytes]]:
    return lambda chunks: [event + line for event in _events(chunks)]


def _changed(
    change: Callable[[dict[str, Any]], dict[str, Any]],
) -> Callable[[Chunks], list[bytes]]:
    """Return a maker of events that changes each chunk."""
    return lambda chunks: _events(list(map(change, chunks)))


def _without_finish(chunks: Chunks) -> Chunks:
    return [
        chunk
        for chunk in chunks
        if all(choice["finish_reason"] is None for choice in chunk["choices"])
    ]


def _breaking_with(event: bytes, *, ends: bool = True) -> Callable[[Chunks], list[bytes]]:
    """Return a maker of events that sends *event* in the middle, and then the end."""
    end = [DONE] if ends else []
    return lambda chunks: [*map(event_of, chunks[:_BEGINS]), event, *end]


def _finish_everywhere(chunk: dict[str, Any]) -> dict[str, Any]:
    choices = [
        {**choice, "finish_reason": choice["finish_reason"] or ""}
        for choice in chunk["choices"]
    ]
    return {**chunk, "choices": choices}


def _repeating(chunks: Chunks) -> list[bytes]:
    """Return events whose deltas repeat all that came before, each for its choice."""
    texts: dict[int, str] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            index = choice["index"]
            texts[index] = texts.get(index, "") + delta.get("content", "")
            if delta.get("content"):
                choice["delta"] = {"content": texts[index]}
    return _events(chunks)


_FILTER_CHUNK: dict[str, Any] = {
    "id": "",
    "object": "",
    "created": 0,
    "model": "",
    "choices": [],
    "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
}
_FILTERED_CHOICE: dict[str, Any] = {
    "index": 0,
    "finish_reason": None,
    "content_filter_results": {},
    "content_filter_offsets": {"check_offset": 44, "start_offset": 44, "end_offset": 121},
}
_ERROR = {"message": "the engine died", "type": "InternalServerError", "code": 500}
_FAILED_CHOICE: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": "error"}

FRAMES = (
    _stream(
        "stream-comments",
        "OpenRouter, DeepSeek, vLLM",
        "Comments between the events keep the connection alive.",
        _behind_each(b": OPENROUTER PROCESSING\n\n"),
    ),
    _stream(
        "stream-comments-as-data",
        "OpenRouter behind proxies",
        "Such comments are the data of events.",
        _behind_each(b"data: : OPENROUTER PROCESSING\n\n"),
    ),
    _stream(
        "stream-empty-data",
        "several servers",
        "Events without data come in between.",
        _behind_each(b"data:\n\ndata: \n\n"),
    ),
    _stream(
        "stream-crlf",
        "servers with sse-starlette",
        "Lines end with CR LF.",
        _with_line_ends(b"\r\n"),
    ),
    _stream(
        "stream-cr",
        "no server known; the standard allows it",
        "Lines end with CR alone.",
        _with_line_ends(b"\r"),
    ),
    _stream(
        "stream-no-blank",
        "several servers",
        "There is no blank behind `data:`.",
        lambda chunks: [event.replace(b"data: ", b"data:") for event in _events(chunks)],
    ),
    _stream(
        "stream-byte-order-mark",
        "several servers",
        "The stream begins with a byte order mark.",
        lambda chunks: [b"\xef\xbb\xbf", *_events(chunks)],
    ),
    _stream(
        "stream-bytewise",
        "any network",
        "Each byte comes in a chunk of its own, characters cut in the middle.",
        lambda chunks: [bytes([byte]) for byte in b"".join(_events(chunks))],
        text="Paris, 東京 🏯.",
    ),
    _stream(
        "stream-json-lines",
        "a server of another dialect, such as Ollama's own",
        "The chunks are lines of JSON, and no events.",
        lambda chunks: [encode(chunk) + b"\n" for chunk in chunks],
    ),
)

ENDS = (
    _stream(
        "stream-done-absent",
        "Ollama, proxies",
        "The stream ends behind the finish reason, without `[DONE]`.",
        lambda chunks: list(map(event_of, chunks)),
    ),
    _stream(
        "stream-done-twice",
        "several servers",
        "`[DONE]` comes twice, once with blanks behind it.",
        lambda chunks: [*_events(chunks), b"data: [DONE]  \n\n"],
    ),
    _stream(
        "stream-finish-absent",
        "Ollama, gateways",
        "The stream is `[DONE]`, and no chunk has a finish reason.",
        lambda chunks: _events(_without_finish(chunks)),
    ),
    _stream(
        "stream-cut",
        "servers that die",
        "The connection breaks off in the middle of the answer.",
        lambda chunks: list(map(event_of, chunks[:_BEGINS])),
        is_cut=True,
    ),
    _stream(
        "stream-ends-early",
        "Ollama, proxies",
        "The stream ends properly, but in the middle of the answer.",
        lambda chunks: list(map(event_of, chunks[:_BEGINS])),
    ),
    _stream(
        "stream-cut-after-done",
        "several servers",
        "The connection breaks off when all has come.",
        _events,
        is_cut=True,
    ),
)

CHUNKS = (
    _stream(
        "stream-filter-first",
        "Azure",
        "The first chunk has no choices, but the filter's results.",
        lambda chunks: _events([_FILTER_CHUNK, *chunks]),
    ),
    _stream(
        "stream-delta-absent",
        "Azure with the asynchronous filter",
        "A choice has no delta, but the filter's results.",
        lambda chunks: _events(
            [*chunks[:-1], {**_FILTER_CHUNK, "choices": [_FILTERED_CHOICE]}, chunks[-1]]
        ),
    ),
    _stream(
        "stream-usage-everywhere",
        "vLLM",
        "Each chunk has the usage.",
        _changed(lambda chunk: {**chunk, "usage": USAGE}),
    ),
    _stream(
        "stream-choices-null",
        "several servers",
        "The chunk with the usage has null in the place of its empty choices.",
        _changed(lambda chunk: {**chunk, "choices": chunk["choices"] or None}),
    ),
    _stream(
        "stream-finish-everywhere",
        "LocalAI",
        "Each chunk has a finish reason, which is empty but for the last.",
        _changed(_finish_everywhere),
    ),
    _stream(
        "stream-repeats",
        "DashScope",
        "Each delta repeats all the text before it.",
        _repeating,
    ),
)

BREAKS = (
    _stream(
        "stream-error",
        "vLLM",
        "In the middle comes an error, and `[DONE]`.",
        _breaking_with(event_of({"error": _ERROR})),
    ),
    _stream(
        "stream-error-flat",
        "the first versions of vLLM",
        "In the middle comes an error that has no field `error`.",
        _breaking_with(event_of({"object": "error", **_ERROR})),
    ),
    _stream(
        "stream-error-field",
        "llama.cpp before the end of 2025",
        "In the middle comes an error as the field `error` of an event.",
        _breaking_with(b"error: " + json.dumps(_ERROR).encode() + b"\n\n"),
    ),
    _stream(
        "stream-error-event",
        "watsonx",
        "In the middle comes an event of the kind `error`.",
        _breaking_with(b"event: error\n" + event_of({"errors": [_ERROR]}), ends=False),
    ),
    _stream(
        "stream-error-list",
        "Gemini",
        "In the middle comes an error inside a list.",
        _breaking_with(event_of([{"error": _ERROR}]), ends=False),
    ),
    _stream(
        "stream-error-in-choice",
        "OpenRouter",
        "In the middle comes a chunk with an error, and the finish reason `error`.",
        _breaking_with(event_of({"error": _ERROR, "choices": [_FAILED_CHOICE]})),
    ),
)

ODD_STREAMS = (*FRAMES, *ENDS, *CHUNKS, *BREAKS)
