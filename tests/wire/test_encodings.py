"""Random positions, encoded the way each server does, and read back."""

import copy
import json
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
import msgspec
import pytest
from builders import body_of, look_at_everything, read
from hypothesis import example, given
from hypothesis import strategies as st

from limin.values.tokens import TokenLogProb, TokenPosition
from limin.wire import schema
from limin.wire.lenient import mend_completion

LOWEST = -3.4028234663852886e38

TEXTS = st.text(max_size=4) | st.sampled_from(["\ufffd", "a\ufffd", "", "é", "▁4"])
LOG_PROBS = st.floats(-700.0, 0.0) | st.sampled_from([None, -math.inf, 0.0, -0.0, 1e-7])
TOKENS = st.builds(
    TokenLogProb,
    TEXTS,
    LOG_PROBS,
    st.none() | st.binary(max_size=4) | st.just("\ufffd".encode()),
    st.none() | st.integers(0, 2**53),
)


def unlikelihood(token: TokenLogProb) -> float:
    """Smallest for the likeliest; tokens whose probability is not known come last."""
    return math.inf if token.log_prob is None else -token.log_prob


def likeliest_first(tokens: list[TokenLogProb]) -> tuple[TokenLogProb, ...]:
    """*tokens* sorted; those of the same probability in the server's order."""
    return tuple(sorted(tokens, key=unlikelihood))


POSITIONS = st.lists(
    st.builds(
        lambda sampled, alternatives: TokenPosition(
            sampled=sampled, alternatives=likeliest_first(alternatives)
        ),
        TOKENS,
        st.lists(TOKENS, max_size=3),
    ),
    min_size=1,
    max_size=4,
)

# A `logprobs` object, the positions that it tells of, and codes that it must get.
Encoded: TypeAlias = tuple[dict[str, Any], list[TokenPosition], set[str]]


def mapped(
    positions: list[TokenPosition], change: Callable[[TokenLogProb], TokenLogProb]
) -> list[TokenPosition]:
    """*positions* with each token of them changed."""
    return [
        TokenPosition(
            sampled=change(position.sampled),
            alternatives=likeliest_first(
                [change(token) for token in position.alternatives]
            ),
        )
        for position in positions
    ]


def with_true_bytes(token: TokenLogProb) -> TokenLogProb:
    """*token* as it can be known: without bytes that were made from U+FFFD."""
    made = token.token_bytes is not None and "\ufffd".encode() in token.token_bytes
    return (
        attrs.evolve(token, token_bytes=None) if made and "\ufffd" in token.token else token
    )


def fields(token: TokenLogProb) -> dict[str, Any]:
    """*token* as OpenAI writes it."""
    values = None if token.token_bytes is None else list(token.token_bytes)
    return {"token": token.token, "logprob": token.log_prob, "bytes": values}


def fields_with_id(token: TokenLogProb) -> dict[str, Any]:
    """*token* as llama.cpp writes it."""
    return {**fields(token), "id": token.token_id}


def content(
    positions: list[TokenPosition],
    encode_token: Callable[[TokenLogProb], dict[str, Any]],
    top: str = "top_logprobs",
) -> dict[str, Any]:
    """`logprobs` in the shape of the chat API."""
    return {
        "content": [
            {
                **encode_token(position.sampled),
                top: [encode_token(token) for token in position.alternatives],
            }
            for position in positions
        ]
    }


def without_id(token: TokenLogProb) -> TokenLogProb:
    """Return *token* as OpenAI reports it, without an id."""
    return attrs.evolve(token, token_id=None)


def openai(positions: list[TokenPosition]) -> Encoded:
    """The standard: the likeliest tokens, sorted, without ids."""
    return content(positions, fields), mapped(positions, without_id), set()


def vllm(positions: list[TokenPosition]) -> Encoded:
    """The sampled token first, and the list cut to as many as it was."""
    cut = [
        TokenPosition(
            sampled=position.sampled,
            alternatives=(position.sampled, *position.alternatives[:-1]),
        )
        for position in positions
    ]
    return content(cut, fields), mapped(cut, without_id), set()


def llama_cpp(positions: list[TokenPosition]) -> Encoded:
    """The standard, with ids."""
    return content(positions, fields_with_id), positions, set()


