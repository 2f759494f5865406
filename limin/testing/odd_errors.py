"""Odd answers of QUIRKS that are errors, the same whether a stream was asked for or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from limin.testing.answers import Quirk
from limin.testing.bodies import encode
from limin.testing.responses import whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from limin.testing.requests import Request
    from limin.testing.responses import Response

_HTML = b"""<!DOCTYPE html>
<html><head><title>model.test | 502: Bad gateway</title></head>
<body><h1>Bad gateway</h1><p>The web server reported a bad gateway error.</p></body></html>
"""


@attrs.frozen
class _Fixed:
    """A response that depends on nothing."""

    status: int
    body: object
    headers: Mapping[str, str]

    def respond(self, _request: Request, _text: str) -> Response:
        """Return the response."""
        return whole(self.body, status=self.status, headers=self.headers)


def _error(
    name: str,
    servers: str,
    description: str,
    status: int,
    body: object,
    *,
    content_type: str = "application/json",
) -> Quirk:
    response = _Fixed(status, body, {"content-type": content_type})
    return Quirk(
        name=name, servers=servers, description=description, respond=response.respond
    )


def _openai(message: str, code: object, **fields: object) -> dict[str, object]:
    return {"error": {"message": message, "param": None, "code": code, **fields}}


IN_200 = (
    _error(
        "error-in-200",
        "OpenRouter",
        "The status is 200, and the body an error.",
        200,
        _openai("Provider returned error", 502, metadata={"provider_name": "Together"}),
    ),
    _error(
        "error-text-in-200",
        "LM Studio",
        "The status is 200, and the body an error that is a text.",
        200,
        {"error": "Unexpected endpoint or method. (POST /chat/completions)"},
    ),
    _error(
        "error-base-resp",
        "MiniMax",
        "The status is 200, the choices are null, and the error is in `base_resp`.",
        200,
        {
            "id": "x",
            "choices": None,
            "base_resp": {"status_code": 1002, "status_msg": "rate limit"},
        },
    ),
    _error(
        "error-success-false",
        "Cloudflare Workers AI",
        "The status is 200, and `success` is false.",
        200,
        {
            "result": None,
            "success": False,
            "errors": [{"code": 7009, "message": "Upstream service unavailable"}],
        },
    ),
    _error(
        "html-in-200",
        "proxies, or a wrong URL",
        "The status is 200, and the body a web page.",
        200,
        _HTML,
        content_type="text/html",
    ),
    _error(
        "string-in-200",
        "several servers",
        "The status is 200, and the body a single JSON text.",
        200,
        b'"upstream unavailable"',
    ),
)

ERRORS = (
    _error(
        "error-list",
        "Gemini",
        "An error is inside a list.",
        400,
        [{"error": {"code": 400, "message": "Unknown name", "status": "INVALID_ARGUMENT"}}],
    ),
    _error(
        "error-flat",
        "SGLang, vLLM before 2025",
        "An error has no field `error`.",
        400,
        {"object": "error", "message": "bad", "type": "BadRequestError", "code": 400},
    ),
    _error(
        "error-text",
        "vLLM",
        "An error is a text, and has no message.",
        401,
        {"error": "Unauthorized"},
    ),
    _error(
        "error-detail",
        "servers with FastAPI",
        "An error is a list of what does not fit, with places.",
        422,
        {"detail": [{"loc": ["body", "max_tokens"], "msg": "none is not allowed"}]},
    ),
    _error(
        "error-wrapped",
        "gateways",
        "The error of the server behind is a text of JSON inside the gateway's own.",
        400,
        {"detail": encode(_openai("bad temperature", 400)).decode()},
    ),
    _error(
        "error-context",
        "llama.cpp",
        "The prompt is too long for the model, in the words of llama.cpp.",
        400,
        _openai(
            "request (9412 tokens) exceeds the available context size (8192 tokens)",
            400,
            type="exceed_context_size_error",
            n_prompt_tokens=9412,
            n_ctx=8192,
        ),
    ),
    _error(
        "error-filter",
        "Azure",
        "A content filter refuses the prompt with status 400.",
        400,
        _openai("The response was filtered", "content_filter", status=400),
    ),
    _error(
        "error-quota",
        "OpenAI",
        "Status 429, and waiting does not help: there is no money left.",
        429,
        _openai(
            "You exceeded your current quota",
            "insufficient_quota",
            type="insufficient_quota",
        ),
    ),
    _error(
        "error-wait-in-body",
        "Gemini",
        "Status 429, and how long to wait stands in the body alone.",
        429,
        {
            "error": {
                "code": 429,
                "message": "Resource exhausted",
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.RetryInfo",
                        "retryDelay": "0.01s",
                    }
                ],
            }
        },
    ),
    _error(
        "error-wait-in-words",
        "OpenAI, Azure",
        "Status 429, and how long to wait stands in the message alone.",
        429,
        _openai("Rate limit reached. Please try again in 10ms.", "rate_limit_exceeded"),
    ),
    _error(
        "error-html",
        "Cloudflare, nginx",
        "Status 502, and the body is a web page.",
        502,
        _HTML,
        content_type="text/html",
    ),
    _error(
        "error-plain",
        "Envoy",
        "Status 503, and the body is a line of text.",
        503,
        b"upstream connect error or disconnect/reset before headers",
        content_type="text/plain",
    ),
    _error(
        "error-empty", "several servers", "Status 500, and the body is empty.", 500, b""
    ),
    _error(
        "error-529",
        "Anthropic",
        "Status 529, which no registry has, for a server that is overloaded.",
        529,
        _openai("Overloaded", None, type="overloaded_error"),
    ),
)


ODD_ERRORS = (*IN_200, *ERRORS)
