"""Which of limin's own fields a refusal names, in the words of many servers."""

from __future__ import annotations

from typing import Any

import pytest
from builders import body_of, read, response

from limin.errors import BadRequestError, LiminError, StreamError, TransportError
from limin.values.configuration import ModelConfiguration
from limin.wire.error_response import status_error
from limin.wire.refused_defaults import note_refused_defaults
from limin.wire.request import RequestEncoder

TEMPERATURE = (
    "limin sends temperature=0.7 unless told otherwise; temperature=None leaves it out"
)
MODEL = "limin sends model='gpt-4o' unless told otherwise; model= names another"
STREAM_OPTIONS = (
    'limin sends stream_options={"include_usage": true} unless told otherwise; '
    'extra_body={"stream_options": None} leaves it out'
)
MAX_TOKENS = (
    "limin sends max_tokens=16 unless told otherwise; "
    "max_completion_tokens= takes its place"
)
TOP_LOG_PROBS = (
    "limin sends top_log_probs=20 unless told otherwise; "
    "top_log_probs= asks for another number"
)

# What a decision or a stream sends, of which the user said nothing.
CONFIGURATION = ModelConfiguration(
    log_probs=True, top_log_probs=20, max_tokens=16, stream=True
)
FILLED_IN = ("model", "temperature", "max_tokens", "top_log_probs")


def notes(error: LiminError, *filled_in: str, prompt: str = "") -> list[str]:
    """Return the notes that *error* gets."""
    encoder = RequestEncoder.of(CONFIGURATION, filled_in=filled_in or FILLED_IN)
    note_refused_defaults(error, encoder, [prompt] if prompt else [])
    return getattr(error, "__notes__", [])


def of_openai(message: str, param: str | None = None, code: str | None = None) -> Any:
    """Return an error's body as OpenAI sends it."""
    kind = "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


TOO_EXTRA = "Extra inputs are not permitted"
ONLY_DEFAULT = (
    "Unsupported value: 'temperature' does not support 0.7 with this model. "
    "Only the default (1) value is supported."
)
NOT_BOTH = "`temperature` and `top_p` cannot both be specified for this model."

