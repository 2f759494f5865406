import json
from typing import Any

import pytest
from builders import capture, read, response
from hypothesis import given
from hypothesis import strategies as st

from limin.errors import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextLengthError,
    LiminError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    RateLimitError,
    ResponseError,
    ServerError,
    StatusError,
)
from limin.wire.error_response import status_error

CAPTURED: list[tuple[str, type[StatusError], str, dict[str, str | None]]] = [
    (
        "llama.cpp-b11549-error_bad_messages",
        BadRequestError,
        "Expected 'messages' to be an array",
        {"code": "400", "error_type": "invalid_request_error", "param": None},
    ),
    (
        "llama.cpp-b11549-error_not_json",
        BadRequestError,
        (
            "[json.exception.parse_error.101] parse error at line 1, column 2: syntax "
            "error while parsing object key - invalid literal; last read: '{b'; expected "
            "string literal"
        ),
        {"code": "400", "error_type": "invalid_request_error", "param": None},
    ),
    (
        "llama.cpp-b11549-error_temperature_type",
        BadRequestError,
        (
            "Field 'temperature': [json.exception.type_error.302] type must be number, but "
            "is string"
        ),
        {"code": "400", "error_type": "invalid_request_error", "param": None},
    ),
    (
        "llama.cpp-b11549-error_top_logprobs_without_logprobs",
        BadRequestError,
        "top_logprobs requires logprobs to be set to true",
        {"code": "400", "error_type": "invalid_request_error", "param": None},
    ),
    (
        "vllm-0.32.0-error_bad_messages",
        BadRequestError,
        (
            "1 validation error: {'type': 'list_type', 'loc': 'body.messages', 'msg': "
            "'Input should be a valid list', 'input': 'x'}"
        ),
        {"code": "400", "error_type": "Bad Request", "param": "body.messages"},
    ),
    (
        "vllm-0.32.0-error_not_json",
        BadRequestError,
        (
            "1 validation error: {'type': 'json_invalid', 'loc': 'body.1', 'msg': 'JSON "
            "decode error', 'input': '<dict of 0 items>', 'ctx': {'error': 'Expecting "
            "property name enclosed in double quotes'}}"
        ),
        {"code": "400", "error_type": "Bad Request", "param": "body.1"},
    ),
    (
        "vllm-0.32.0-error_temperature_type",
        BadRequestError,
        (
            "1 validation error: {'type': 'float_parsing', 'loc': 'body.temperature', "
            "'msg': 'Input should be a valid number, unable to parse string as a number', "
            "'input': 'hot'}"
        ),
        {"code": "400", "error_type": "Bad Request", "param": "body.temperature"},
    ),
    (
        "vllm-0.32.0-error_top_logprobs_without_logprobs",
        BadRequestError,
        (
            "when using `top_logprobs`, `logprobs` must be set to true. "
            "(parameter=top_logprobs)"
        ),
        {"code": "400", "error_type": "BadRequestError", "param": "top_logprobs"},
    ),
    (
        "vllm-0.32.0-error_unauthorized",
        AuthenticationError,
        "Unauthorized",
        {"code": None, "error_type": None, "param": None},
    ),
    (
        "vllm-0.32.0-error_wrong_model",
        NotFoundError,
        "The model `nope` does not exist. Valid aliases: smollm2.",
        {"code": "404", "error_type": "NotFoundError", "param": "model"},
    ),
]


@pytest.mark.parametrize(
    ("name", "kind", "reason", "fields"), CAPTURED, ids=[row[0] for row in CAPTURED]
)
def test_captured_error(
    name: str, kind: type[StatusError], reason: str, fields: dict[str, str | None]
) -> None:
    """The error of a real server becomes the right exception, with its message."""
    exchange = capture(name)
    with pytest.raises(StatusError) as caught:
        read(exchange["body"], exchange["status"], headers=dict(exchange["headers"]))
    error = caught.value
    assert type(error) is kind
    assert error.status == exchange["status"]
    assert error.reason == reason
    assert {name: getattr(error, name) for name in fields} == fields
    assert error.body == exchange["body"].encode()


