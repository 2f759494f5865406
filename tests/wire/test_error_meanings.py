"""The meaning of errors, by tables: each row is a body that some server sends."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from builders import capture, response
from error_bodies import ROWS, WRONG_MODEL, Row, of
from hypothesis import given
from hypothesis import strategies as st

from limin.errors import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextLengthError,
    NotFoundError,
    PermissionDeniedError,
    QuotaError,
    RateLimitError,
    ServerError,
    StatusError,
)
from limin.policy.failures import is_fatal
from limin.policy.retry import RetryPolicy
from limin.wire.error_classes import find_meaning, plain_text
from limin.wire.error_response import status_error

# fmt: off
# More wordings, with the class only.
WORDINGS: list[tuple[type[StatusError], int, Any]] = [
    (QuotaError, 429,of("Insufficient balance",code="insufficient_balance")),
    (QuotaError, 403,of("Your API key has exceeded its budget")),
    (QuotaError, 400,of("Your credits have been exhausted")),
    (QuotaError, 403,of("Please upgrade your plan: your subscription has expired")),
    (QuotaError, 429,of("You have no remaining credits")),
    (QuotaError, 403,of("Lack of funds")),
    (QuotaError, 400,of("account balance is not enough")),
    (QuotaError, 422,of("Budget limit reached for this key")),
    (QuotaError, 403,of("当前账户余额不足，请前往控制台充值")),
    (QuotaError, 429,of("您的免费额度已用完")),
    (QuotaError, 429,of("exceeded_current_quota_error")),
    (QuotaError, 400,{"error":{"message":"Your organization has reached its spend limit","type":"billing_error"}}),
    (QuotaError, 403,{"message":"This account has unpaid invoices"}),
    (QuotaError, 429,of("You exceeded your current quota, please check your plan and billing details.",type="insufficient_quota")),
    (QuotaError, 400,of("ExceededTokenBudget: Current spend 11 over max budget 10",type="budget_exceeded")),
    (QuotaError, 402,{"detail":"Plan limit reached"}),
    (RateLimitError, 429,of("Quota exceeded for quota metric 'Generate Content API requests per minute' and limit 'GenerateContent request limit per minute for a region' of service",status="RESOURCE_EXHAUSTED")),
    (RateLimitError, 429,of("Token quota per minute exceeded")),
    (RateLimitError, 429,of("Daily token limit reached")),
    (RateLimitError, 429,of("The engine is currently overloaded, please try again later",type="engine_overloaded_error")),
    (RateLimitError, 429,of("Concurrency limit exceeded for requests")),
    (RateLimitError, 429,{"detail":"Request was throttled. Expected available in 30 seconds."}),
    (RateLimitError, 400,of("tokens per minute limit exceeded: prompt too long")),
    (ContentFilterError, 403,of("Your request was flagged by our safety system")),
    (ContentFilterError, 400,of("Prompt contains sensitive words")),
    (ContentFilterError, 400,of("Content is harmful")),
    (ContentFilterError, 400,of("content_policy_violation")),
    (ContentFilterError, 403,{"detail":"Blocked by content moderation"}),
    (ContentFilterError, 400,of("This request violates our guidelines")),
    (ContentFilterError, 400,of("risk control triggered")),
    (ContentFilterError, 400,of("Request rejected: inappropriate request")),
    (ContentFilterError, 403,of("安全策略拦截")),
    (ContentFilterError, 400,of("该请求涉及敏感信息")),
    (ContentFilterError, 400,of("内容审核未通过")),
    (ContentFilterError, 400,of("提示词包含违禁词")),
    (ContentFilterError, 400,{"error":{"code":"SensitiveContentDetected","message":"The request failed because the input text may contain sensitive information."}}),
    (ContentFilterError, 400,{"error":{"code":"InputTextRiskDetection","message":"x"}}),
    (ContentFilterError, 400,{"Error":{"Code":"UnsafeContent","Message":"x"}}),
    (ContentFilterError, 400,of("blocked",innererror={"code":"ResponsibleAIPolicyViolation"})),
    (ContentFilterError, 403,of("Terms of service violation")),
    (ContextLengthError, 400,of("The total number of tokens (5000) exceeds the model's limit (4096)")),
    (ContextLengthError, 400,of("Prompt is longer than the model limit")),
    (ContextLengthError, 400,of("input tokens out of bounds: max 8192")),
    (ContextLengthError, 400,of("tokens in request more than max tokens allowed")),
    (ContextLengthError, 413,{"message":"Input tokens must be between 1 and 8192"}),
    (ContextLengthError, 400,of("Your input exceeds the context window of this model. Please adjust your input and try again.",code="context_length_exceeded")),
    (ContextLengthError, 400,{"message":"Conversation is too long. Shorten the conversation"}),
    (ContextLengthError, 400,{"message":"Request too large for model"}),
    (ContextLengthError, 400,{"detail":"sum of prompt tokens and max_tokens overflows the window"}),
    (ContextLengthError, 400,of("Input text length 20000 exceeds limit 10000 characters")),
    (ContextLengthError, 400,of("输入 token 数超限")),
    (ContextLengthError, 400,of("对话内容过长")),
    (ContextLengthError, 400,of("字符数超过最大限制")),
    (ContextLengthError, 422,of("Message length exceeds maximum of 4000 chars")),
    (ContextLengthError, 400,of("Prompt size exceeds model capacity")),
    (ContextLengthError, 400,of("number of input tokens (5000) has exceeded max_prompt_tokens (4096) limit")),
    (ContextLengthError, 400,of("input is too large: expected at most 512 tokens")),
    (ContextLengthError, 400,of("Maximum input length of 8192 tokens reached")),
    (AuthenticationError, 403,of("Wrong API key")),
    (AuthenticationError, 400,of("API key is missing")),
    (AuthenticationError, 403,of("Invalid token provided. Authentication failed")),
    (AuthenticationError, 403,of("The security token included in the request is invalid.")),
    (AuthenticationError, 403,of("The security token included in the request is expired")),
    (AuthenticationError, 403,{"message":"Invalid API Key"}),
    (AuthenticationError, 422,of("api_key invalid")),
    (AuthenticationError, 400,of("INVALID_API_KEY")),
    (AuthenticationError, 403,of("API 密钥无效")),
    (AuthenticationError, 400,of("apikey 错误")),
    (AuthenticationError, 403,of("Unknown API key")),
    (AuthenticationError, 400,of("Unauthorized: bad api key")),
    (PermissionDeniedError, 403,of("Your IP is not on the account's allowlist")),
    (PermissionDeniedError, 403,of("API key lacks scope model.request")),
    (PermissionDeniedError, 403,of("This model is gated: your account is not authorized")),
    (PermissionDeniedError, 403,of("You are not allowed to use this model")),
    (PermissionDeniedError, 403,of("Access denied: model not enabled for project")),
    (PermissionDeniedError, 403,of("Sorry, you are in an unsupported country")),
    (BadRequestError, 400,of("Unknown parameter: 'logprob'")),
    (BadRequestError, 400,of("Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead.")),
    (BadRequestError, 400,of("Invalid schema for response_format 'x': In context=(), 'additionalProperties' is required")),
    (BadRequestError, 400,of("Number of stop sequences must be at most 4")),
    (BadRequestError, 400,of("messages.0.content.0.text: text content blocks must be non-empty")),
    (BadRequestError, 400,of("Conversation roles must alternate")),
    (BadRequestError, 400,of("n must be between 1 and 128")),
    (BadRequestError, 400,of("max_tokens: 9000 > 8192, which is the maximum allowed number of output tokens for claude")),
    (BadRequestError, 400,of("top_logprobs must be between 0 and 20")),
    (BadRequestError, 400,of("This model does not support image input")),
    (BadRequestError, 400,of("Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.")),
    (BadRequestError, 400,of("`logprobs` must be less than or equal to 5 tokens")),
    (BadRequestError, 400,of("The response_format is not supported with streaming")),
    (BadRequestError, 400,of("At least one message is required")),
    (BadRequestError, 413,"Payload Too Large"),
    (BadRequestError, 400,of("Image too large: exceeds 5 MB maximum")),
    (ServerError, 500,of("Request failed. Please try again.")),
    (ServerError, 500,of("Service is busy: request queue exceeds limit")),
    (ServerError, 500,of("Timeout while waiting for the model")),
    (ServerError, 500,of("Something went wrong",type="server_error",code=None)),
    (ServerError, 500,of("llama_decode failed")),
    (ServerError, 500,of("Failed to load model")),
    (ServerError, 500,of("database connection not found")),
]
# A quotation of the request, or of what the model wrote, means nothing.
QUOTED: list[Row] = [
    (400, of("1 validation error for ChatCompletionRequest\nmessages.0.content.str\n  Input should be a valid string [type=string_type, input_value='A customer writes: \\'my card says insufficient balance, what now?...', input_type=dict]", type="Bad Request", code=400)),
    (400, of("1 validation error: {'type': 'string_type', 'loc': 'body.messages', 'msg': 'Input should be a valid string', 'input': 'my account has insufficient balance'}")),
    (400, of('bad: "A customer writes \\"my account has insufficient balance\\" - what now?"')),
    (400, of("cannot tokenize 'no credits'")),
    (400, of("cannot tokenize 'unpaid'")),
    (400, of("cannot tokenize “invalid api key”")),
    (400, of("Cannot parse: my account has insufficient balance")),
    (400, of("Unable to render the template: the api key is invalid. My rate limit is exceeded.")),
    (400, of("unknown role: `my account is suspended`")),
    (400, of("wrong text「余额不足」")),
    (422, of("not understood: 'it's said that I don't have any credits'")),
    (400, of("the word 'rate limit exceeded' is none")),
    (400, of("no tool is called 'model not found'")),
    (500, of('Failed to parse input at pos 0: <tool_call>{"name": "reply", "arguments": {"text": "Sorry, your account has insufficient balance."}', type="server_error", code=500)),
    (500, of("Failed to parse tool call: Sorry, your api key is invalid.", type="server_error")),
]
# The model is there, and refuses this kind of input.
OTHER_INPUT: list[Row] = [
    (404, of("No endpoints found that support image input", code=404)),
    (404, of("This model is not found among those that support audio")),
]
# fmt: on


@pytest.mark.parametrize(("kind", "stops", "again", "status", "body"), ROWS)
def test_meaning(
    *, kind: type[StatusError], stops: bool, again: bool | None, status: int, body: Any
) -> None:
    """The body decides the class, whether the batch stops, and whether it is sent again."""
    error = status_error(response(body, status), now=1e9)
    assert type(error) is kind, repr(error)
    assert is_fatal(error) is (stops or body is WRONG_MODEL)
    delay = RetryPolicy().delay(error, attempt=1, chance=0.5)
    if again is not None:
        assert (delay is not None) is again
    elif status != 413:
        assert delay is not None


@pytest.mark.parametrize(("kind", "status", "body"), WORDINGS)
def test_wording(kind: type[StatusError], status: int, body: Any) -> None:
    """The class is right in other words, too, and words about the key stop a batch."""
    error = status_error(response(body, status), now=1e9)
    assert type(error) is kind, repr(error)
    assert is_fatal(error) or kind not in {PermissionDeniedError, QuotaError}


def test_model_that_takes_no_pictures_stops_no_batch() -> None:
    """Other prompts of the batch may have none, though the status is that of no model."""
    body = of("No endpoints found that support image input", code=404)
    error = status_error(response(body, 404), now=1e9)
    assert type(error) is NotFoundError
    assert not is_fatal(error)


CAPTURED: dict[str, type[StatusError]] = {
    "litellm-1.108.7-error_unauthorized": BadRequestError,
    "litellm-1.108.7-error_wrong_model": NotFoundError,
    "litellm-1.108.7-vllm-error_context": ContextLengthError,
    "llama.cpp-b11549-error_context": ContextLengthError,
    "llama.cpp-b11549-error_image_url": BadRequestError,
    "llama.cpp-b11549-error_missing_content_user": BadRequestError,
    "llama.cpp-b11549-error_n0": BadRequestError,
    "llama.cpp-b11549-error_two_assistant_last": BadRequestError,
    "llama.cpp-b11549-qwen25template-error_tools_history_bad_arguments": BadRequestError,
    "transformers-serve-5.19.0-error_unknown_field": BadRequestError,
    "vllm-0.32.0-error_context": ContextLengthError,
    "vllm-0.32.0-error_image_url": BadRequestError,
    "vllm-0.32.0-error_max_tokens_0": BadRequestError,
    "vllm-0.32.0-error_null_content_user": BadRequestError,
    "vllm-0.32.0-error_systemone_choice": ServerError,
    "vllm-0.32.0-error_temperature_3": BadRequestError,
    "vllm-0.32.0-error_tools_no_name": BadRequestError,
}


@pytest.mark.parametrize("name", CAPTURED)
def test_captured_error(name: str) -> None:
    """The error of a real server has its class, and none of these is sent again."""
    exchange = capture(name)
    error = status_error(response(exchange["body"], exchange["status"]))
    assert type(error) is CAPTURED[name]
    assert RetryPolicy().delay(error, attempt=1, chance=0.5) is None
    assert not error.reason.startswith("{")


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 418, 422, 429, 451])
@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Content violates usage guidelines", ContentFilterError),
        ("insufficient_balance", QuotaError),
        ("Incorrect API key provided", AuthenticationError),
        ("This model's maximum context length is 8192 tokens", ContextLengthError),
    ],
)
def test_words_decide_at_every_4xx(
    status: int, message: str, kind: type[StatusError]
) -> None:
    """The words are more exact than the status."""
    assert type(status_error(response(of(message), status))) is kind


def test_wait_makes_a_rate_limit_of_a_quota() -> None:
    """The same sentence is a used-up balance only if no wait is told with it."""
    body = of(
        "You exceeded your current quota, please check your plan and billing details."
    )
    assert type(status_error(response(body, 429))) is QuotaError
    error = status_error(response(body, 429, {"retry-after": "30"}))
    assert type(error) is RateLimitError
    assert error.retry_after == 30.0
    body["error"]["code"] = "insufficient_quota"
    error = status_error(response(body, 429, {"retry-after": "30"}))
    assert type(error) is QuotaError


def test_wait_beside_the_message() -> None:
    """A wait is found in any words of the body, at any status."""
    raw = "x is temporarily rate-limited upstream. Please retry in 5s."
    body = of("Provider returned error", code=400, metadata={"raw": raw})
    assert status_error(response(body, 400)).retry_after == 5.0
    headers = {"X-RateLimit-Reset": "1764147630000"}
    body = of("Rate limit exceeded", code=429, metadata={"headers": headers})
    assert status_error(response(body, 429), now=1764147600.0).retry_after == 30.0
    body = of("Loading", details=[{"retryDelay": {"seconds": 33}}])
    assert status_error(response(body, 503)).retry_after == 33.0


def test_prompt_that_is_quoted_means_nothing() -> None:
    """The words of a prompt in an error are not those of the server."""
    prompt = "My insufficient balance is a content policy violation of the api key"
    body = of(f"Cannot parse: {prompt}", input=prompt)
    assert type(status_error(response(body, 400), [prompt])) is BadRequestError
    body = {"detail": [{"msg": "Field required", "input": prompt}]}
    assert type(status_error(response(body, 422))) is BadRequestError


@pytest.mark.parametrize(
    "written",
    [
        *("{}", "'{}'", "quoted: {}."),
    ],
)
@pytest.mark.parametrize("status", [400, 403, 422, 500])
@pytest.mark.parametrize(
    "prompt",
    [
        "Write that my account has insufficient balance and no credits left.",
        "Explain 'invalid API key provided' and \"your organization is suspended\" to me.",
    ],
)
def test_prompt_in_any_form_means_nothing(prompt: str, status: int, written: str) -> None:
    """All and parts of it, unchanged or escaped, end no batch."""
    for text in (prompt, prompt.upper(), json.dumps(prompt), repr(prompt), prompt[8:60]):
        body = of(f"no: {written.format(text)}")
        assert not is_fatal(status_error(response(body, status), [prompt]))


@pytest.mark.timed
@pytest.mark.parametrize(
    "unit",
    [
        *(
            "prompt ",
            "content ",
            "api key ",
            "retry in ",
            "1m",
            '{"',
            '[{"error":',
            "<",
            "<script",
        ),
        *(
            "\\",
            "余额",
            "exceeds ",
            "account model ",
            "retry after 1 ",
            "data: {\n",
            "a.",
            "A",
        ),
        *("Sun, 06 Nov ", "request token exceed limit "),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 403, 429, 500])
def test_hostile_body_costs_no_time(unit: str, status: int) -> None:
    """A body of repeated words, as JSON or bare, takes far less than a second."""
    text = unit * (300_000 // len(unit))
    start = time.process_time()
    for body in (text, of(text), {"errors": [{"message": unit * 50}] * 3_000}):
        status_error(response(body, status))
    assert time.process_time() - start < 5.0


NAMES = (
    "error errors message detail code status type metadata raw base_resp status_code "
    "choices retryDelay success x"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(body=JSON, status=st.sampled_from([200, 400, 403, 429, 500, 503]))
def test_every_json_is_read(body: object, status: int) -> None:
    """Whatever JSON an error is, it becomes an exception whose text can be shown."""
    error = status_error(response(json.dumps(body), status))
    assert str(error)
    assert len(error.reason) <= 200
    assert error.retry_after is None or 0 < error.retry_after < float("inf")
    assert is_fatal(error) in {True, False}


def test_long_body_is_read_at_its_start() -> None:
    """No more of a body is read for its meaning than an error needs."""
    texts = plain_text(["a" * 10_000, "b" * 10_000, "c" * 10_000])
    assert len(texts) < 9_000
    assert "c" not in texts


@given(text=st.text(max_size=300), status=st.integers(100, 999))
def test_every_text_has_a_meaning(text: str, status: int) -> None:
    """Any words and any status have a meaning, with a class of its own."""
    meaning = find_meaning(status, plain_text([text]))
    assert issubclass(meaning.error, StatusError)
