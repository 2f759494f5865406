"""Odd log probabilities of QUIRKS, in the answers to requests that ask for any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limin.testing.odd_bodies import odd, without

if TYPE_CHECKING:
    from limin.testing.odd_bodies import ChangedTokens, Fields, Tokens

_LOWEST = -3.4028234663852886e38  # The lowest float of 32 bits.


def _each(**fields: object) -> ChangedTokens:
    """Return a change that lays *fields* over each token."""
    return lambda tokens: {"content": [{**token, **fields} for token in tokens]}


def _first(**fields: object) -> ChangedTokens:
    """Return a change that lays *fields* over the first token, and its own entry."""

    def change(tokens: Tokens) -> object:
        first, *rest = tokens
        top = [
            {**entry, **fields} if entry["token"] == first["token"] else entry
            for entry in first["top_logprobs"]
        ]
        return {"content": [{**first, **fields, "top_logprobs": top}, *rest]}

    return change


def _to_legacy(tokens: Tokens) -> object:
    return {
        "tokens": [token["token"] for token in tokens],
        "token_logprobs": [token["logprob"] for token in tokens],
        "top_logprobs": [
            {entry["token"]: entry["logprob"] for entry in token["top_logprobs"]}
            for token in tokens
        ],
    }


def _to_probs(tokens: Tokens) -> object:
    def converted(entry: Fields) -> dict[str, Any]:
        return {**without(entry, "logprob", "top_logprobs"), "prob": 0.9}

    return {
        "content": [
            {**converted(token), "top_probs": [converted(token)]} for token in tokens
        ]
    }


def _to_ids(tokens: Tokens) -> object:
    def named(entry: Fields, number: int) -> dict[str, Any]:
        token = f"token_id:{number}"
        return {**entry, "token": token, "bytes": list(token.encode())}

    return {
        "content": [
            {
                **named(token, index),
                "top_logprobs": [
                    named(entry, index + 1000 * rank)
                    for rank, entry in enumerate(token["top_logprobs"])
                ],
            }
            for index, token in enumerate(tokens)
        ]
    }


def _to_replacements(tokens: Tokens) -> object:
    return _each(token="\ufffd", bytes=[239, 191, 189])(tokens)  # noqa: S106 (no secret)


def _without_sampled(tokens: Tokens) -> object:
    return {
        "content": [
            {
                **token,
                "logprob": -8.5,
                "top_logprobs": [
                    entry
                    for entry in token["top_logprobs"]
                    if entry["token"] != token["token"]
                ],
            }
            for token in tokens
        ]
    }


def _stale(tokens: Tokens) -> object:
    first = tokens[0]["top_logprobs"]
    return {"content": [{**token, "top_logprobs": first} for token in tokens]}


def _with_end(tokens: Tokens) -> object:
    end: Fields = {"token": "", "logprob": -0.2, "bytes": [], "top_logprobs": []}
    return {"content": [*tokens, end]}


ODD_TOKENS = (
    odd(
        "log-probs-null",
        "Ollama, OpenRouter's providers",
        "Log probabilities were asked for, and are null.",
        tokens=lambda _: None,
    ),
    odd(
        "log-probs-empty",
        "several servers",
        "Log probabilities were asked for, and are an empty object.",
        tokens=lambda _: {},
    ),
    odd(
        "log-probs-sentinel",
        "OpenAI, vLLM",
        "Minus infinity is -9999.0.",
        tokens=_first(logprob=-9999.0),
    ),
    odd(
        "log-probs-lowest",
        "llama.cpp, SGLang",
        "Minus infinity is the lowest float of 32 bits.",
        tokens=_first(logprob=_LOWEST),
    ),
    odd(
        "log-probs-nan",
        "servers in Python",
        "A log probability is NaN, which is no JSON.",
        tokens=_first(logprob=float("nan")),
    ),
    odd(
        "log-probs-positive",
        "several servers",
        "A log probability is a little above 0.",
        tokens=_first(logprob=1e-7),
    ),
    odd(
        "log-probs-without-bytes",
        "TGI and others",
        "The bytes of the tokens are null.",
        tokens=_each(bytes=None),
    ),
    odd(
        "log-probs-replaced",
        "Ollama",
        "Tokens that end inside a character are U+FFFD, text and bytes.",
        tokens=_to_replacements,
    ),
    odd(
        "log-probs-token-ids",
        "vLLM with `return_tokens_as_token_ids`",
        "In the place of the tokens stand their ids.",
        tokens=_to_ids,
    ),
    odd(
        "log-probs-legacy",
        "Together, llama-cpp-python",
        "Log probabilities have the shape of OpenAI's first API.",
        tokens=_to_legacy,
    ),
    odd(
        "log-probs-as-probs",
        "llama.cpp with `post_sampling_probs`",
        "Probabilities in the place of their logarithms.",
        tokens=_to_probs,
    ),
    odd(
        "log-probs-unlisted",
        "OpenAI, llama.cpp",
        "The sampled token is not among the alternatives.",
        tokens=_without_sampled,
    ),
    odd(
        "log-probs-stale",
        "SGLang",
        "All positions have the alternatives of the first.",
        text="Paris is the capital.",
        tokens=_stale,
    ),
    odd(
        "log-probs-end-token",
        "llama.cpp",
        "The token that ends the answer is listed, with an empty text.",
        tokens=_with_end,
    ),
)
