import json
import math
from collections.abc import Mapping, Sequence
from functools import partial

import attrs
import pytest
from builders import read_capture
from hypothesis import assume, given
from hypothesis import strategies as st
from json_values import Written, written

from limin.errors import JSONTextError
from limin.schemas.json_schema import JsonSchema
from limin.values.field_reader import read_fields
from limin.values.fields import FieldLogProbs
from limin.values.log_probs import Entry, LogProbs, Position

field = partial(FieldLogProbs, shares_tokens=False)


def of_tokens(
    tokens: Sequence[str | bytes], numbers: Sequence[float | None] | None = None
) -> LogProbs:
    """Log probabilities of *tokens*; without *numbers* those of position 3 are -3.0."""
    if numbers is None:
        numbers = [-float(index) for index in range(len(tokens))]
    positions = [
        Position(token, number)
        if isinstance(token, str)
        else Position(token.decode("utf-8", "replace"), number, list(token))
        for token, number in zip(tokens, numbers, strict=True)
    ]
    return LogProbs(lambda: (positions, ()))


def fields_of(
    tokens: Sequence[str | bytes], text: str | None = None
) -> list[FieldLogProbs]:
    """The fields of an answer, by default of the one that *tokens* spell."""
    log_probs = of_tokens(tokens)
    fields = read_fields(log_probs.text() if text is None else text, log_probs)
    assert fields is not None
    assert [f.path for f in fields.values()] == list(fields)
    return list(fields.values())


@pytest.mark.parametrize(
    ("tokens", "fields"),
    [
        (
            ['{"', "a", '":', ' "', "Par", "is", '"}'],
            [field(path="$.a", text="Paris", first=4, last=5, log_prob=-9.0)],
        ),
        (
            ["[", " 1", "2", ",", "\n", "true", " ", ",null", "]"],
            [
                field(path="$[0]", text="12", first=1, last=2, log_prob=-3.0),
                field(path="$[1]", text="true", first=5, last=5, log_prob=-5.0),
                field(
                    path="$[2]",
                    text="null",
                    first=7,
                    last=7,
                    log_prob=-7.0,
                    shares_tokens=True,
                ),
            ],
        ),
        (
            ["", "-1", ".5"],
            [field(path="$", text="-1.5", first=0, last=2, log_prob=-3.0)],
        ),
        (
            ["[", "1,2", "]"],
            [
                field(
                    path=f"$[{index}]",
                    text=text,
                    first=1,
                    last=1,
                    log_prob=-1.0,
                    shares_tokens=True,
                )
                for index, text in enumerate("12")
            ],
        ),
        (
            [b'"', b"\xc3", b"\xa9", b'\\u00e9"'],
            [
                field(
                    path="$",
                    text="é\\u00e9",
                    first=1,
                    last=3,
                    log_prob=-6.0,
                    shares_tokens=True,
                )
            ],
        ),
        (["{", "}"], []),
        (["[", "[]", "]"], []),
    ],
)
def test_fields(tokens: list[str | bytes], fields: list[FieldLogProbs]) -> None:
    """Each scalar has the tokens that spell it, and says whether it shares them."""
    assert fields_of(tokens) == fields


@pytest.mark.parametrize(
    ("tokens", "position"),
    [
        (['{"a":', '""', "}"], 1),
        (['{"a":', '"', '"', "}"], 2),
        (['{"a":"', '"}'], 1),
        (['{"a":""}'], 0),
    ],
)
def test_empty_string(tokens: list[str], position: int) -> None:
    """An empty string was decided by the token with its closing quotation mark."""
    assert fields_of(tokens) == [
        FieldLogProbs(
            path="$.a",
            text="",
            first=position,
            last=position,
            log_prob=-float(position),
            shares_tokens=True,
        )
    ]


@pytest.mark.parametrize(
    ("tokens", "first", "last"),
    [
        (["[", "2", "0", "]"], 1, 2),
        (["[", "", "20", "]"], 1, 2),
        (["[", "2", "", "0", "", "]"], 1, 3),
        (["", "[", "", "", " 20", "]", ""], 2, 4),
    ],
)
def test_token_without_text(tokens: list[str], first: int, last: int) -> None:
    """The text of a token that was held back stands in the next token with text."""
    assert fields_of(tokens) == [
        field(
            path="$[0]",
            text="20",
            first=first,
            last=last,
            log_prob=-float(sum(range(first, last + 1))),
        )
    ]


