"""A call and what came of it, as attributes of spans and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias, cast
from urllib.parse import urlsplit

from limin.calls.server_words import plain_word
from limin.errors import LiminError
from limin.policy.failures import server_error_in
from limin.telemetry import names
from limin.values.endpoint import DEFAULT_PORTS
from limin.values.result_parts import answers_in

if TYPE_CHECKING:
    from limin.calls.observer import ObservedCall
    from limin.values.choice import Choice
    from limin.values.completion import TextCompletion
    from limin.values.configuration import ModelConfiguration
    from limin.values.endpoint import Endpoint

Attributes: TypeAlias = "dict[str, str | bool | int | float | tuple[str, ...]]"

# What `finished` is told.
Result: TypeAlias = "TextCompletion[object] | BaseException | None"


# Options under their own names, and the attributes that they are.
_OPTIONS = (
    ("temperature", names.REQUEST_TEMPERATURE),
    ("top_p", names.REQUEST_TOP_P),
    ("seed", names.REQUEST_SEED),
    ("presence_penalty", names.REQUEST_PRESENCE_PENALTY),
    ("frequency_penalty", names.REQUEST_FREQUENCY_PENALTY),
    ("reasoning_effort", names.REQUEST_REASONING_LEVEL),
)
# The same of whole numbers in `extra_body`.
_EXTRA_OPTIONS = (("n", names.REQUEST_CHOICE_COUNT), ("top_k", names.REQUEST_TOP_K))
_REALS = frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty"})


def describe_server(endpoint: Endpoint) -> Attributes:
    """Return address and port of *endpoint*."""
    url = urlsplit(endpoint.base_url)
    port = url.port or DEFAULT_PORTS[url.scheme]
    return {names.SERVER_ADDRESS: url.hostname or "", names.SERVER_PORT: port}


def describe_call(call: ObservedCall, provider_name: str | None) -> Attributes:
    """Return what a span of *call* has when it starts: a sampler may decide by it."""
    server = describe_server(call.endpoint)
    host = str(server[names.SERVER_ADDRESS])
    return {
        names.OPERATION_NAME: names.CHAT,
        names.PROVIDER_NAME: provider_name or _find_provider(host),
        names.REQUEST_MODEL: call.configuration.model,
        **server,
    }


@lru_cache
def _find_provider(host: str) -> str:
    """Return the provider whose server *host* is."""
    providers = (name for pattern, name in names.PROVIDERS if fnmatchcase(host, pattern))
    return next(providers, names.OTHER_PROVIDER)


def describe_request(
    configuration: ModelConfiguration, response_type: object
) -> Attributes:
    """Return the options of a request that the conventions know."""
    extra: Mapping[str, object] = configuration.extra_body or {}
    attributes: Attributes = {}
    for name, attribute in _OPTIONS:
        value = getattr(configuration, name)
        if value is not None:
            attributes[attribute] = float(value) if name in _REALS else value
    most = configuration.max_completion_tokens or configuration.max_tokens
    if most is not None:
        attributes[names.REQUEST_MAX_TOKENS] = most
    if configuration.stop is not None:
        stop = configuration.stop
        attributes[names.REQUEST_STOP_SEQUENCES] = (
            (stop,) if isinstance(stop, str) else tuple(stop)
        )
    if configuration.stream:
        attributes[names.REQUEST_STREAM] = True
    for name, attribute in _EXTRA_OPTIONS:
        value = extra.get(name)
        if type(value) is int and (name, value) != ("n", 1):
            attributes[attribute] = value
    output_type = _find_output_type(response_type, extra.get("response_format"))
    if output_type is not None:
        attributes[names.OUTPUT_TYPE] = output_type
    return attributes


def _find_output_type(response_type: object, response_format: object) -> str | None:
    """Return the type of the answer, if the request names one."""
    if response_type is not None:
        return "json"
    if not isinstance(response_format, Mapping):
        return None
    kind = str(cast("Mapping[str, object]", response_format).get("type"))
    return "json" if kind.startswith("json") else "text" if kind == "text" else None


def find_answer(result: Result) -> TextCompletion[object] | None:
    """Return the answer in *result*, or the part of it that an error has; None if none."""
    if result is None or isinstance(result, BaseException):
        answers = answers_in(result) if isinstance(result, LiminError) else ()
        return answers[0] if answers else None
    return result


def describe_answer(call: ObservedCall, answer: TextCompletion[object]) -> Attributes:
    """Return what is told about an *answer*, or a part of one: no word of its text."""
    reasons = tuple(_find_reason(call, choice) for choice in answer.choices)
    attributes: Attributes = {names.RESPONSE_FINISH_REASONS: reasons}
    facts: dict[str, str | int | None] = {
        names.RESPONSE_ID: plain_word(call, answer.id),
        names.RESPONSE_MODEL: plain_word(call, answer.served_model),
    }
    usage = answer.usage
    if usage is not None:
        facts |= {
            names.USAGE_INPUT_TOKENS: usage.prompt_tokens,
            names.USAGE_OUTPUT_TOKENS: usage.completion_tokens,
            names.USAGE_CACHED_TOKENS: usage.cached_tokens,
            names.USAGE_REASONING_TOKENS: usage.reasoning_tokens,
        }
    return attributes | {name: fact for name, fact in facts.items() if fact is not None}


def _find_reason(call: ObservedCall, choice: Choice) -> str:
    if choice.finish_reason is None:
        return names.NO_FINISH_REASON
    return plain_word(call, choice.finish_reason) or names.ODD_FINISH_REASON


def name_error(error: BaseException) -> str:
    """Return the type of *error*: one of few, whatever the event loop.

    An error of limin's has the name of its class, what cancelled a call is `cancelled`.
    """
    name = type(error).__name__
    is_cancellation = name in {"CancelledError", "Cancelled"}
    return "cancelled" if is_cancellation and not isinstance(error, Exception) else name


def describe_error(error: BaseException) -> str:
    """Return what *error* is, without words of the server: they may quote the prompt."""
    server_error = server_error_in(error) if isinstance(error, LiminError) else None
    status = "" if server_error is None else f", status {server_error.effective_status}"
    return f"{name_error(error)}{status}"
