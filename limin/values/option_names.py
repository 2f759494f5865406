"""Names of options: unknown ones are refused with a hint at the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from limin.values.headers import conceal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# Names of other libraries and of the request's body, and limin's for the same.
# Sources: the body of https://platform.openai.com/docs/api-reference/chat/create, the
# arguments of the Python packages openai, anthropic, litellm, langchain and transformers.
_SYNONYMS = {
    "logprobs": "log_probs",
    "top_logprobs": "top_log_probs",
    "response_format": "response_type",
    "response_model": "response_type",
    "response_schema": "response_type",
    "output_type": "response_type",
    "output_schema": "response_type",
    "text_format": "response_type",
    "json_schema": "response_type",
    "guided_json": "response_type",
    "schema": "response_type",
    "functions": "tools",
    "function_call": "tool_choice",
    "reasoning": "reasoning_effort",
    "max_new_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "max_tokens_to_sample": "max_tokens",
    "stop_sequences": "stop",
    "stop_strings": "stop",
    "model_name": "model",
    "engine": "model",
    "random_seed": "seed",
    "configuration": "model_configuration",
    "config": "model_configuration",
    "extra_kwargs": "extra_body",
    "model_kwargs": "extra_body",
    "request_timeout": "timeout",
    "num_retries": "max_retries",
    "retries": "max_retries",
    "n_retries": "max_retries",
    "streaming": "stream",
    "system": "system_prompt",
    "system_message": "system_prompt",
    "instructions": "system_prompt",
    "prompt": "user_prompt",
    "prompts": "user_prompts",
    "messages": "conversation",
    "concurrency": "n_parallel",
    "max_concurrency": "n_parallel",
    "max_workers": "n_parallel",
    "n_jobs": "n_parallel",
    "progress": "show_progress",
    "verbose": "show_progress",
    "return_exceptions": "on_error",
    "raise_on_error": "on_error",
    "api_base": "base_url",
    "openai_api_base": "base_url",
    "openai_api_key": "api_key",
    "key": "api_key",
    "extra_headers": "headers",
}

# Arguments of the client, which no single call takes.
_OF_CLIENT = frozenset(
    {
        "api_key",
        "base_url",
        "headers",  # Of all calls; an option of the same name is that of one call.
        "http_client",
        "limits",
        "requests_per_minute",
        "tokens_per_minute",
    }
)

# Names of other libraries for arguments of the client.
_CLIENT_SYNONYMS = {
    "default_headers": "headers",
    "organization": "headers",
    "project": "headers",
    "proxies": "http_client",
    "rpm": "requests_per_minute",
    "tpm": "tokens_per_minute",
}

# Options that may hold a key.
_PRIVATE = frozenset({"api_key", "base_url", "headers"})

# Options of batches, which functions of one completion do not have.
_OF_BATCHES = frozenset(
    {
        "checkpoint",
        "fsync",
        "max_total_tokens",
        "n_parallel",
        "on_error",
        "show_progress",
    }
)

# Fields of the request's body that are close to the name of an option, and are none.
_OF_BODY = frozenset({"n", "top_k", "top_a", "min_p", "user", "store", "suffix"})

# Hints for names that only some functions refuse.
_EXPLANATIONS = {
    "client": "a method asks with its own client",
    "stream": "the stream functions always stream",
    "reask": "a stream is asked for once",
}

_SIMILARITY = 0.75  # difflib's default of 0.6 takes `top_k` for `top_p`.


def check_option_names(
    function: Callable[..., object],
    options: Mapping[str, object],
    names: Iterable[str],
) -> None:
    """Refuse *options* of *function* that are none of *names*, with a hint for each.

    Those that may hold a key get a silent repr; see `conceal_options`. An unknown option
    may, whatever its name.

    Raises:
        TypeError: If there are such options; it does not show their values.
    """
    valid = set(names)
    unknown = options.keys() - valid
    conceal_options(options)
    if not unknown:
        return
    conceal_options(options, unknown)
    code = cast("Any", function).__code__
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    valid.update(name for name in arguments if name != "self")
    hints = ", ".join(f"{name!r} ({_hint(name, valid)})" for name in sorted(unknown))
    problem = f"{_name_of(function)}() got an unexpected keyword argument: {hints}"
    raise TypeError(problem)


def conceal_options(options: Mapping[str, object], names: Iterable[str] = _PRIVATE) -> None:
    """Give a silent repr to those of *options* that *names* name, in *options* itself.

    It is a local variable of the frame that called this, and of frames below it.
    """
    own = cast("dict[str, object]", options)
    for name in names:
        if name in own:
            own[name] = conceal(own[name])


def _name_of(function: Callable[..., object]) -> str:
    """Return the name that users know a function or a bound method by."""
    # The class that defines a method of the client is none that they know.
    owner = getattr(function, "__self__", None)
    name = function.__name__
    return name if owner is None else f"{type(owner).__name__}.{name}"


def _hint(name: str, valid: set[str]) -> str:
    """Return where to put the option *name* instead; *valid* are those of the function."""
    client_name = _CLIENT_SYNONYMS.get(name, name)
    synonym = _SYNONYMS.get(name.lower(), name)
    if synonym in valid:
        return f"did you mean {synonym}?"
    if client_name in _OF_CLIENT or synonym in _OF_CLIENT:
        client_name = client_name if client_name in _OF_CLIENT else synonym
        return f"an argument of Client is {client_name}"
    if synonym in _OF_BATCHES:
        return f"only functions for many prompts take {synonym}"
    if name in _EXPLANATIONS:
        return _EXPLANATIONS[name]
    import difflib  # noqa: PLC0415 (slow to load)

    similar = difflib.get_close_matches(name, valid, 1, _SIMILARITY)
    if similar and name not in _OF_BODY:
        return f"did you mean {similar[0]}?"
    return f"fields of the request go into extra_body={{{name!r}: ...}}"