# The snippets of a catalogue of what endpoints send, with the status that they
# come with: number, status, body, class, words.
SNIPPETS: list[tuple[str, int, Any, type[LiminError], str]] = [
    (
        "D1-openai-rate-limit",
        429,
        {
            "error": {
                "message": "Rate limit reached ..",
                "type": "tokens",
                "param": None,
                "code": "rate_limit_exceeded",
            }
        },
        RateLimitError,
        "Rate limit reached ..",
    ),
    (
        "D2-openai-quota",
        429,
        {
            "error": {
                "message": "You exceeded your current quota ..",
                "type": "insufficient_quota",
                "param": None,
                "code": "insufficient_quota",
            }
        },
        QuotaError,
        "You exceeded your current quota ..",
    ),
    ("D3-vllm-text", 401, {"error": "Unauthorized"}, AuthenticationError, "Unauthorized"),
    (
        "D4-lm-studio-text",
        400,
        {"error": "'response_format.type' must be 'json_schema' or 'text'"},
        BadRequestError,
        "'response_format.type' must be 'json_schema' or 'text'",
    ),
    (
        "D5-lm-studio-success",
        200,
        {"error": "Unexpected endpoint or method. (POST /chat/completions)"},
        StatusError,
        "Unexpected endpoint or method. (POST /chat/completions)",
    ),
    (
        "D6-vllm-number-code",
        400,
        {
            "error": {
                "message": "..",
                "type": "BadRequestError",
                "param": "messages",
                "code": 400,
            }
        },
        BadRequestError,
        "..",
    ),
    (
        "D7-sglang-flat",
        400,
        {
            "object": "error",
            "message": "too hot",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
        BadRequestError,
        "too hot",
    ),
    (
        "D8-llama.cpp-context",
        400,
        {
            "error": {
                "code": 400,
                "message": "request (9412 tokens) exceeds the available context size "
                "(8192 tokens)",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 9412,
                "n_ctx": 8192,
            }
        },
        ContextLengthError,
        "request (9412 tokens) exceeds the available context size (8192 tokens)",
    ),
    (
        "D9-ollama-model",
        404,
        {
            "error": {
                "message": "model 'x' not found",
                "type": "not_found_error",
                "param": None,
                "code": None,
            }
        },
        NotFoundError,
        "model 'x' not found",
    ),
    (
        "D10-gemini-list",
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": 'Invalid JSON payload received. Unknown name "x".',
                    "status": "INVALID_ARGUMENT",
                    "details": [],
                }
            }
        ],
        BadRequestError,
        'Invalid JSON payload received. Unknown name "x".',
    ),
    ("D11-fastapi-text", 404, {"detail": "Not Found"}, NotFoundError, "Not Found"),
    (
        "D12-fastapi-list",
        422,
        {
            "detail": [
                {
                    "loc": ["body", "max_tokens"],
                    "msg": "none is not an allowed value",
                    "type": "type_error.none.not_allowed",
                }
            ]
        },
        BadRequestError,
        "none is not an allowed value",
    ),
    (
        "D13-gateway-wraps",
        502,
        {"detail": json.dumps({"error": {"message": "inside", "code": "x"}})},
        ServerError,
        "inside",
    ),
    (
        "D14-openrouter-success",
        200,
        {
            "error": {
                "code": 502,
                "message": "This content was flagged ..",
                "metadata": {"provider_name": ".."},
            },
            "user_id": "..",
        },
        ServerError,
        "This content was flagged ..",
    ),
    (
        "D16-azure-filter",
        400,
        {
            "error": {
                "message": "The response was filtered ..",
                "type": None,
                "param": "prompt",
                "code": "content_filter",
                "status": 400,
                "innererror": {
                    "code": "ResponsibleAIPolicyViolation",
                    "content_filter_result": {},
                },
            }
        },
        ContentFilterError,
        "The response was filtered ..",
    ),
    (
        "D17-cloudflare-json",
        502,
        {"error": {"message": "..", "type": "cf_bad_gateway", "code": 502, "param": None}},
        ServerError,
        "..",
    ),
    (
        "D18-html",
        502,
        (
            "<!DOCTYPE html><html><head><style>b {}</style>"
            "<title>api.openai.com | 502: Bad gateway</title></head><body>x</body></html>"
        ),
        ServerError,
        "api.openai.com | 502: Bad gateway",
    ),
    ("D19-empty", 503, "", ServerError, ""),
    (
        "D20-plain",
        503,
        "upstream connect error or disconnect/reset before headers",
        ServerError,
        "upstream connect error or disconnect/reset before headers",
    ),
    ("D21-bare-text", 400, '"no such thing"', BadRequestError, "no such thing"),
    ("D22-null", 500, "null", ServerError, ""),
]


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [row[1:] for row in SNIPPETS],
    ids=[row[0] for row in SNIPPETS],
)
def test_snippet(status: int, body: Any, kind: type[StatusError], reason: str) -> None:
    """The message and the class are found in an error body of any shape."""
    with pytest.raises(StatusError) as caught:
        read(body, status)
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert caught.value.reason == reason