# The server, the status, the body, and the notes.
REFUSALS: list[tuple[str, int, Any, list[str]]] = [
    (
        "OpenAI",
        400,
        of_openai(ONLY_DEFAULT, "temperature", "unsupported_value"),
        [TEMPERATURE],
    ),
    (
        "OpenAI, o1",
        400,
        of_openai(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        ),
        [MAX_TOKENS],
    ),
    ("OpenAI, code alone", 400, of_openai("Bad request", "temperature"), [TEMPERATURE]),
    (
        "OpenAI, logprobs",
        400,
        of_openai("You requested 20 'top_logprobs'", "top_logprobs"),
        [TOP_LOG_PROBS],
    ),
    (
        "Azure",
        400,
        of_openai("Unrecognized request argument supplied: temperature"),
        [TEMPERATURE],
    ),
    (
        "Azure, stream",
        400,
        of_openai("Unknown parameter: 'stream_options'."),
        [STREAM_OPTIONS],
    ),
    (
        "Azure AI",
        422,
        {"error": {"code": "Invalid input", "details": "extra parameters ['temperature']"}},
        [TEMPERATURE],
    ),
    (
        "vLLM",
        400,
        of_openai("temperature must be non-negative, got -1.0.", "temperature"),
        [TEMPERATURE],
    ),
    (
        "vLLM, place",
        400,
        of_openai(
            "1 validation error:\n  {'type': 'extra_forbidden', "
            "'loc': ('body', 'stream_options'), 'msg': 'Extra inputs are not permitted', "
            "'input': {'include_usage': True}}"
        ),
        [STREAM_OPTIONS],
    ),
    ("vLLM, param", 400, of_openai("wrong", "body.temperature"), [TEMPERATURE]),
    (
        "FastAPI",
        422,
        {"detail": [{"loc": ["body", "temperature"], "msg": TOO_EXTRA, "input": 0.7}]},
        [TEMPERATURE],
    ),
    (
        "Mistral",
        422,
        {
            "object": "error",
            "message": {"detail": [{"loc": ["body", "stream_options"], "msg": TOO_EXTRA}]},
        },
        [STREAM_OPTIONS],
    ),
    (
        "Anthropic",
        400,
        {"type": "error", "error": {"type": "invalid_request_error", "message": NOT_BOTH}},
        [TEMPERATURE],
    ),
    (
        "Anthropic, thinking",
        400,
        of_openai("`temperature` may only be set to 1 when thinking is enabled."),
        [TEMPERATURE],
    ),
    ("Anthropic, new", 400, of_openai(f"temperature: {TOO_EXTRA}"), [TEMPERATURE]),
    (
        "Gemini",
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": 'Invalid value at "generation_config.temperature"',
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        [TEMPERATURE],
    ),
    (
        "Gemini, camel case",
        400,
        of_openai("generationConfig.topLogprobs is not enabled for this model"),
        [TOP_LOG_PROBS],
    ),
    (
        "LiteLLM",
        400,
        of_openai(
            "litellm.UnsupportedParamsError: openai does not support parameters: "
            "['temperature'], for model=o1",
            "None",
        ),
        [TEMPERATURE],
    ),
    (
        "OpenRouter",
        400,
        {
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {"raw": '{"error":{"message":"temperature is not supported"}}'},
            }
        },
        [TEMPERATURE],
    ),
    ("Groq", 400, of_openai("property 'temperature' is unsupported"), [TEMPERATURE]),
    (
        "xAI",
        400,
        {"error": "Argument not supported on this model: maxTokens"},
        [MAX_TOKENS],
    ),
    (
        "TGI",
        422,
        {"error": "Input validation error: `temperature` must be positive"},
        [TEMPERATURE],
    ),
    ("DashScope", 400, of_openai("参数temperature不合法"), [TEMPERATURE]),
    ("text", 400, b"temperature not supported", [TEMPERATURE]),
    ("a colon", 400, of_openai("Invalid input: temperature"), [TEMPERATURE]),
    ("pydantic", 400, of_openai("input_value={'temperature': 1}, input_type=dict"), []),
    ("vLLM, model", 404, of_openai("The model `gpt-4o` does not exist.", "model"), [MODEL]),
    ("OpenAI, project", 403, of_openai("Project has no access to model `gpt-4o`"), [MODEL]),
    ("Ollama, model", 404, of_openai("model 'gpt-4o' not found"), [MODEL]),
    (
        "two at once",
        400,
        of_openai("unsupported: temperature, max_tokens"),
        [TEMPERATURE, MAX_TOKENS],
    ),
    # Of these none is about a field that limin filled in.
    (
        "another param",
        400,
        of_openai("temperature is unusual in a schema", "response_format"),
        [],
    ),
    (
        "a schema",
        400,
        of_openai("Invalid schema: in context=('properties', 'temperature')"),
        [],
    ),
    ("a tool", 400, of_openai("tools: weather has no 'temperature'"), []),
    (
        "serde's list",
        422,
        of_openai("unknown field `foo`, expected one of `model`, `temperature`, `stop`"),
        [],
    ),
    ("a list", 400, of_openai("wrong. Supported parameters: temperature, max_tokens"), []),
    (
        "the input",
        400,
        of_openai(
            "[{'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required', "
            "'input': {'temperature': 0.7}}]"
        ),
        [],
    ),
    (
        "longer names",
        400,
        of_openai("no_temperature, temperatures, max_tokens_to_sample"),
        [],
    ),
    ("nothing", 400, b"", []),
    ("the length", 400, of_openai("maximum context length exceeded by max_tokens"), []),
    ("another model", 404, of_openai("no temperature here"), []),
    ("this model", 400, of_openai("not with this model"), []),
    ("a failure", 503, of_openai("temperature"), []),
]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [refusal[1:] for refusal in REFUSALS],
    ids=[refusal[0] for refusal in REFUSALS],
)
def test_refusal_names_the_default(status: int, body: Any, expected: list[str]) -> None:
    """Whoever said nothing of a field learns that limin sent it, and the way out."""
    assert notes(status_error(response(body, status=status))) == expected


def test_field_of_the_user_is_not_noted() -> None:
    """Whoever set the field himself knows where it comes from."""
    error = BadRequestError(400, "no", param="temperature")
    assert notes(error, "model") == []


def test_note_comes_once() -> None:
    """An error that is looked at twice says it once."""
    error = BadRequestError(400, "temperature: no")
    assert notes(error) == [TEMPERATURE]
    assert notes(error) == [TEMPERATURE]


def test_words_of_the_prompt_name_no_field() -> None:
    """A server that quotes the prompt does not speak of the field."""
    prompt = "what is the temperature of the sun?"
    error = status_error(response(of_openai(f"I refuse {prompt}"), status=400))
    assert notes(error, prompt=prompt) == []


def test_refusal_in_a_stream() -> None:
    """A refusal in the middle of a stream is one, too."""
    cause = BadRequestError(400, ONLY_DEFAULT, param="temperature")
    partial = read(body_of("4"))
    assert notes(StreamError("refused", partial, cause)) == [TEMPERATURE]
    assert notes(StreamError("broken", partial, TransportError("broken"))) == []


def test_field_in_the_extra_body_is_the_users() -> None:
    """What `extra_body` holds is sent because the user said so."""
    extra = {"temperature": 0.7, "stream_options": {"include_usage": True}}
    configuration = ModelConfiguration(extra_body=extra, stream=True)
    encoder = RequestEncoder.of(configuration, filled_in=["model", "temperature"])
    assert encoder.filled_in == {"model"}