@pytest.mark.parametrize(
    ("text", "tokens", "first"),
    [
        ("[20]", ["[", "20", "]", "<|im_end|>"], 1),
        ("[20]", ["<think>", "[20]", "</think>", "\n", "[", "20", "]", "<|im_end|>"], 5),
        ("[20]\n", ["\n", "[", "20", "]"], 2),
        ("  [20]", ["[", "20", "]", "\n" * 9], 1),
        (" [20]", ["größer ", "als[", "20", "]"], 2),
        ("```json\n[20]\n```", ["```", "json", "\n[", "20", "]\n", "```"], 3),
        ('[20, "Grö\ufffd', [b"[", b"20", b", ", b'"Gr', b"\xc3\xb6", b"\xc3"], 1),
        ('[20, "Gr\ufffd', ["[", "20", ", ", '"Gr', "\ufffd"], 1),
    ],
)
def test_tokens_around_the_text(text: str, tokens: list[str | bytes], first: int) -> None:
    """Reasoning, white space, a fence and control tokens do not move a field."""
    assert fields_of(tokens, text) == [
        field(path="$[0]", text="20", first=first, last=first, log_prob=-float(first))
    ]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("[20]", ["[", "21", "]"]), ("[20]", []), ('["é"]', ['["', "\ufffd", '"]'])],
)
def test_tokens_that_do_not_spell_the_text(text: str, tokens: list[str]) -> None:
    """Of tokens that spell something else nothing is made up."""
    assert read_fields(text, of_tokens(tokens)) is None


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ('{"a": 1, "b": [true, "Par', ["$.a", "$.b[0]"]),
        ('{"a": 1, "b": 12', ["$.a"]),
        ('{"a": 1, "b', ["$.a"]),
        ('{"a": tru', []),
        ("12", ["$"]),
        ("-", []),
        ('"Par', []),
        ("", []),
        (" \n", []),
    ],
)
def test_answer_that_was_cut_off(text: str, paths: list[str]) -> None:
    """The scalars that are closed are there, and never half a word or number."""
    fields = read_fields(text, of_tokens(list(text)))
    assert fields is not None
    assert list(fields) == paths


def test_repeated_key() -> None:
    """Of repeated keys the last counts, with all that was in the one before gone."""
    fields = fields_of(list('{"a":{"b":1},"c":2,"a":3}'))
    assert [(f.path, f.text) for f in fields] == [("$.c", "2"), ("$.a", "3")]


@pytest.mark.parametrize("text", ["Sure!", '{"a": 1} and more', "[01]"])
def test_answer_that_is_no_json(text: str) -> None:
    """An answer without fields is an error that says what is wrong with it."""
    with pytest.raises(JSONTextError, match=r"expected .* at character"):
        read_fields(text, of_tokens([text]))


@pytest.mark.parametrize(("count", "is_read"), [(900, True), (1100, False)])
def test_long_paths(count: int, *, is_read: bool) -> None:
    """A long key above many scalars is refused, since its paths would fill the memory."""
    text = json.dumps({"a" * 1000: [0] * count})
    log_probs = of_tokens([text])
    if is_read:
        assert len(read_fields(text, log_probs) or ()) == count
    else:
        with pytest.raises(
            JSONTextError, match="expected paths of fewer characters in all"
        ):
            read_fields(text, log_probs)


@pytest.mark.parametrize(
    ("numbers", "log_prob"),
    [
        ([None, -1.0, -2.0, None], -3.0),
        ([0.0, None, -2.0, 0.0], None),
        ([0.0, -math.inf, -2.0, 0.0], -math.inf),
        ([0.0, -0.1, -0.2, 0.0], -0.1 + -0.2),
    ],
)
def test_numbers(numbers: list[float | None], log_prob: float | None) -> None:
    """Only the numbers of a field's own tokens count; what is not known stays unknown."""
    fields = read_fields("[20]", of_tokens(["[", "2", "0", "]"], numbers))
    assert fields is not None
    assert fields["$[0]"].log_prob == log_prob
    expected = None if log_prob is None else pytest.approx(math.exp(log_prob))
    assert fields["$[0]"].prob == expected


def test_captured_answer() -> None:
    """In a real answer of vLLM the fields are those of its JSON."""
    completion = read_capture("readings/vllm-0.32.0-rf_schema_logprobs")
    assert completion.log_probs is not None
    fields = read_fields(completion.message, completion.log_probs)
    assert fields is not None
    assert {path: f.text for path, f in fields.items()} == {
        "$.name": "Erykos",
        "$.age": "20",
    }
    tokens = completion.log_probs.sampled
    for found in fields.values():
        own = tokens[found.first : found.last + 1]
        assert "".join(token.token for token in own).strip() == found.text
        assert found.log_prob == pytest.approx(sum(token.log_prob or 0.0 for token in own))
        assert not found.shares_tokens


