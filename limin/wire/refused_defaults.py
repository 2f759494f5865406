"""Notes for a refusal of a field that limin filled in: which one, and what to do about it.

The note is one of PEP 678, `error.__notes__`: tracebacks show it under the message.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, cast

from limin.errors import (
    BadRequestError,
    ContentFilterError,
    ContextLengthError,
    NotFoundError,
    PermissionDeniedError,
    StatusError,
    StreamError,
)
from limin.values.masking import mask_all
from limin.wire.error_body import read_error_body

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from limin.errors import LiminError
    from limin.wire.request import RequestEncoder

# The fields that limin fills in, by their names in a request, and the way out.
_WAYS_OUT = {
    "model": "model= names another",
    "temperature": "temperature=None leaves it out",
    "max_tokens": "max_completion_tokens= takes its place",
    "top_logprobs": "top_log_probs= asks for another number",
    "stream_options": 'extra_body={"stream_options": None} leaves it out',
}
_OPTIONS = {"top_logprobs": "top_log_probs"}  # Where the option has another name.

# Servers quote the input without quotation marks, and list the fields that they take. The
# words of a schema, of a tool or of a message may be the names of fields by chance.
# Sources: pydantic's errors, as vLLM and FastAPI print them; serde's "unknown field".
_ECHO = re.compile(
    r"(?:['\"]input['\"]:|\binput_value=).*?(?=['\"]loc['\"]:|, input_type=|$)",
    re.DOTALL | re.IGNORECASE,
)
_LIST = re.compile(
    r"\bone of\b.*|(?<!not )\b(?:supported|allowed|valid|accepted|permitted|known)"
    r" (?:fields|parameters|params|arguments|keys|properties|options|names)\b.*",
    re.DOTALL | re.IGNORECASE,
)
_OTHER_SUBJECT = re.compile(
    r"schema|'properties'|\btools?\b|\bfunctions?\b|\bmessages\b", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"[.;!?\u3002\uff1b\uff01\uff1f](?=\s|$|[^\x00-\x7f])|\n")
# FastAPI names the field beside its message.
_PLACE = re.compile(rb'"loc"\s*:\s*\[[^\]]{0,99}"(\w{1,99})"\s*\]')
# What gateways write in the place of no `param`.
_NO_PARAM = frozenset({"", "none", "null", "body", "request", "params", "parameters"})
_LONGEST_BODY = 16_384


def note_refused_defaults(
    error: LiminError, encoder: RequestEncoder, secrets: Collection[str]
) -> None:
    """Add a note to *error* for each field that the server refuses and the user left out.

    Args:
        error: The error; one that is no refusal of the request gets no note.
        encoder: Encoded the request.
        secrets: Keys and prompts, in which no name of a field is looked for.
    """
    refusal = error.cause if isinstance(error, StreamError) else error
    if not isinstance(refusal, StatusError):
        return
    sent = cast("dict[str, object]", json.loads(encoder.head + b"[]}"))
    names = [name for name in _WAYS_OUT if name in encoder.filled_in and name in sent]
    if isinstance(refusal, (NotFoundError, PermissionDeniedError)):
        names = [name for name in names if name == "model"]
    elif not _may_name_a_field(refusal):
        return
    for name in _refused(refusal, names, sent, secrets):
        value, option = sent[name], _OPTIONS.get(name, name)
        shown = json.dumps(value) if isinstance(value, dict) else repr(value)
        note = f"limin sends {option}={shown} unless told otherwise; {_WAYS_OUT[name]}"
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)


def _may_name_a_field(error: StatusError) -> bool:
    is_other = isinstance(error, (ContentFilterError, ContextLengthError))
    return isinstance(error, BadRequestError) and not is_other


def _refused(
    error: StatusError,
    names: list[str],
    sent: dict[str, object],
    secrets: Collection[str],
) -> list[str]:
    """Return those of *names* that *error* is about: by `param`, by place, or in words."""
    param = (error.param or "").strip().lower()
    if param not in _NO_PARAM:
        return [name for name in names if _pattern(name).search(_last_part(param))]
    fields = [field.decode() for field in _PLACE.findall(error.body[:_LONGEST_BODY])]
    if fields:
        return [name for name in names if name in fields]
    sentences = list(_sentences(error, secrets))
    # "this model" is in many refusals: only its name means the field.
    words = {name: str(sent[name]) if name == "model" else name for name in names}
    return [name for name in names if any(map(_pattern(words[name]).search, sentences))]


def _sentences(error: StatusError, secrets: Collection[str]) -> Iterator[str]:
    """Yield the sentences of the server that may name a field."""
    body = read_error_body(error.body[:_LONGEST_BODY])
    texts = [body.message or error.reason, *body.other_texts()]
    for text in mask_all(texts, secrets):
        for sentence in _SENTENCE_END.split(_ECHO.sub(" ", text)):
            if not _OTHER_SUBJECT.search(sentence):
                yield _LIST.sub(" ", sentence)


def _last_part(param: str) -> str:
    """Return the last name of a path such as `body.temperature`."""
    return re.split(r"[.\[\]/ ]+", param.rstrip("]"))[-1]


def _pattern(name: str) -> re.Pattern[str]:
    """Return a pattern for *name* as a whole word; `topLogprobs` is `top_logprobs`.

    Chinese letters may stand right beside it.
    """
    words = r"[_\-\s]?".join(map(re.escape, name.split("_")))
    return re.compile(rf"(?<![A-Za-z0-9_]){words}(?![A-Za-z0-9_])", re.IGNORECASE)