def llama_cpp_post_sampling(positions: list[TokenPosition]) -> Encoded:
    """Probabilities under other names."""

    def prob(token: TokenLogProb) -> float | None:
        return None if token.log_prob is None else math.exp(token.log_prob)

    def encode_token(token: TokenLogProb) -> dict[str, Any]:
        body = fields_with_id(token)
        del body["logprob"]
        return {**body, "prob": prob(token)}

    def read_back(token: TokenLogProb) -> TokenLogProb:
        value = prob(token)
        log_prob = value and math.log(value)
        return attrs.evolve(token, log_prob=-math.inf if value == 0.0 else log_prob)

    body = content(positions, encode_token, "top_probs")
    return body, mapped(positions, read_back), {"probabilities-converted"}


def legacy(positions: list[TokenPosition]) -> Encoded:
    """Arrays, with alternatives keyed by text, so that of a duplicate one remains."""

    def only_text(token: TokenLogProb) -> TokenLogProb:
        return TokenLogProb(token.token, token.log_prob)

    tops = [
        {token.token: token.log_prob for token in position.alternatives}
        for position in positions
    ]
    body = {
        "tokens": [position.sampled.token for position in positions],
        "token_logprobs": [position.sampled.log_prob for position in positions],
        "top_logprobs": tops,
    }
    expected = [
        TokenPosition(
            sampled=only_text(position.sampled),
            alternatives=likeliest_first([TokenLogProb(*item) for item in top.items()]),
        )
        for position, top in zip(positions, tops, strict=True)
    ]
    return body, expected, {"legacy-log-probs"}


def vllm_stream(positions: list[TokenPosition]) -> Encoded:
    """Keys that have their default value are missing."""

    def encode_token(token: TokenLogProb) -> dict[str, Any]:
        return {name: value for name, value in fields(token).items() if value is not None}

    body = content(positions, encode_token)
    for element in body["content"]:
        if not element["top_logprobs"]:
            del element["top_logprobs"]
    return body, mapped(positions, without_id), set()


def python_literals(positions: list[TokenPosition]) -> Encoded:
    """NaN stands for unknown numbers."""

    def encode_token(token: TokenLogProb) -> dict[str, Any]:
        value = math.nan if token.log_prob is None else token.log_prob
        return {**fields_with_id(token), "logprob": value}

    unknown = any(token.log_prob is None for token in all_tokens(positions))
    return (
        content(positions, encode_token),
        positions,
        {"body-mended"} if unknown else set(),
    )


def numbers_as_text(positions: list[TokenPosition]) -> Encoded:
    """Log probabilities as text, as some gateways write them."""

    def encode_token(token: TokenLogProb) -> dict[str, Any]:
        value = None if token.log_prob is None else repr(token.log_prob)
        return {**fields_with_id(token), "logprob": value}

    has_numbers = any(token.log_prob is not None for token in all_tokens(positions))
    return (
        content(positions, encode_token),
        positions,
        {"body-mended"} if has_numbers else set(),
    )


def sentinels(number: float) -> Callable[[list[TokenPosition]], Encoded]:
    """*number* for minus infinity."""

    def encode(positions: list[TokenPosition]) -> Encoded:
        def encode_token(token: TokenLogProb) -> dict[str, Any]:
            value = number if token.log_prob == -math.inf else token.log_prob
            return {**fields_with_id(token), "logprob": value}

        has_infinity = any(token.log_prob == -math.inf for token in all_tokens(positions))
        codes = {"log-prob-sentinel"} if has_infinity else set()
        return content(positions, encode_token), positions, codes

    return encode


def all_tokens(positions: list[TokenPosition]) -> list[TokenLogProb]:
    """Every token, sampled or listed."""
    return [
        token
        for position in positions
        for token in (position.sampled, *position.alternatives)
    ]


SERVERS: dict[str, Callable[[list[TokenPosition]], Encoded]] = {
    "openai": openai,
    "vllm": vllm,
    "llama.cpp": llama_cpp,
    "llama.cpp-post-sampling": llama_cpp_post_sampling,
    "legacy": legacy,
    "vllm-stream": vllm_stream,
    "python-literals": python_literals,
    "numbers-as-text": numbers_as_text,
    "sentinel-9999": sentinels(-9999.0),
    "sentinel-lowest": sentinels(LOWEST),
}

