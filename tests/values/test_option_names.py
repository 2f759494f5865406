from typing import Any

import pytest

from limin.client import Client
from limin.functions import batches, conversations
from limin.functions.clients import (
    FunctionBatchOptions,
    FunctionOptions,
    FunctionStreamOptions,
)
from limin.values.option_names import check_option_names
from limin.values.options import BatchOptions, CompletionOptions, StreamOptions

PLAN = "my secret plan for tonight"
CLIENT = Client("http://model.test/v1", "")
ONE = (conversations.generate_text_completion, FunctionOptions)
STREAM = (conversations.stream_text_completion, FunctionStreamOptions)
BATCH = (batches.generate_text_completions, FunctionBatchOptions)
METHOD = (CLIENT.generate_text_completion, CompletionOptions)
BATCH_METHOD = (CLIENT.generate_text_completions, BatchOptions)
STREAM_METHOD = (CLIENT.stream_text_completion, StreamOptions)


def refusal(function: Any, options: Any, *names: str) -> str:
    """The message with which the options *names* of *function* are refused."""
    with pytest.raises(TypeError) as caught:
        check_option_names(function, dict.fromkeys(names, PLAN), options.__annotations__)
    return str(caught.value)


# Function, the option that it does not have, and the hint.
HINTS = [
    (ONE, "logprobs", "did you mean log_probs?"),
    (ONE, "top_logprobs", "did you mean top_log_probs?"),
    (ONE, "temprature", "did you mean temperature?"),
    (ONE, "max_token", "did you mean max_tokens?"),
    (ONE, "maxTokens", "did you mean max_tokens?"),
    (ONE, "max_new_tokens", "did you mean max_tokens?"),
    (ONE, "sytem_prompt", "did you mean system_prompt?"),
    (ONE, "system", "did you mean system_prompt?"),
    (ONE, "api_base", "did you mean base_url?"),
    (ONE, "n", "fields of the request go into extra_body={'n': ...}"),
    (ONE, "top_k", "fields of the request go into extra_body={'top_k': ...}"),
    (ONE, "min_p", "fields of the request go into extra_body={'min_p': ...}"),
    (ONE, "logit_biases", "did you mean logit_bias?"),
    (ONE, "tool", "did you mean tools?"),
    (ONE, "functions", "did you mean tools?"),
    (ONE, "function_call", "did you mean tool_choice?"),
    (ONE, "reasoning", "did you mean reasoning_effort?"),
    (ONE, "max_completion_token", "did you mean max_completion_tokens?"),
    (ONE, "parallel_tool_call", "did you mean parallel_tool_calls?"),
    (ONE, "response_format", "did you mean response_type?"),
    (METHOD, "response_model", "did you mean response_type?"),
    (BATCH, "output_type", "did you mean response_type?"),
    (STREAM, "respone_type", "did you mean response_type?"),
    (ONE, "re_ask", "did you mean reask?"),
    (ONE, "default_headers", "an argument of Client is headers"),
    (ONE, "extra_headers", "did you mean headers?"),
    (ONE, "requests_per_minute", "an argument of Client is requests_per_minute"),
    (ONE, "checkpoint", "only functions for many prompts take checkpoint"),
    (ONE, "concurrency", "only functions for many prompts take n_parallel"),
    (BATCH, "n_paralel", "did you mean n_parallel?"),
    (BATCH, "max_concurrency", "did you mean n_parallel?"),
    (BATCH, "return_exceptions", "did you mean on_error?"),
    (BATCH, "chekpoint", "did you mean checkpoint?"),
    (STREAM, "stream", "the stream functions always stream"),
    (STREAM_METHOD, "stream", "the stream functions always stream"),
    (STREAM_METHOD, "reask", "a stream is asked for once"),
    (METHOD, "client", "a method asks with its own client"),
    (METHOD, "api_key", "an argument of Client is api_key"),
    (METHOD, "api_base", "an argument of Client is base_url"),
    (BATCH_METHOD, "self", "fields of the request go into extra_body={'self': ...}"),
]


@pytest.mark.parametrize(("kind", "name", "hint"), HINTS)
def test_hint_at_the_right_name(kind: tuple[Any, Any], name: str, hint: str) -> None:
    """The refusal names the function and the option, and says where to put it."""
    function, options = kind
    text = refusal(function, options, name)
    owner = "Client." if hasattr(function, "__self__") else ""
    prefix = f"{owner}{function.__name__}() got an unexpected keyword argument: "
    assert text == f"{prefix}{name!r} ({hint})"


def test_several_options_are_named() -> None:
    """Each unknown option is named with its own hint, and none with its value."""
    text = refusal(*METHOD, "temprature", "modle", "seed")
    assert text == (
        "Client.generate_text_completion() got an unexpected keyword argument: "
        "'modle' (did you mean model?), 'temprature' (did you mean temperature?)"
    )


@pytest.mark.parametrize("kind", [ONE, STREAM, BATCH, METHOD, BATCH_METHOD, STREAM_METHOD])
def test_known_options(kind: tuple[Any, Any]) -> None:
    """Every option of a function is accepted."""
    function, options = kind
    check_option_names(function, options.__annotations__, options.__annotations__)
