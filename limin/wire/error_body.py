"""The body of an error, of whatever shape: its message, its fields, the status in it.

Nothing here decides the meaning of an error; `error_meanings` does.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from limin.wire import untyped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Where messages stand, in the order in which they are looked for. Names are compared
# without upper case, `_` and `-`.
MESSAGE_FIELDS = (
    "error",  # OpenAI, and most others
    "errors",  # watsonx, Workers AI
    "message",
    "detail",  # FastAPI, NVIDIA NIM
    "msg",
    "errormessage",
    "errormsg",  # Baidu Qianfan
    "errmsg",
    "statusmsg",  # MiniMax
    "statusmessage",
    "baseresp",  # MiniMax
    "errordescription",  # OAuth servers
    "faultstring",  # Apigee
    "fault",
    "header",  # iFlytek Spark
    "exception",
    "description",
    "title",  # RFC 9457
    "reason",
    "response",
    "body",
    "data",
    "choices",  # OpenRouter puts an error into a choice
)
# Those of them that hold other objects, but words only now and then.
_CONTAINERS = frozenset({"error", "errors", "response", "body", "data", "choices"})
# Ends of other names of messages.
_MESSAGE_ENDS = ("message", "msg", "error", "description")
# Text of these fields is an answer, or a quotation of the request.
_QUOTATIONS = frozenset(
    {
        *("input", "inputs", "prompt", "messages", "content", "arguments", "ctx"),
        *("request", "requestbody", "failedgeneration", "delta", "reasoning"),
        *("parameters", "query", "url", "instance", "loc", "help", "moreinfo"),
    }
)

# Names of a status, from the most exact.
STATUS_FIELDS = (
    *("statuscode", "httpstatus", "httpcode", "httpstatuscode", "errorstatus"),
    *(
        "upstreamstatus",
        "code",
        "status",
        "errorcode",
        "errcode",
        "errno",
        "ret",
        "retcode",
    ),
)
_CODE_FIELDS = ("code", "errorcode", "errcode", "errno", "statuscode")
_TYPE_FIELDS = ("type", "errortype", "kind")
_DURATION = {"seconds", "nanos"}  # google.protobuf.Duration, as an object
# Ends of names of codes in words.
_CODE_ENDS = ("code", "type", "kind", "status", "reason")
# Ends of other names of a status.
STATUS_ENDS = ("status", "code")

# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_RPC_STATUSES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INTERNAL": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_STATUS_TEXT = re.compile(r"([45][0-9]{2})(?:\b.{0,60})?", re.DOTALL)
_PHRASES = frozenset(status.phrase.lower() for status in HTTPStatus)

_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,1000})", re.IGNORECASE)
_TAG = re.compile(
    r"<(?:script|style)\b.{0,2048}?</(?:script|style)[^>]{0,64}>|<[^>]{0,512}>",
    re.IGNORECASE | re.DOTALL,
)

# Bodies that say nothing, and are not worth a quotation.
_EMPTY = frozenset({"{}", "[]", "null", '""'})

# JSON longer than this is shown as its start; a page needs no more of its start.
LONGEST_JSON = 1_000_000
_LONGEST_PAGE = 4_096
_LONGEST_TEXT = 16_384
_DEEPEST = 32
_MOST_LEAVES = 1_000
_MOST_LINES = 200

# A field of a server-sent event, for an error whose body is a stream.
_EVENT_FIELD = re.compile(r"(?:data|error): ?")
_decoder = json.JSONDecoder(strict=False)

Leaf = tuple[str, object]
_NOTHING: tuple[str, Mapping[str, object]] = "", {}


class ErrorBody(msgspec.Struct, frozen=True, gc=False):
    """A body that was read as an error.

    Attributes:
        message: The words of the server.
        code: The value under `code` or a similar name, next to the message if it is
            there; None if there is none.
        kind: The same of `type`.
        param: The value of `param` next to the message.
        status: The HTTP status in the body; None if there is none.
        leaves: Every value that is no object and no list, with its name in lower case.
        is_page: Whether the body is a page for people, in HTML or XML.
    """

    message: str
    code: object = None
    kind: object = None
    param: object = None
    status: int | None = None
    leaves: tuple[Leaf, ...] = ()
    is_page: bool = False

    def codes(self) -> Iterator[object]:
        """Yield the codes, types and the like of the server, those of the message first."""
        yield from filter(None, (self.code, self.kind))
        for name, value in self.leaves:
            if value and isinstance(value, str) and name.endswith(_CODE_ENDS):
                yield value

    def other_texts(self) -> Iterator[str]:
        """Yield the words beside the message, without what the server quotes."""
        for _, value in self.leaves:
            if isinstance(value, str) and value != self.message:
                yield value


def read_error_body(body: bytes) -> ErrorBody:
    """Return the error in *body*, which may be JSON, events, a page, text or nothing."""
    text = body[:_LONGEST_TEXT].decode("utf-8-sig", "replace").strip()
    if text.startswith("<"):
        return ErrorBody(_page_text(text[:_LONGEST_PAGE]), is_page=True)
    value = parse_body(body)
    message, fields = _find_message(value, _DEEPEST)
    leaves = tuple(_leaves(value))
    return ErrorBody(
        message or ("" if text in _EMPTY else text),
        code=_first(fields, leaves, _CODE_FIELDS),
        kind=_first(fields, leaves, _TYPE_FIELDS),
        param=fields.get("param"),
        status=_find_status(fields, leaves),
        leaves=leaves,
    )


def lower_names(fields: Mapping[str, object] | None) -> dict[str, object]:
    """Return *fields* by their names without upper case, `_` and `-`; None as no fields."""
    return {_plain(name): value for name, value in (fields or {}).items()}


def holds_words(name: str) -> bool:
    """Return whether a field of this name, as `lower_names` returns it, holds a message."""
    is_message = name in MESSAGE_FIELDS or name.endswith(_MESSAGE_ENDS)
    return is_message and name not in _CONTAINERS


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def parse_body(body: bytes) -> object:
    """Return the JSON value in *body*, or in one of its lines, or else its text."""
    body = body[:LONGEST_JSON].strip()
    try:
        return untyped.parse(body)
    except ValueError:
        return _value_in_lines(body[:_LONGEST_TEXT].decode("utf-8-sig", "replace"))


def _find_message(value: object, depth: int) -> tuple[str, Mapping[str, object]]:
    """Return the message in parsed JSON, and the object that it stands in."""
    elements, text = untyped.as_list(value), untyped.as_text(value)
    if depth == 0 or not value:
        return _NOTHING
    if elements is not None:  # Gemini sends a list of one error; FastAPI, of several.
        results = (_find_message(element, depth - 1) for element in elements[:_MOST_LINES])
        return next((result for result in results if result[0]), _NOTHING)
    if text is not None:
        return _unwrap(text, depth)
    fields = lower_names(untyped.as_object(value))
    phrase = ""  # `"error": "Bad Request"`: better words may follow.
    for name in (*MESSAGE_FIELDS, *_unnamed_objects(fields)):
        message, inner = _find_message(fields.get(name), depth - 1)
        is_sentence = _is_sentence(message)
        if message and inner and (is_sentence or not phrase):
            return message, inner
        if is_sentence:
            raw = _raw_message(fields, depth)
            return (f"{message}: {raw}" if raw else message), fields
        phrase = phrase or message
    return phrase, fields


def _unnamed_objects(fields: Mapping[str, object]) -> Iterator[str]:
    """Yield the names of fields that may hold a message, though no table has them."""
    for name, value in fields.items():
        is_known = name in MESSAGE_FIELDS or name in _QUOTATIONS
        is_text = isinstance(value, str) and name.endswith(_MESSAGE_ENDS)
        if not is_known and (is_text or untyped.as_object(value)):
            yield name


def _is_sentence(message: str) -> bool:
    return " " in message.strip() and message.strip().lower() not in _PHRASES


def _raw_message(fields: Mapping[str, object], depth: int) -> str:
    """Return the words of the provider behind OpenRouter, which has none of its own."""
    metadata = lower_names(untyped.as_object(fields.get("metadata")))
    message, _ = _find_message(metadata.get("raw"), depth - 1)
    return message


def _unwrap(text: str, depth: int) -> tuple[str, Mapping[str, object]]:
    """Return *text*, with the message of an error body in it in the body's place.

    Gateways put the body of the server behind them into a string, with or without words
    around it.
    """
    start = min((n for n in (text.find("{"), text.find("[{")) if n >= 0), default=-1)
    if start < 0 or text.find('"', start, start + 32) < 0:
        return text, {}
    try:
        value, end = _decoder.raw_decode(text[:_LONGEST_TEXT], start)
    except (ValueError, RecursionError):
        return text, {}
    message, fields = _find_message(value, depth - 1)
    if not message:
        return text, {}
    before, behind = text[:start], text[end:_LONGEST_TEXT]
    return before + message + behind, {} if before.strip() else fields


def _value_in_lines(text: str) -> object:
    """Return the first JSON value in the lines of *text*, or else *text* itself.

    An error may come as an event, or as one of several JSON lines.
    """
    lines = (_EVENT_FIELD.sub("", line, count=1) for line in text.splitlines())
    for data, _ in zip((text, *lines), range(_MOST_LINES), strict=False):
        if data.lstrip()[:1] in {"{", "["}:
            try:
                value, _ = _decoder.raw_decode(data.lstrip())
            except (ValueError, RecursionError):
                continue
            if _find_message(value, _DEEPEST)[0]:
                return value
    return text


def _leaves(value: object) -> Iterator[Leaf]:
    """Yield the names and values in *value* at any depth, also in JSON inside of text."""
    waiting: list[tuple[str, object, int]] = [("", value, 0)]
    n_leaves = 0
    while waiting and n_leaves < _MOST_LEAVES:
        name, value, depth = waiting.pop()
        if depth > _DEEPEST or name in _QUOTATIONS:
            continue
        inner = _inner_values(name, value)
        if inner is None:
            n_leaves += 1
            yield name, value
            nested = _nested_value(value) if isinstance(value, str) else None
            inner = [] if nested is None else [(name, nested)]
        waiting += [(*pair, depth + 1) for pair in reversed(inner)]


def _inner_values(name: str, value: object) -> list[tuple[str, object]] | None:
    """Return the values in an object or a list with their names; None for a leaf."""
    elements, fields = untyped.as_list(value), untyped.as_object(value)
    if elements is not None:
        return [(name, element) for element in elements[:_MOST_LEAVES]]
    if fields is None:
        return None
    if set(fields) <= _DURATION:  # Its field has the name that says what for.
        return [(name, fields.get("seconds"))]
    return [(_plain(key), fields[key]) for key in list(fields)[:_MOST_LEAVES]]


def _nested_value(text: str) -> object:
    """Return the JSON object or list in *text*; None if there is none."""
    start = text.find("{")
    if start < 0 or text.find('"', start, start + 32) < 0:
        return None
    try:
        return _decoder.raw_decode(text[:_LONGEST_TEXT], start)[0]
    except (ValueError, RecursionError):
        return None


def _first(
    fields: Mapping[str, object], leaves: tuple[Leaf, ...], names: tuple[str, ...]
) -> object:
    """Return the first value under one of *names*: next to the message, or anywhere."""
    for name in names:
        value = fields.get(name)
        if value is not None and not isinstance(value, (dict, list)):
            return value
    for name in names:
        value = next((value for leaf, value in leaves if leaf == name), None)
        if value is not None:
            return value
    return None


def _find_status(fields: Mapping[str, object], leaves: tuple[Leaf, ...]) -> int | None:
    """Return the HTTP status of an error in the body: next to the message, or anywhere."""
    near = [(name, fields.get(name)) for name in STATUS_FIELDS]
    for name, value in (*near, *leaves):
        if (
            name.endswith((*STATUS_ENDS, *STATUS_FIELDS))
            and (status := _read_status(value)) is not None
        ):
            return status
    return None


def _read_status(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    text = str(int(value) if isinstance(value, float) and value.is_integer() else value)
    if text.upper() in _RPC_STATUSES:
        return _RPC_STATUSES[text.upper()]
    match = _STATUS_TEXT.fullmatch(text.strip())
    return None if match is None else int(match[1])


def _page_text(text: str) -> str:
    """Return the title of a page, or its text without the tags."""
    title = _TITLE.search(text)
    return title[1] if title and title[1].strip() else _TAG.sub(" ", text)