SPLIT = [
    TokenPosition(
        sampled=TokenLogProb("\ufffd", -0.5, b"\xf0\x9f", 7),
        alternatives=(
            TokenLogProb("\ufffd", -0.5, b"\xf0\x9f", 7),
            TokenLogProb("\ufffd", -1.5, "\ufffd".encode(), 8),
            TokenLogProb("a", None),
        ),
    ),
    TokenPosition(sampled=TokenLogProb("a", -math.inf, b"a")),
    TokenPosition(sampled=TokenLogProb("a", None, None, 0)),
]


@pytest.mark.parametrize("server", SERVERS)
@given(positions=POSITIONS)
@example(positions=SPLIT)
def test_positions_come_back(server: str, positions: list[TokenPosition]) -> None:
    """However a server writes its positions, they are read, or a warning says why not."""
    logprobs, expected, codes = SERVERS[server](positions)
    expected = mapped(expected, with_true_bytes)
    completion = read(body_of("4", logprobs=logprobs))
    assert completion.log_probs is not None
    assert list(completion.log_probs) == expected
    assert completion.token_log_probs == [position.sampled for position in expected]
    assert completion.full_token_log_probs == [
        list(position.alternatives) for position in expected
    ]
    if any(token.log_prob is None for token in all_tokens(expected)):
        codes.add("log-prob-unknown")
    if any(
        "\ufffd" in token.token and token.token_bytes is None
        for token in all_tokens(expected)
    ):
        codes.add("replacement-character")
    assert codes <= {warning.code for warning in completion.warnings}


@pytest.mark.parametrize("server", ["openai", "vllm", "llama.cpp", "vllm-stream"])
@given(positions=POSITIONS)
@example(positions=SPLIT)
def test_fast_and_mended_positions_agree(
    server: str, positions: list[TokenPosition]
) -> None:
    """A number as text at one position changes nothing at the others."""
    logprobs, _, _ = SERVERS[server](positions)
    fast = read(body_of("4", logprobs=logprobs)).log_probs
    logprobs["content"].append({"token": "x", "logprob": "-1"})
    mended = read(body_of("4", logprobs=logprobs)).log_probs
    assert fast is not None
    assert mended is not None
    assert list(mended[:-1]) == list(fast)
    assert mended[-1] == TokenPosition(sampled=TokenLogProb("x", -1.0))


NAMES = st.none() | st.text(max_size=5)
COUNTS = st.none() | st.integers(0, 2**53)
DETAILS = st.none() | st.fixed_dictionaries(
    {}, optional={"cached_tokens": COUNTS, "reasoning_tokens": COUNTS}
)
LOGPROBS = st.none() | st.builds(
    lambda server, positions: SERVERS[server](positions)[0],
    st.sampled_from(["openai", "llama.cpp", "legacy", "vllm-stream"]),
    POSITIONS,
)
# All that the decoder of the standard shape takes.
BODIES = st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries(
                {
                    "index": st.integers(0, 9),
                    "message": st.fixed_dictionaries(
                        {},
                        optional={
                            "content": NAMES,
                            "refusal": NAMES,
                            "reasoning": NAMES,
                            "reasoning_content": NAMES,
                            "reasoning_details": st.none()
                            | st.lists(st.fixed_dictionaries({"text": NAMES})),
                            "tool_calls": st.just([{"id": "call_1"}]),
                        },
                    ),
                },
                optional={"finish_reason": NAMES, "logprobs": LOGPROBS, "error": st.none()},
            ),
            min_size=1,
            max_size=2,
        )
    },
    optional={
        "id": NAMES,
        "model": NAMES,
        "usage": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "prompt_tokens": COUNTS,
                "completion_tokens": COUNTS,
                "total_tokens": COUNTS,
                "prompt_tokens_details": DETAILS,
                "completion_tokens_details": DETAILS,
            },
        ),
        "prompt_logprobs": st.none()
        | st.just([None, {"785": {"logprob": -3.1, "decoded_token": "The"}}]),
        "created": st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    },
)


@given(body=BODIES)
def test_fast_and_mended_bodies_agree(body: dict[str, Any]) -> None:
    """A body that the decoder accepts is not changed by mending."""
    encoded = json.dumps(body).replace("-Infinity", "-1e5").encode()
    mended, warnings = mend_completion(encoded)
    assert warnings == ()
    assert plain(mended) == plain(schema.completion_decoder.decode(encoded))