@attrs.frozen
class Tokenized:
    """A JSON text in tokens, and the log probability of each."""

    json_text: Written
    tokens: list[bytes]
    numbers: list[float | None]


@st.composite
def tokenized(draw: st.DrawFn) -> Tokenized:
    """A random JSON text in random tokens, cut inside characters too, some empty."""
    json_text = draw(written())
    data = json_text.text.encode()
    places = draw(st.lists(st.integers(0, len(data)), max_size=2 * len(data)))
    ends = sorted(places)
    tokens = [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]
    # Multiples of a power of two have exact sums.
    number = st.integers(-80, 0).map(lambda n: n / 8)
    numbers = st.lists(number | st.none(), min_size=len(tokens), max_size=len(tokens))
    exact = st.lists(number, min_size=len(tokens), max_size=len(tokens))
    return Tokenized(json_text, tokens, draw(exact | numbers))


def expected_fields(text: Tokenized) -> Mapping[str, FieldLogProbs]:
    """The fields of *text*, byte by byte."""
    owners = [index for index, token in enumerate(text.tokens) for _ in token]
    data = b"".join(text.tokens)
    fields: dict[str, FieldLogProbs] = {}
    for scalar in text.json_text.scalars:
        start = len(text.json_text.text[: scalar.start].encode())
        end = start + len(scalar.text.encode())
        own = owners[start:end] or [owners[end]]
        first, last = own[0], own[-1]
        while first and not text.tokens[first - 1]:
            first -= 1
        numbers = text.numbers[first : last + 1]
        known = [number for number in numbers if number is not None]
        beside = {
            data[place]
            for place, owner in enumerate(owners)
            if first <= owner <= last and not start <= place < end
        }
        fields[scalar.path] = FieldLogProbs(
            path=scalar.path,
            text=scalar.text,
            first=first,
            last=last,
            log_prob=sum(known) if len(known) == len(numbers) else None,
            shares_tokens=bool(beside - set(b" \t\n\r")),
        )
    return fields


@given(tokenized())
def test_every_scalar_once(text: Tokenized) -> None:
    """However an answer is cut into tokens, each scalar has exactly its own."""
    log_probs = of_tokens(text.tokens, text.numbers)
    fields = read_fields(text.json_text.text, log_probs)
    assert fields == expected_fields(text)
    assert list(fields or ()) == [scalar.path for scalar in text.json_text.scalars]
    assert len(fields or ()) == len(text.json_text.scalars)


@given(tokenized(), st.integers(0, 1000))
def test_beginning_of_an_answer(text: Tokenized, length: int) -> None:
    """The fields of an answer that was cut off are the first of the whole one."""
    log_probs = of_tokens(text.tokens, text.numbers)
    whole = text.json_text.text
    part = whole[: length % len(whole)]
    assume(whole.strip()[0] in "{[")  # Half a number that stands alone is a number.
    all_fields = list((read_fields(whole, log_probs) or {}).values())
    found = read_fields(part, of_tokens([part.encode()], [0.0]))
    assert found is not None
    texts = [(f.path, f.text) for f in found.values()]
    assert texts == [(f.path, f.text) for f in all_fields[: len(texts)]]


def test_fields_of_a_wrapped_value_are_those_of_the_value() -> None:
    """What stands beside the value in the object around it is no field of it."""
    text = '{"x": 1, "value": {"a": 2}, "values": 3}'
    schema = JsonSchema(dict[str, int] | None)
    fields = read_fields(text, of_tokens(text), schema)
    assert fields is not None
    assert [(f.path, f.text, f.distribution) for f in fields.values()] == [
        ("$.a", "2", None)
    ]


@pytest.mark.parametrize("values", [[1, True], [1, 1.5], [0, False, None]])
def test_values_that_cannot_be_told_apart_have_no_distribution(
    values: list[object],
) -> None:
    """A schema of the user's own may allow what no decision is about."""
    schema = JsonSchema({"type": "object", "properties": {"a": {"enum": values}}})
    listed = [Entry("1", -0.5)]
    positions = [Position(t, -0.5, None, None, listed) for t in ('{"a":', "1", "}")]
    log_probs = LogProbs(lambda: (positions, ()))
    fields = read_fields('{"a":1}', log_probs, schema)
    assert fields is not None
    assert fields["$.a"].distribution is None


def test_without_alternatives_there_is_no_distribution() -> None:
    """Nothing is known of the values that were not written."""
    schema = JsonSchema({"type": "object", "properties": {"a": {"enum": [1, 2]}}})
    fields = read_fields('{"a":1}', of_tokens('{"a":1}'), schema)
    assert fields is not None
    assert fields["$.a"].distribution is None