def test_error_inside_a_choice() -> None:
    """A choice that is an error is raised, even if the status is a success."""
    body = {
        "choices": [
            {
                "message": {"role": "assistant", "content": "partial output..."},
                "finish_reason": "error",
                "native_finish_reason": "MAX_TOKENS",
                "error": {"code": 502, "message": "Provider disconnected mid-stream"},
            }
        ]
    }
    with pytest.raises(StatusError) as caught:
        read(body)
    assert caught.value.status == 200


@pytest.mark.parametrize("body", ["null", '"plain words"', "[]", "3", "", "busy"])
def test_success_that_is_no_object(body: str) -> None:
    """A success whose body is no JSON object is no answer, and no error of a status."""
    with pytest.raises(ResponseError) as caught:
        read(body)
    assert caught.value.path == "$"
    assert caught.value.problem.startswith("expected a JSON object, found ")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (304, StatusError),
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (413, BadRequestError),
        (422, BadRequestError),
        (429, RateLimitError),
        (499, BadRequestError),
        (500, ServerError),
        (503, ServerError),
        (529, ServerError),
    ],
)
def test_status_alone(status: int, kind: type[StatusError]) -> None:
    """Without a message the status decides."""
    error = status_error(response("", status))
    assert type(error) is kind
    assert str(error) == f"the server answered {status}"
    assert (error.code, error.error_type, error.param) == (None, None, None)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "This model's maximum context length is 8192 tokens", ContextLengthError),
        (413, "the prompt is longer than the model's context", ContextLengthError),
        (500, "request exceeds the available context size", ContextLengthError),
        (400, "Error code: context_length_exceeded", ContextLengthError),
        (400, "ResponsibleAIPolicyViolation", ContentFilterError),
        (401, "maximum context length", AuthenticationError),
        (429, "You exceeded your current quota, please check your plan", QuotaError),
        (400, "insufficient_quota", QuotaError),
        (403, "Content violates usage guidelines", ContentFilterError),
        (500, "content_filter is down", ServerError),
    ],
)
def test_message_refines_the_status(
    status: int, message: str, kind: type[StatusError]
) -> None:
    """The body is more exact than the status, except about the key."""
    assert type(status_error(response({"error": {"message": message}}, status))) is kind


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (401, AuthenticationError),
        ("429", RateLimitError),
        (503, ServerError),
        ("model_not_found", StatusError),
        (200, StatusError),
        (5030, StatusError),
        (None, StatusError),
    ],
)
def test_code_stands_for_the_status_of_a_success(
    code: object, kind: type[StatusError]
) -> None:
    """The code of an error body decides if the status is a success."""
    with pytest.raises(StatusError) as caught:
        read({"error": {"message": "no", "code": code}})
    assert type(caught.value) is kind
    assert caught.value.status == 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('\ufeff{"error": "with a byte order mark"}', "with a byte order mark"),
        ('\n\n {"error": "after blank lines"}\n', "after blank lines"),
        (b'{"error": "no UTF-8: \xff"}', "no UTF-8: \ufffd"),
        ({"error": {"error": {"message": "nested"}}}, "nested"),
        ({"error": None, "message": "x"}, "x"),
        ({"error": {}, "detail": {"msg": "x"}}, "x"),
        ({"error": ' {"message": "in a string"}'}, "in a string"),
        ({"error": "{not JSON"}, "{not JSON"),
        ('{"unknown": "größe"}', '{"unknown": "größe"}'),
        ({}, ""),
        ([], ""),
        (["a", "b"], "a"),
        ("<p>no <b>title</b></p><script>x()</script>", "no title"),
        ("<html lang=en>cut <scr", "cut <scr"),
        ("  two\n lines ", "two lines"),
        ("[" * 70_000, "[" * 199 + "…"),
    ],
)
def test_message(body: Any, reason: str) -> None:
    """The message is found, or else the start of the body is shown."""
    assert status_error(response(body, 400)).reason == reason