def plain(value: Any) -> Any:
    """*value* with its undecoded bytes parsed, since spaces in them mean nothing."""
    if isinstance(value, msgspec.Raw):
        return json.loads(bytes(value) or b"null")
    if isinstance(value, list):
        return [plain(element) for element in value]
    if isinstance(value, msgspec.Struct):
        names = value.__struct_fields__
        return {name: plain(getattr(value, name)) for name in names}
    return value


TOKEN = {
    "token": "4",
    "logprob": -0.5,
    "bytes": [52],
    "id": 7,
    "prob": 0.5,
    "top_logprobs": [{"token": "4", "logprob": -0.5, "bytes": [52], "id": 7}],
    "top_probs": [{"token": "4", "prob": 0.5, "bytes": [52], "id": 7}],
}
FULL: dict[str, Any] = {
    "id": "chatcmpl-1",
    "model": "m",
    "error": None,
    "choices": [
        {
            "index": 0,
            "message": {
                "content": [{"type": "text", "text": "4"}, {"thinking": [{"text": "hm"}]}],
                "refusal": None,
                "reasoning": None,
                "reasoning_content": None,
                "reasoning_details": [{"text": "hm", "summary": "hm"}],
            },
            "finish_reason": "stop",
            "error": None,
            "logprobs": {"content": [TOKEN, {**TOKEN, "token": "\ufffd"}], "refusal": None},
        },
        {
            "index": 1,
            "message": {"content": None, "refusal": "no"},
            "logprobs": {"content": [], "refusal": [TOKEN]},
        },
        {
            "message": {"content": "4"},
            "logprobs": {
                "tokens": ["4"],
                "token_logprobs": [-0.5],
                "top_logprobs": [{"4": -0.5}],
            },
        },
    ],
    "usage": {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
    "prompt_logprobs": [
        None,
        {"785": {"logprob": -3.1, "rank": 7, "decoded_token": "The"}},
    ],
}


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in *value*, itself left out."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    if isinstance(value, list):
        items = list(enumerate(value))
    inside = [paths_in(element, (*path, key)) for key, element in items]
    return [(*path, key) for key, _ in items] + [
        element for paths in inside for element in paths
    ]


PATHS = paths_in(FULL)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([-9999.0, LOWEST, 1e308, 10**400, "", "-1", "token_id:5", "1e999"])
    | st.text(st.characters(), max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["token", "logprob", "bytes", "text", "prob", "7", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(
    replaced=st.lists(st.tuples(st.sampled_from(PATHS), ANYTHING), min_size=1, max_size=3),
    top=st.sampled_from([None, -1, 0, 1, 5]),
)
def test_anything_may_stand_anywhere(
    replaced: list[tuple[tuple[Any, ...], Any]], top: int | None
) -> None:
    """With any value in any field, limin returns a completion or raises its own error."""
    body = copy.deepcopy(FULL)
    for path, value in replaced:
        inside: Any = body
        try:
            for key in path[:-1]:
                inside = inside[key]
            inside[path[-1]] = value
        except (TypeError, KeyError, IndexError):
            continue  # An earlier replacement took the place away.
    look_at_everything(json.dumps(body).encode(), top)


@pytest.mark.parametrize("value", [None, True, -1, 10**400, math.nan, "4", [5], {"x": 5}])
@pytest.mark.parametrize("path", PATHS, ids=str)
def test_odd_value_at_each_path(path: tuple[Any, ...], value: object) -> None:
    """The same by plain examples, one field at a time."""
    body = copy.deepcopy(FULL)
    inside: Any = body
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    look_at_everything(json.dumps(body).encode(), 1)


@given(tokens=st.binary(max_size=60))
@example(tokens=b'{"token":"\xff","logprob":-1}')
@example(tokens=b'{"token":"a","logprob":1e999}')
@example(tokens=b'{"token":"a","logprob":-1e999}')
def test_any_bytes_instead_of_positions(tokens: bytes) -> None:
    """Whatever bytes stand in the list of tokens, limin answers or raises its own error."""
    body = b'{"choices":[{"message":{"content":"a"},"logprobs":{"content":[%b]}}]}' % tokens
    look_at_everything(body, 1)
