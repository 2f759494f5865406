"""Errors by their meaning, in tables: each row is a body that some server sends."""

from __future__ import annotations

import json
from typing import Any

import pytest

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

Row = tuple[int, Any]

GEMINI_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more "
    "information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
)


def of(message: str, **fields: object) -> dict[str, Any]:
    """Return a body in OpenAI's shape."""
    return {"error": {"message": message, **fields}}


# A row is one line.
# fmt: off
RATE_LIMITS: list[Row] = [
    (
        429,
        [
            {
                "error": {
                    "code": 429,
                    "message": GEMINI_QUOTA,
                    "status": "RESOURCE_EXHAUSTED",
                    "details": [
                        {
                            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                            "violations": [
                                {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}
                            ],
                        }
                    ],
                }
            }
        ],
    ),
    (429, of(GEMINI_QUOTA + " Please retry in 20.04466179s.", status="RESOURCE_EXHAUSTED")),
    (429, of(GEMINI_QUOTA, details=[{"retryDelay": "33s"}])),
    (429, of("Quota exceeded")),
    (429, of("Quota exceeded for aiplatform.googleapis.com/requests with base model: x")),
    (429, of("Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM)")),
    (429, {"message": "Requests rate limit exceeded"}),
    (
        429,
        {
            "message": "Tokens per minute limit exceeded - too many tokens processed.",
            "type": "too_many_tokens_error",
            "param": "quota",
            "code": "token_quota_exceeded",
        },
    ),
    (413, of("Request too large for model `x` on tokens per minute (TPM): Limit 6000", type="tokens", code="rate_limit_exceeded")),
    (429, of("Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 40000")),
    (429, {"message": "Too many tokens, please wait before trying again."}),
    (403, of("Rate limit exceeded for this endpoint")),
    (400, {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded, please try again later."}),
    (429, of("您的账户已达到速率限制，请您控制请求频率", code="1302")),
    (429, of("当前API请求过多，请稍后重试", code="1305")),
    (429, of("Your account reached max request per minute limit: 3, please try again after 1 seconds", type="rate_limit_reached_error")),
    (429, of("You have reached your usage limit. Try again in 5 hours.")),
    (429, of("您已达到每天的使用上限")),
    (429, ""),
    (429, "<html><head><title>429 Too Many Requests</title></head></html>"),
    (429, {"error_code": 18, "error_msg": "Open api qps request limit reached"}),
    (200, {"error_code": 18, "error_msg": "Open api qps request limit reached"}),
    (200, {"choices": None, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}),
    (200, of("slow down", type="rate_limit_error")),
    (200, {"errors": [{"message": "no", "extensions": {"status": 429}}]}),
    (400, of("no", code=429)),
    (429, of("Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day", code=429)),
    (429, of("Rate limit reached for gpt-4o. Limit: 3 / min. Please try again in 20s. Please add a payment method to your account to increase your rate limit.")),
    (429, of("Service tier capacity exceeded for this model.", type="service_tier_capacity_exceeded")),
    (429, of("Rate limit reached on tokens per day (TPD): Limit 100000. Please try again in 7m. Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing")),
    (500, of("Resource exhausted", status="RESOURCE_EXHAUSTED")),
    (403, {"statusCode": 403, "message": "Out of call volume quota. Quota will be replenished in 09:18:34."}),
    (429, {"message": "Out of call volume quota.", "retry_after_s": 30}),
    (200, of("no", code="1302")),
    (400, of("no", code="1002", type="rate_limit_error")),
]
USED_UP: list[Row] = [
    (429, of(GEMINI_QUOTA, type="insufficient_quota", code="insufficient_quota")),
    (429, of("You exceeded your current quota, please check your plan and billing details.")),
    (400, of("Budget has been exceeded! Current cost: 10.1, Max budget: 10.0", type="budget_exceeded", code="400")),
    (400, of("ExceededBudget: User=x over budget. Spend=11, Budget=10")),
    (402, ""),
    (402, of("Insufficient Balance", type="unknown_error", code="invalid_request_error")),
    (402, of("This request requires more credits, or fewer max_tokens. You requested up to 4096 tokens, but can only afford 1234.", code=402)),
    (402, {"error": "You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO to get 20x more."}),
    (400, of("Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.", type="invalid_request_error")),
    (429, of("Your account org-x<ak-y> is suspended, please check your plan and billing details", type="exceeded_current_quota_error")),
    (403, of("Your account org-x is suspended due to insufficient balance, please recharge")),
    (403, {"code": "Some resource has been exhausted", "error": "Your team x has either used all available credits or reached its monthly spending limit. To continue making API requests, please purchase more credits."}),
    (403, of("预扣费额度失败, 用户剩余额度: ¥0.1, 需要预扣费额度: ¥0.2", code="insufficient_user_quota")),
    (403, of("用户额度不足, 剩余额度: $0.00")),
    (429, of("您的账户已欠费，请充值后重试", code="1113")),
    (429, {"code": "1113", "message": "Insufficient balance or no resource package. Please recharge."}),
    (403, {"code": 30001, "message": "Sorry, your account balance is insufficient", "data": None}),
    (403, of("The free tier of the model has been exhausted. If you wish to continue, please disable the free tier only mode", code="AllocationQuota.FreeTierOnly")),
    (400, {"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."}),
    (403, of("The request failed because your account has an overdue balance.", code="AccountOverdueError")),
    (429, of("Billing hard limit has been reached", code="billing_hard_limit_reached")),
    (400, of("You have reached your specified API usage limits.", type="invalid_request_error")),
    (404, of("Payment Required")),
    (422, {"detail": "You have run out of credits"}),
    (200, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
    (500, of("user quota is not enough", code="insufficient_user_quota")),
    (401, of("Insufficient balance. Please top up your account.")),
    (412, of("Account x is suspended, possibly due to reaching the monthly spending limit or failure to pay past invoices.", object="error")),
    (403, {"code": "The caller does not have permission to execute the specified operation", "error": "Your newly created team doesn't have any credits or licenses yet. You can purchase those on https://console.x.ai/team/x."}),
    (403, {"message": "Out of call volume quota."}),
    (400, of("no credits")),
    (400, of("You have no credits left. Add some.")),
    (429, of("no", code="1113")),
    (429, of("upstream said 'Insufficient balance of the account'")),
    (400, "Error code: 402 - {'error': {'message': 'Insufficient Balance', 'type': 'unknown_error'}}"),
    (400, of("prompt 'insufficient balance' refused", code="insufficient_balance")),
]
REFUSALS: list[Row] = [
    (403, {"code": "The caller does not have permission to execute the specified operation", "error": "Content violates usage guidelines. Team: t, API key ID: k, Model: grok-4-0709, Failed check: SAFETY_CHECK_TYPE_BIO"}),
    (400, of("Input data may contain inappropriate content.", code="data_inspection_failed", type="data_inspection_failed")),
    (400, {"code": "DataInspectionFailed", "message": "Output data may contain inappropriate content."}),
    (400, of("Content Exists Risk", type="invalid_request_error", code="invalid_request_error")),
    (400, of("系统检测到输入或生成内容可能包含不安全或敏感内容，请您避免输入易产生敏感内容的提示语", code="1301", contentFilter=[{"level": 1, "role": "user"}])),
    (400, of("The request was rejected because it was considered high risk", type="content_filter")),
    (403, of('Your chosen model requires moderation and your input was flagged for "violence".', code=403, metadata={"reasons": ["violence"]})),
    (400, of("Invalid prompt: your prompt was flagged as potentially violating our usage policy.", code="invalid_prompt")),
    (400, of("The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", innererror={"code": "ResponsibleAIPolicyViolation"})),
    (400, of("Output blocked by content filtering policy")),
    (400, of("Violated guardrail policy", type="None")),
    (422, {"detail": "The prompt contains harmful content"}),
    (451, of("Your request was rejected as a result of our safety system.", code="content_policy_violation")),
    (429, of("Your request was blocked by our moderation system")),
    (404, of("This content is not allowed")),
    (401, of("Your prompt violates our acceptable use policy")),
    (400, of("Request contains prohibited content")),
    (400, of("输入内容包含违规信息")),
    (400, of("您输入的内容涉及敏感词，请修改后重试")),
    (403, of("內容違規，請求被拒絕")),
    (400, {"error_code": 336104, "error_msg": "the content of message is sensitive"}),
    (200, {"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}),
    (200, {"header": {"code": 10013, "message": "输入内容审核不通过，涉嫌违规，请重新调整输入内容"}}),
    (200, of("Prompt blocked due to PROHIBITED_CONTENT")),
    (403, of('openai/gpt-4o requires moderation on OpenAI. Your input was flagged for "harassment". No credits were charged.', code=403, metadata={"reasons": ["harassment"]})),
    (403, of("Your input was flagged. No credits have been deducted, and no funds were used.")),
    (401, of("Guardrail raised: input contains PII")),
    (400, of("no", code="1301")),
]
TOO_LONG: list[Row] = [
    (400, {"error_code": "BAD_REQUEST", "message": json.dumps({"error_code": "BAD_REQUEST", "message": "Input is too long for requested model."})}),
    (400, "litellm.ContextWindowExceededError: litellm.BadRequestError: AnthropicException - prompt is too long: 205000 tokens > 200000 maximum"),
    (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 512 `max_new_tokens`", "error_type": "validation"}),
    (422, of("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 8000 `inputs` tokens and 512 `max_new_tokens`", type="invalid_request_error", param="max_tokens")),
    (422, {"error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000"}),
    (400, of("'max_tokens' or 'max_completion_tokens' is too large: 8192. This model's maximum context length is 4096 tokens and your request has 30 input tokens (8192 > 4096 - 30).")),
    (400, {"message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length"}),
    (400, of("This model's maximum prompt length is 131072 but the request contains 537812 tokens.")),
    (400, of("The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).", status="INVALID_ARGUMENT")),
    (400, of("Unable to submit request because the input token count is 40000 but model only supports up to 32768. Reduce the input token count and try again.")),
    (400, {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292"}),
    (400, of("Please reduce the length of the messages or completion.", code="context_length_exceeded")),
    (413, of("Please reduce the length of the messages or completion.")),
    (400, of("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]", code="invalid_parameter_error")),
    (400, of("input length and `max_tokens` exceed context limit: 198000 + 20000 > 200000")),
    (400, of("Invalid 'messages[0].content': string too long. Expected a string with maximum length 1048576, but got a string with length 2000000 instead.", code="string_above_max_length")),
    (400, of("Requested token count exceeds the model's maximum context length of 131072 tokens.")),
    (400, of("Invalid request: Your request exceeded model token limit: 8192", type="invalid_request_error")),
    (400, of("The prompt is too long: 210000, model maximum context length: 131071")),
    (400, of("The input (9000 tokens) is longer than the model's context length (8192 tokens).")),
    (400, {"message": "Input is too long for requested model."}),
    (400, {"message": "Too many input tokens: 300000, the limit is 200000"}),
    (400, of("Prompt 超长", code="1261")),
    (400, of("输入的上下文长度超过模型最大限制")),
    (400, of("提示词长度超过最大长度")),
    (400, of("请求的 tokens 超出了模型的最大长度 32768")),
    (200, {"base_resp": {"status_code": 1039, "status_msg": "token limit"}}),
    (400, {"error_code": 336103, "error_msg": "Prompt tokens too long"}),
    (500, of("the request exceeds the available context size. try increasing the context size")),
    (500, of("Input length 9000 exceeds the maximum length 8192")),
    (400, of("Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens")),
    (400, of("The number of characters in the messages must be within 400000")),
    (400, {"detail": "Total tokens of the request must not exceed 4096"}),
]
BAD_KEYS: list[Row] = [
    (400, [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}]),
    (401, {"error": [{"code": 2009, "message": "Unauthorized"}], "success": False}),
    (401, ""),
    (401, "<html><title>401</title></html>"),
    (403, of("Invalid API key provided")),
    (400, of("Incorrect API key provided: sk-x.", code="invalid_api_key")),
    (403, of("Missing Authentication Token")),
    (401, of("Authentication Fails, Your api key: ****1234 is invalid")),
    (400, of("Authentication Error, Invalid proxy server token passed", type="auth_error")),
    (403, of("API key expired. Please renew the API key.")),
    (400, of("无效的令牌")),
    (403, of("API Key 无效")),
    (400, {"error_code": 110, "error_msg": "Access token invalid or no longer valid"}),
    (200, {"base_resp": {"status_code": 2049, "status_msg": "invalid api key"}}),
    (200, of("token expired or incorrect", code="1001")),
    (500, of("Authentication Error, No api key passed in.", type="auth_error")),
    (400, of("no", code=401)),
    (400, {"code": "InvalidApiKey", "message": "Invalid API-key provided."}),
    (400, of("Multiple authentication credentials received. Please pass only one.", status="INVALID_ARGUMENT")),
    (400, of("no", code="1002")),
    (401, of("no", code="1002")),
    (403, of('the gateway says "Incorrect API key provided"')),
]
KEY_MAY_NOT: list[Row] = [
    (403, of("Project `proj_x` does not have access to model `gpt-4o`", code="model_not_found")),
    (403, of("Country, region, or territory not supported", code="unsupported_country_region_territory", type="request_forbidden")),
    (400, of("User location is not supported for the API use.", status="FAILED_PRECONDITION")),
    (403, of("Your API key does not have permission to use the specified resource.", type="permission_error")),
    (403, of("Your account has been deactivated")),
    (403, of("Access to model denied. Please make sure you are eligible for using the model.", code="AccessDenied")),
    (403, of("You must be a member of an organization to use the API")),
    (403, {"message": "You don't have access to the model with the specified model ID."}),
    (403, of("您的账号已被封禁")),
    (403, of("当前账户无权访问该模型")),
    (400, of("Organization has been restricted. Please reach out to support.", code="organization_restricted")),
    (403, {"error": "This authentication method does not have sufficient permissions to call Inference Providers on behalf of user x"}),
    (403, of("Missing permissions: model.request")),
    (403, of("The `x` model is blocked at the organization level")),
]
UNCLEAR: list[Row] = [
    (403, ""),
    (403, "Forbidden"),
    (403, of("Forbidden")),
    (403, {"message": "Forbidden"}),
    (403, {"detail": "Request blocked"}),
    (403, "<html><head><title>403 Forbidden</title></head><body>nginx</body></html>"),
    (403, "<html><title>Attention Required! | Cloudflare</title><p>your account key</p></html>"),
    (403, of("Your request was blocked.")),
    (403, {"error": "Access denied", "incident": "123"}),
    (403, "error code: 1020"),
    (403, {"message": "Request forbidden"}),
    (403, of("Access to this resource on the server is denied")),
    (403, of("The location described in the prompt is not permitted")),
    (403, of("Forbidden: prompt mentions a restricted region")),
    (403, of("You are not allowed to sample from this model with this prompt")),
    (403, of("Request denied by policy: account number detected")),
    (403, of("Blocked by DLP: credit card or account number found in message")),
    (403, of("Your request was blocked by our team's firewall rule for /etc/passwd")),
    (403, of("not permitted: 'the account of my team is suspended'")),
]
NO_MODEL: list[Row] = [
    (404, of("The model `nope` does not exist", code="model_not_found")),
    (404, ""),
    (404, {"title": "Not Found", "status": 404, "detail": "Function 'x': Not found for account 'y'"}),
    (404, of("No endpoints found matching your data policy.", code=404)),
    (400, of("Model Not Exist", type="invalid_request_error")),
    (400, of("/chat/completions: Invalid model name passed in model=no-such.", code="400")),
    (400, of("模型不存在，请检查模型代码", code="1211")),
]
WRONG: list[Row] = [
    (400, of("Failed to generate", code="tool_use_failed")),
    (422, {"message": {"detail": [{"msg": "Extra inputs are not permitted", "input": "rate limit"}]}}),
    (400, of("max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you provided 100000.")),
    (422, {"error": "Input validation error: `max_new_tokens` must be <= 512. Given: 600"}),
    (413, "<html><head><title>413 Request Entity Too Large</title></head></html>"),
    (400, of("temperature must be in [0, 2], got 3.0.")),
    (422, {"detail": [{"loc": ["body", "temperature"], "msg": "Input should be less than or equal to 2"}]}),
    (400, of("The image is too large: the limit is 20 MB")),
    (400, of("Invalid 'tools[0].function.name': string too long. Expected a string with maximum length 64")),
    (400, of("Invalid 'stop': array too long. Expected an array with maximum length 4")),
    (400, of("Range of max_tokens should be [1, 8192]")),
    (500, of("image input is not supported - hint: you may need to provide the mmproj", type="server_error", code=500)),
    (500, of("Missing tool name", type="server_error", code=500)),
    (500, of("[json.exception.out_of_range.403] key 'name' not found", type="server_error")),
    (500, of("Failed to parse tool call arguments as JSON: unexpected end of input")),
    (500, of("Conversation roles must alternate user/assistant/user/assistant/...")),
    (500, {"detail": "no-such is not a local folder and is not a valid model identifier listed on 'https://huggingface.co/models'"}),
    (500, of("invalid value", type="invalid_request_error")),
    (500, of("Missing required parameter: 'messages'")),
    (400, of("Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length 5 instead.", type="invalid_request_error", code="array_above_max_length")),
    (400, of("Requested token count exceeds the model's maximum output tokens")),
    (400, of("Requested tokens are above the maximum number of completion tokens of this model")),
    (400, of("The location described in the prompt is not permitted")),
    (400, of("Header names are case sensitive")),
]
FAILURES: list[Row] = [
    (500, ""),
    (500, "Internal Server Error"),
    (500, "<html><title>500: a required field is missing</title></html>"),
    (500, of("The server had an error while processing your request. Sorry about that!", type="server_error")),
    (500, of("content_filter is down")),
    (500, of("CUDA out of memory")),
    (502, {"success": False, "errors": [{"code": 7009, "message": "Upstream service unavailable"}]}),
    (503, of("The model is overloaded. Please try again later.", status="UNAVAILABLE")),
    (503, {"error": "Model x is currently loading", "estimated_time": 20.0}),
    (529, of("Overloaded", type="overloaded_error")),
    (200, {"success": False, "errors": [{"code": 7009, "message": "Upstream service unavailable"}]}),
    (200, of("Overloaded", type="overloaded_error")),
    (200, {"base_resp": {"status_code": 1033, "status_msg": "system error"}}),
    (200, {"base_resp": {"status_code": 1033, "status_msg": "no"}}),
    (498, of("Flex tier capacity exceeded", code="capacity_exceeded")),
    (500, {"object": "error", "message": "Service unavailable.", "type": "internal_server_error", "param": None, "code": "1000"}),
    (503, of("no", code="1113")),
    (500, {"error_code": 110, "error_msg": "no"}),
    (500, of("The model wrote: your account has insufficient balance")),
    (500, of("The model wrote: the api key is expired")),
]
# fmt: on

TABLES: dict[str, tuple[type[StatusError], bool, bool | None, list[Row]]] = {
    # Class, whether it stops a batch, whether it is sent again (None: either).
    "rate-limit": (RateLimitError, False, None, RATE_LIMITS),
    "used-up": (QuotaError, True, False, USED_UP),
    "refusal": (ContentFilterError, False, False, REFUSALS),
    "too-long": (ContextLengthError, False, False, TOO_LONG),
    "bad-key": (AuthenticationError, True, False, BAD_KEYS),
    "key-may-not": (PermissionDeniedError, True, False, KEY_MAY_NOT),
    "unclear": (PermissionDeniedError, False, False, UNCLEAR),
    "no-model": (NotFoundError, True, False, NO_MODEL),
    "wrong": (BadRequestError, False, False, WRONG),
    "failure": (ServerError, False, True, FAILURES),
}
ROWS = [
    pytest.param(kind, stops, again, status, body, id=f"{name}-{n}")
    for name, (kind, stops, again, rows) in TABLES.items()
    for n, (status, body) in enumerate(rows)
]
# The one wrong request that every prompt of a batch makes.
WRONG_MODEL = WRONG[16][1]