def test_fields_of_a_wrapped_error() -> None:
    """The code is the one beside the message, however deep it stands."""
    inside = json.dumps({"error": {"message": "m", "code": 7, "type": "t", "param": "p"}})
    error = status_error(response({"code": "outside", "detail": inside}, 400))
    assert (error.code, error.error_type, error.param) == ("7", "t", "p")


def test_keys_and_prompts_stay_out() -> None:
    """A server that quotes the key or the prompt does not get them into an error."""
    secrets = ["sk-this-opens-nothing", "my secret plan"]
    text = " and ".join(secrets)
    body = {"error": {"message": text, "code": text, "type": text, "param": text}}
    error = status_error(response(body, 400), secrets)
    hidden = "*** and ***"
    assert (error.reason, error.code) == (hidden, hidden)
    assert (error.error_type, error.param) == (hidden, hidden)
    assert "secret" not in repr(error) + str(error)


def test_hostile_message_is_shown() -> None:
    """Escape sequences in a message are shown, and a long message is cut."""
    body = {"error": {"message": "\x1b[2J" + "x" * 300, "code": "\x07"}}
    error = status_error(response(body, 400))
    assert error.reason.startswith("␛[2Jxxx")
    assert len(error.reason) == 200
    assert error.code == "␇"


def test_request_id_is_in_the_message() -> None:
    """The request id is kept, since operators ask for it."""
    error = status_error(response({"error": "no"}, 500, {"x-request-id": "req-1"}))
    assert str(error) == "the server answered 500: no (request req-1)"


def test_request_id_that_is_a_key_is_masked() -> None:
    """A proxy may copy a header of the request into it."""
    key = "sk-this-opens-nothing"
    failed = response({"error": "no"}, 500, {"x-request-id": key})
    assert status_error(failed, [key]).request_id == "***"
    odd = response([], 200, {"x-request-id": key})
    with pytest.raises(ResponseError) as caught:
        read(odd.body, headers=odd.headers, secrets=(key,))
    assert caught.value.request_id == "***"


def test_start_of_a_long_error_decides() -> None:
    """Words far behind the message are not read."""
    fields = {f"x{n}": "no words" * 200 for n in range(8)}
    body = {"error": {"message": "m", **fields, "y": "insufficient balance"}}
    assert type(status_error(response(body, 400))) is BadRequestError
    body = {"error": {"message": "m", "y": "insufficient balance", **fields}}
    assert type(status_error(response(body, 400))) is QuotaError


@given(body=st.binary(max_size=200), status=st.integers(100, 599))
def test_every_error_body_is_read(body: bytes, status: int) -> None:
    """Whatever bytes come, an exception says so, and reading them raises no other."""
    error = status_error(response(body, status))
    assert error.status == status
    assert len(error.reason) <= 200
    assert error.body == body


def test_error_inside_a_choice_has_its_message() -> None:
    """D15: the choice's own error gives the message and the class."""
    choice = {
        "message": {"content": "partial"},
        "finish_reason": "error",
        "error": {"code": 502, "message": "Provider disconnected mid-stream"},
    }
    with pytest.raises(StatusError) as caught:
        read({"choices": [choice]})
    assert caught.value.reason == "Provider disconnected mid-stream"
    assert isinstance(caught.value, ServerError)


