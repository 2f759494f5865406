"""Odd answers of QUIRKS whose HTTP, or whose form, is not what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from limin.testing.answers import Garbage, Quirk
from limin.testing.bodies import encode
from limin.testing.chunks import DONE, event_of, to_chunks
from limin.testing.odd_bodies import standard_body
from limin.testing.responses import as_asked, streamed, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from limin.testing.requests import Request
    from limin.testing.responses import Response


def _http(
    name: str,
    servers: str,
    description: str,
    respond: Callable[[Request, str], Response | Garbage],
) -> Quirk:
    return Quirk(name=name, servers=servers, description=description, respond=respond)


def _with_headers(**headers: str) -> Callable[[Request, str], Response]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request, text: as_asked(
        standard_body(text, request), request, headers=named
    )


def _whole_always(request: Request, text: str) -> Response:
    return whole(standard_body(text, request))


def _events_always(request: Request, text: str) -> Response:
    chunks = to_chunks(standard_body(text, request), includes_usage=True)
    return streamed([*map(event_of, chunks), DONE])


def _behind_blank_lines(request: Request, text: str) -> Response:
    return whole(b"\n" * 40 + encode(standard_body(text, request)))


def _behind_hints(request: Request, text: str) -> Garbage:
    body = encode(standard_body(text, request))
    return Garbage(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )


def _cut_in_two(request: Request, text: str) -> Response:
    body = encode(standard_body(text, request))
    return attrs.evolve(whole(body), pieces=[body[: len(body) // 2]], is_cut=True)


ODD_HTTP = (
    _http(
        "whole-for-stream",
        "several servers",
        "A whole answer comes where a stream was asked for.",
        _whole_always,
    ),
    _http(
        "stream-for-whole",
        "several servers",
        "A stream comes where a whole answer was asked for.",
        _events_always,
    ),
    _http(
        "blank-lines",
        "DeepSeek",
        "Blank lines before the answer keep the connection alive.",
        _behind_blank_lines,
    ),
    _http(
        "content-type-text",
        "several servers",
        "The content type is that of a text, also of a stream.",
        _with_headers(content_type="text/plain; charset=utf-8"),
    ),
    _http(
        "content-encoding-charset",
        "several servers",
        "The content encoding is `UTF-8`, which is no compression.",
        _with_headers(content_encoding="UTF-8"),
    ),
    _http(
        "early-hints",
        "content delivery networks",
        "An interim response comes before the answer.",
        _behind_hints,
    ),
    _http(
        "body-cut",
        "servers that die",
        "The connection breaks off in the middle of a whole answer.",
        _cut_in_two,
    ),
    _http(
        "hang-up",
        "load balancers",
        "The connection is closed without an answer.",
        lambda _request, _text: Garbage(b""),
    ),
    _http(
        "head-cut",
        "servers that die",
        "The connection is closed in the middle of the headers.",
        lambda _request, _text: Garbage(b"HTTP/1.1 200 OK\r\nContent-Ty"),
    ),
    _http(
        "not-http",
        "a wrong port",
        "The server speaks another protocol.",
        lambda _request, _text: Garbage(b"SSH-2.0-OpenSSH_9.6\r\n"),
    ),
)