@pytest.mark.parametrize("error", [True, 500, "", {"message": ""}])
def test_message_beside_an_empty_error(error: object) -> None:
    """An empty `error` does not hide the message beside it."""
    with pytest.raises(StatusError) as caught:
        read({"error": error, "message": "boom"}, 500)
    assert caught.value.reason == "boom"


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("https://evil.test:8443/v1?a=b", "evil.test"),
        ("/elsewhere", "the same host"),
        (None, "the same host"),
        ("http://[::1", "an address that cannot be read"),
    ],
)
def test_redirect_names_the_host_it_leads_to(location: str | None, host: str) -> None:
    """The message says where the redirect leads to."""
    headers = {} if location is None else {"location": location}
    error = status_error(response("<a>moved</a>", 302, headers=headers))
    assert error.reason == f"redirects are not followed, and this one leads to {host}"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"errors": [{"code": 7009, "message": "Upstream down"}]}, "Upstream down"),
        ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, "rate limit"),
        ({"error": "Bad Request", "message": "the real words"}, "the real words"),
        ({"error": "invalid_request", "detail": "the real words"}, "the real words"),
        ({"error": "invalid_request"}, "invalid_request"),
        ({"Message": "in upper case"}, "in upper case"),
        ({"title": "Not Found", "status": 404, "detail": "No function"}, "No function"),
        ({"message": {"detail": [{"msg": "not permitted"}]}}, "not permitted"),
        ({"error_code": 17, "error_msg": "daily limit"}, "daily limit"),
        (
            {"error": {"message": 'Model x: {"error": {"message": "too long"}}'}},
            "Model x: too long",
        ),
        ({"error": 'Model x: {"error": "too long"}\nmodel=x'}, "Model x: too long model=x"),
        ({"error": 'Model x: {"code": 7}'}, 'Model x: {"code": 7}'),
        ({"error": 'Model x: {"code'}, 'Model x: {"code'),
        ({"error": 'Model x: {"a": {broken'}, 'Model x: {"a": {broken'),
        (
            {
                "error": {
                    "message": "Provider returned error",
                    "metadata": {"raw": '{"error": {"message": "too hot"}}'},
                }
            },
            "Provider returned error: too hot",
        ),
        ('event: error\ndata: {"error": {"message": "as an event"}}\n\n', "as an event"),
        ('{"a": 1}\n{oops}\n{"error": "on a line"}\n', "on a line"),
        ({"error": {"message": [[[[["deep"]]]]]}}, "deep"),
        ('{"error":' * 40 + '"x"' + "}" * 40, '{"error":' * 22 + "{…"),
    ],
)
def test_message_in_full_view(body: Any, reason: str) -> None:
    """The words are shown, and not the JSON around them."""
    assert status_error(response(body, 502)).reason == reason


@pytest.mark.parametrize(
    ("body", "code", "kind"),
    [
        ({"error_code": "BAD", "message": "m"}, "BAD", None),
        ({"base_resp": {"status_code": 7, "status_msg": "m"}}, "7", None),
        ({"error": "m", "error_type": "validation"}, None, "validation"),
        ({"error": {"message": "m"}, "code": 5, "type": "t"}, "5", "t"),
        ({"error": {"message": "m", "code": {"a": 1}}}, None, None),
    ],
)
def test_code_and_type_under_other_names(
    body: Any, code: str | None, kind: str | None
) -> None:
    """The code and the type are found next to the message, or anywhere."""
    error = status_error(response(body, 500))
    assert (error.code, error.error_type) == (code, kind)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": "m", "status_code": 400}, 400),
        ({"error": {"message": "m", "status": 503}}, 503),
        ({"error": {"message": "m", "status": "UNAVAILABLE"}}, 503),
        ({"error": {"message": "m", "httpCode": "502"}}, 502),
        ({"error": {"message": "m", "code": "504 Gateway Timeout"}}, 504),
        ({"error": {"message": "m", "code": 429.0}}, 429),
        ({"error": {"message": "m", "code": True}}, 200),
        ({"error": {"message": "m", "code": 1234}}, 200),
        ({"error": {"message": "m", "details": [{"deep": {"http_status": 500}}]}}, 500),
        ({"error": {"message": "m", "type": "rate_limit_error"}}, 429),
        ({"error": {"message": "m", "type": "overloaded_error"}}, 529),
        ({"error": {"message": "invalid api key"}}, 401),
        ({"error": {"message": "insufficient balance"}}, 402),
        ({"error": {"message": "service unavailable"}}, 503),
        ({"error": {"message": "m"}}, 200),
    ],
)
def test_effective_status_under_any_name(body: Any, status: int) -> None:
    """The status of the body stands for that of a success, by its number or its name."""
    error = status_error(response(body, 200))
    assert error.status == 200
    assert error.effective_status == status
    assert status_error(response(body, 418)).effective_status == 418


def test_status_of_a_redirect_is_its_own() -> None:
    """A redirect is none of what its body says."""
    error = status_error(response({"code": 429, "message": "rate limit"}, 302))
    assert type(error) is StatusError
    assert error.effective_status == 302
