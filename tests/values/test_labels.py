from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from answer_trees import END, STYLES, Model, listing, so_far, value_of
from builders import capture, read
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from limin.errors import ConfigurationError
from limin.values.labels.probs import field_probs, label_probs
from limin.values.tokens import TokenLogProb, TokenPosition
from limin.values.warnings import WarningCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from limin.values.decisions import Decision

THUMB = "👍".encode()
IS = "是".encode()
PIECES = [
    *(b" ", b'"', b"*", b"(", b" (", b'"Y', b"y", b"ye", b"yes", b"Yes", b" yes", b"s"),
    *(b"yes,", b"n", b"no", b"o", b"not", b".", b"1", b"0", b"10", b"00", b"1 ", b" 1"),
    *(THUMB, b"\xf0", b"\xf0\x9f", b"\x9f", b"\x91", b"\x91\x8d", b"\x8d", b"\x8e"),
    *(IS, b"\xe6", b"\xe6\x98", b"\xaf", "不".encode(), "不是".encode(), b"\xe4\xb8"),
]
TEXTS = ["yes", "No", "y", "not", "no.", "1", "10", "100", "👍", "👎", "是", "不是", "1 1"]

models = st.builds(
    Model,
    st.lists(st.sampled_from(PIECES), min_size=2, max_size=6, unique=True).map(
        lambda pieces: (*pieces, END)
    ),
    st.integers(0, 2**32),
    st.integers(1, 4),
)
label_lists = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=5, unique=True)


def spoiled(positions: list[TokenPosition], seed: int) -> list[TokenPosition]:
    """*positions* with numbers that are lost, listed twice, or rounded."""
    chance = random.Random(seed)  # noqa: S311 (the same each time)

    def spoil(token: TokenLogProb) -> list[TokenLogProb]:
        fate = chance.random()
        if fate < 0.1:
            return [attrs.evolve(token, log_prob=None)]
        return [token, token] if fate < 0.2 else [token]

    return [
        attrs.evolve(p, alternatives=tuple(t for a in p.alternatives for t in spoil(a)))
        for p in positions
    ]


@settings(max_examples=300, deadline=None)
@given(
    model=models,
    labels=label_lists,
    style=st.sampled_from(STYLES),
    k=st.integers(0, 8),
    fold=st.booleans(),
    spoil=st.none() | st.integers(0, 99),
)
def test_bounds_hold(
    *, model: Model, labels: list[str], style: str, k: int, fold: bool, spoil: int | None
) -> None:
    """Whatever a server cuts off, the truth is between the bounds."""
    # vLLM leaves a broken character out of the texts of its tokens.
    assume(style != "vllm" or "\ufffd" not in so_far(model.sample()))
    positions = listing(model, style, k)
    if spoil is not None:
        positions = spoiled(positions, spoil)
    decision = label_probs(positions, labels, fold=fold)
    truth = model.truth(labels, fold=fold)
    for label in labels:
        assert decision.low[label] <= truth[label] + 1e-9
        assert truth[label] <= decision.high[label] + 1e-9
    assert decision.other <= truth[None] + 1e-9
    undecided = decision.unfinished + decision.ambiguous + decision.unlisted
    assert truth[None] <= decision.other + undecided + 1e-9
    assert decision.mass + undecided + decision.other == pytest.approx(1.0)
    turned = label_probs(positions, labels[::-1], fold=fold)
    assert turned.low == decision.low
    assert turned.high == decision.high


@settings(max_examples=100, deadline=None)
@given(
    model=models,
    numbers=st.sets(st.sampled_from([1, 10, 100, 0, 110, 11]), min_size=1),
    style=st.sampled_from(STYLES),
    k=st.integers(0, 8),
)
def test_expected_bounds_hold(model: Model, numbers: set[int], style: str, k: int) -> None:
    """The true mean over the labels is between the bounds of the mean."""
    decision = label_probs(listing(model, style, k), sorted(numbers))
    truth = model.truth([str(n) for n in numbers], fold=True)
    mass = sum(truth[str(n)] for n in numbers)
    if mass > 1e-9:
        mean = sum(n * truth[str(n)] for n in numbers) / mass
        assert decision.expected_low is not None
        assert decision.expected_high is not None
        assert decision.expected_low - 1e-6 <= mean <= decision.expected_high + 1e-6
    if decision.expected is not None:
        assert decision.expected_low is not None
        assert decision.expected_high is not None
        assert decision.expected_low - 1e-9 <= decision.expected
        assert decision.expected <= decision.expected_high + 1e-9


JSON_PIECES = [
    b"a",
    b"b",
    b"ab",
    b'"',
    b'a"',
    b"\\",
    b'\\"',
    b"u0061",
    b"\\u00",
    b"62",
    b",",
]
JSON_PIECES += [b"\\n"]
JSON_TEXTS = ["", "a", "ab", "b", "aa", 'a"', "\\", "ab,"]

json_models = st.builds(
    Model,
    st.lists(st.sampled_from(JSON_PIECES), min_size=2, max_size=6, unique=True).map(tuple),
    st.integers(0, 2**32),
    st.integers(1, 4),
)


@settings(max_examples=200, deadline=None)
@given(
    model=json_models,
    values=st.lists(st.sampled_from(JSON_TEXTS), min_size=1, unique=True),
    k=st.integers(0, 8),
)
def test_bounds_of_fields_hold(model: Model, values: list[str], k: int) -> None:
    """Whatever a server cuts off, the truth of a field of JSON is between the bounds."""
    decision = field_probs(listing(model, "openai", k), values, first=0, is_quoted=True)
    truth = dict.fromkeys([*values, None], 0.0)
    for answer, prob in model.answers():
        truth[value_of(answer, values)] += prob
    for value in values:
        assert decision.low[value] <= truth[value] + 1e-9
        assert truth[value] <= decision.high[value] + 1e-9
    assert decision.other <= truth[None] + 1e-9


def token(
    text: str | bytes, prob: float | None = None, number: int | None = None
) -> TokenLogProb:
    """A token with its bytes; bytes that are no text are written as llama.cpp does."""
    data = text.encode() if isinstance(text, str) else text
    shown = data.decode("utf-8", "ignore")
    log_prob = None if prob is None else math.log(prob)
    return TokenLogProb(shown, log_prob, data, number)


def position(sampled: str | bytes, listed: Mapping[Any, float]) -> TokenPosition:
    """A position whose sampled token is *listed*."""
    return TokenPosition(
        sampled=token(sampled, listed.get(sampled, 0.1)),
        alternatives=tuple(token(text, prob) for text, prob in listed.items()),
    )


def parts(decision: Decision[str] | Decision[int]) -> list[float]:
    """What the probability is divided into: low, unfinished, ambiguous, unlisted, other."""
    numbers = [decision.mass, decision.unfinished, decision.ambiguous]
    return [round(n, 9) for n in (*numbers, decision.unlisted, decision.other)]


# The first token, and the labels; what part of its probability, 0.5, is added to.
ONE_TOKEN = {
    "a label": ("yes", ["yes", "no"], "low"),
    "another case": ("YES", ["Yes", "no"], "low"),
    "a blank before": (" yes", ["yes", "no"], "low"),
    "two blanks and a line": (" \n yes", ["yes", "no"], "low"),
    "a blank in the raw form of BPE": ("Ġyes", ["yes", "no"], "low"),
    "a blank in the raw form of SentencePiece": ("▁yes", ["yes", "no"], "low"),
    "a quotation mark": ('"yes', ["yes", "no"], "low"),
    "markup": ("**yes", ["yes", "no"], "low"),
    "a bracket": ("(B", ["A", "B"], "low"),
    "a bracket behind": ("B)", ["A", "B"], "low"),
    "punctuation behind": ("yes.", ["yes", "no"], "low"),
    "a sentence behind": ("yes, it is", ["yes", "no"], "low"),
    "a longer word": ("And", ["A", "B"], "other"),
    "a longer number": ("10", range(1, 6), "other"),
    "a number": ("3", range(1, 6), "low"),
    "a number behind a hash": ("#3", range(1, 6), "low"),
    "a negative number": ("-3", range(1, 6), "other"),
    "a negative label": ("-1", range(-1, 2), "low"),
    "a dash in a list": ("- yes", ["yes", "no"], "low"),
    "a label that begins with a mark": ('"yes', ['"yes', "no"], "low"),
    "no label": ("maybe", ["yes", "no"], "other"),
    "the beginning of one": ("y", ["yes", "no"], "unfinished"),
    "the beginning of two": ("p", ["positive", "perhaps"], "ambiguous"),
    "a label that begins another": ("1", range(1, 11), "ambiguous"),
    "a label that no other begins with": ("10", range(1, 11), "low"),
    "a label that is ended, and begins another": ("1.", range(1, 11), "low"),
    "a word of two words": ("New York", ["New", "New York"], "low"),
    "one of two words": ("New", ["New", "New York"], "ambiguous"),
    "one of two words, and a blank": ("New ", ["New", "New York"], "ambiguous"),
    "only a blank": (" ", ["yes", "no"], "unlisted"),
    "only markup": ("**", ["yes", "no"], "unlisted"),
    "no text, of an unknown kind": ("", ["yes", "no"], "unlisted"),
    "a control token in words": ("<|im_end|>", ["yes", "no"], "other"),
    "emoji": ("👍", ["👍", "👎"], "low"),
    "emoji with another skin": ("👍🏽", ["👍", "👎"], "low"),
    "emoji in a plain form": ("❤", ["❤️", "no"], "low"),
    "emoji joined to another": ("👩\u200d⚕", ["👩", "no"], "other"),
    "a letter with an accent of its own": ("o\u0301", ["o", "a"], "other"),
    "a part of two emoji": (b"\xf0\x9f\x91", ["👍", "👎"], "ambiguous"),
    "a part of one emoji": (b"\xf0\x9f\x91", ["👍", "no"], "unfinished"),
    "a part of no emoji": (b"\xf0\x9f\x91", ["yes", "no"], "other"),
    "a part of a quotation mark": (b"\xe2\x80", ["yes", "no"], "unlisted"),
    "a part of a small letter": (b"\xd1", ["Россия", "no"], "unfinished"),
    "a part of a large letter": (b"\xd0", ["россия", "no"], "unfinished"),
    "a part of a form of K": (b"\xe2\x84", ["kelvin", "no"], "unfinished"),
    "a part of a selector": (b"\xef\xb8", ["yes", "no"], "unlisted"),
    "a label and a part of a letter": (b"no\xc3", ["no", "yes"], "unfinished"),
    "a label and a part of a selector": ("❤".encode() + b"\xef", ["❤", "❤x"], "ambiguous"),
    "bytes that are no text": (b"\x91yes", ["yes", "no"], "other"),
    "Chinese": ("是", ["是", "不是"], "low"),
    "Chinese, and more": ("是的", ["是", "不是"], "low"),
    "a letter before Chinese": ("B选项", ["A", "B"], "low"),
    "a letter before Korean": ("B입니다", ["A", "B"], "low"),
    "a part of Chinese": (b"\xe4\xb8", ["是", "不是"], "unfinished"),
}


@pytest.mark.parametrize(("text", "labels", "part"), ONE_TOKEN.values(), ids=ONE_TOKEN)
def test_one_token(text: str | bytes, labels: list[str], part: str) -> None:
    """One token is what its text makes of the labels."""
    decision = label_probs([position("zzz", {"zzz": 0.3, text: 0.5})], labels)
    names = ["low", "unfinished", "ambiguous", "unlisted", "other"]
    rest = {"unlisted": 0.2, "other": 0.3}
    expected = [rest.get(name, 0.0) + 0.5 * (name == part) for name in names]
    assert parts(decision) == pytest.approx(expected)


EXACT = {
    "the very text": ("yes", ["yes", "no"], "low"),
    "another case": ("Yes", ["yes", "no"], "other"),
    "a blank before": (" yes", ["yes", "no"], "other"),
    "a blank that is of the label": (" yes", [" yes", "no"], "low"),
    "a blank that may be of the label": (" ", [" yes", "no"], "unfinished"),
    "labels of two cases": ("Yes", ["yes", "Yes"], "low"),
    "a part of a letter of another case": (b"\xd0", ["россия", "no"], "other"),
    "a plain form": ("❤", ["❤️", "no"], "unfinished"),
}


@pytest.mark.parametrize(("text", "labels", "part"), EXACT.values(), ids=EXACT)
def test_one_token_unfolded(text: str | bytes, labels: list[str], part: str) -> None:
    """Without folding the answer begins with the very text of the label."""
    decision = label_probs([position("zzz", {"zzz": 0.3, text: 0.5})], labels, fold=False)
    names = ["low", "unfinished", "ambiguous", "unlisted", "other"]
    rest = {"unlisted": 0.2, "other": 0.3}
    expected = [rest.get(name, 0.0) + 0.5 * (name == part) for name in names]
    assert parts(decision) == pytest.approx(expected)


def test_spellings_are_one_label() -> None:
    """Spellings add up, and what else is possible is in the upper bounds."""
    listed = {"Yes": 0.4, " yes": 0.1, "No": 0.2, "N": 0.05, "The": 0.1}
    decision = label_probs([position("Yes", listed)], ["yes", "no"])
    assert decision.low == pytest.approx({"yes": 0.5, "no": 0.2})
    assert decision.high == pytest.approx({"yes": 0.65, "no": 0.4})
    assert parts(decision) == pytest.approx([0.7, 0.05, 0.0, 0.15, 0.1])
    assert decision.probs == pytest.approx({"yes": 5 / 7, "no": 2 / 7})
    assert decision.label == "yes"
    assert decision.is_certain
    assert decision.agrees
    assert decision.argmax_is_label
    assert decision.position == 0
    assert decision.warnings == ()


def test_blank_before_a_digit() -> None:
    """The probability of a blank multiplies, and what it leaves aside stays open."""
    blank = position(" ", {" ": 0.8, "4": 0.1, "A": 0.05})
    digit = position("4", {"4": 0.5, "3": 0.25, "x": 0.125})
    decision = label_probs([blank, digit], range(1, 6))
    assert decision.low == pytest.approx({1: 0, 2: 0, 3: 0.2, 4: 0.5, 5: 0})
    assert parts(decision) == pytest.approx([0.7, 0, 0, 0.05 + 0.1, 0.05 + 0.1])
    assert decision.high[1] == pytest.approx(0.15)
    assert decision.position == 1


def test_next_position_tells_a_prefix() -> None:
    """Behind `1` the next position tells 1 from 10; what it leaves open is one of them."""
    one = position("1", {"1": 0.8, "2": 0.2})
    after = position("0", {"0": 0.5, ".": 0.25, "th": 0.125})
    decision = label_probs([one, after], range(1, 11))
    assert decision.low[10] == pytest.approx(0.4)
    assert decision.low[1] == pytest.approx(0.3)
    assert decision.low[2] == pytest.approx(0.2)
    assert parts(decision) == pytest.approx([0.9, 0, 0.1, 0, 0])
    assert decision.high[1] == pytest.approx(0.4)
    assert decision.high[10] == pytest.approx(0.5)
    assert decision.high[2] == pytest.approx(0.2)
    assert decision.label == 10
    assert decision.agrees is True


def test_label_of_three_tokens() -> None:
    """A label is followed along the sampled tokens, and bounded elsewhere."""
    answer = [
        position("An", {"An": 0.5, "Lon": 0.3, "Paris": 0.2}),
        position("tan", {"tan": 0.5, "d": 0.5}),
        position("arivo", {"arivo": 0.5, "": 0.2}),
    ]
    decision = label_probs(answer, ["Paris", "London", "Antanarivo"])
    assert decision.low == pytest.approx({"Paris": 0.2, "London": 0, "Antanarivo": 0.125})
    assert decision.high == pytest.approx({"Paris": 0.2, "London": 0.3, "Antanarivo": 0.25})
    assert decision.agrees is False
    assert [w.code for w in decision.warnings] == [
        WarningCode.LABEL_MASS_LOW,
        WarningCode.TEXT_DISAGREES,
    ]


def test_sampled_token_beside_the_list() -> None:
    """A sampled token that is not listed counts, and one that is counts once."""
    beside = TokenPosition(
        sampled=token("yes", 0.1), alternatives=(token("no", 0.6), token("No", 0.1))
    )
    decision = label_probs([beside], ["yes", "no"])
    assert decision.low == pytest.approx({"yes": 0.1, "no": 0.7})
    assert decision.unlisted == pytest.approx(0.2)
    assert decision.agrees is False


DUPLICATES = {
    "without ids": (token("yes", 0.3), token("yes", 0.3)),
    "the same id": (token("yes", 0.3, 5), token("yes", 0.4, 5)),
    "an id of the sampled one alone": (token("yes", 0.3, 5), token("yes", 0.3)),
    "an id of the listed one alone": (token("yes", 0.3), token("yes", 0.3, 5)),
    "one whose probability is not known": (token("yes", None, 5), token("yes", 0.3, 5)),
    "another whose probability is not known": (token("yes", 0.3, 5), token("yes", None, 5)),
}


@pytest.mark.parametrize(("first", "second"), DUPLICATES.values(), ids=DUPLICATES)
def test_token_listed_twice(first: TokenLogProb, second: TokenLogProb) -> None:
    """A token counts once, with the least that the server said of it."""
    decision = label_probs([TokenPosition(sampled=first, alternatives=(second,))], ["yes"])
    assert decision.low["yes"] == pytest.approx(0.3)
    assert decision.unlisted == pytest.approx(0.7)


def test_two_tokens_of_one_text() -> None:
    """Two tokens with ids of their own count both."""
    both = TokenPosition(
        sampled=token("yes", 0.3, 5),
        alternatives=(token("yes", 0.3, 5), token("yes", 0.2, 6)),
    )
    assert label_probs([both], ["yes"]).low["yes"] == pytest.approx(0.5)


def test_token_without_a_log_probability() -> None:
    """What the server did not tell is open, and no number is made up."""
    lost = TokenPosition(
        sampled=token("yes"), alternatives=(token("no", 0.3), TokenLogProb("a", math.nan))
    )
    decision = label_probs([lost, position("x", {"x": 1.0})], ["yes", "no"])
    assert decision.low == pytest.approx({"yes": 0.0, "no": 0.3})
    assert decision.high == pytest.approx({"yes": 0.7, "no": 1.0})


def test_no_chance() -> None:
    """Minus infinity, the sentinel of servers, is no chance."""
    never = TokenLogProb("yes", -math.inf)
    decision = label_probs([TokenPosition(sampled=never)], ["yes", "no"])
    assert parts(decision) == [0, 0, 0, 1, 0]
    assert decision.argmax_is_label is None


@pytest.mark.parametrize("numbers", [(0.9, 0.9), (3.0, 0.1)], ids=["sum", "logit"])
def test_numbers_that_are_no_probabilities(numbers: tuple[float, float]) -> None:
    """From numbers that cannot be probabilities nothing follows."""
    first, second = numbers
    odd = TokenPosition(sampled=token("yes", first), alternatives=(token("no", second),))
    assert parts(label_probs([odd], ["yes", "no"])) == [0, 0, 0, 1, 0]


def test_rounding_above_one() -> None:
    """Numbers that are a little too large are scaled down."""
    rounded = TokenPosition(
        sampled=token("yes", 1.0000001), alternatives=(token("no", 0.0005),)
    )
    decision = label_probs([rounded], ["yes", "no"])
    assert parts(decision) == pytest.approx([1, 0, 0, 0, 0])
    assert decision.low["yes"] < 1.0


def test_alternatives_of_the_position_before() -> None:
    """Stale alternatives say nothing about a position."""
    listed = {" ": 0.5, "1": 0.3}
    stale = TokenPosition(
        sampled=token("1", 0.9), alternatives=tuple(token(t, p) for t, p in listed.items())
    )
    decision = label_probs([position(" ", listed), stale], ["1", "2"])
    assert decision.low == pytest.approx({"1": 0.3 + 0.45, "2": 0.0})
    again = label_probs([position("x", listed), stale], ["1", "2"], start=1)
    assert again.low == pytest.approx({"1": 0.9, "2": 0.0})


def test_answer_that_begins_later() -> None:
    """`start` leaves the tokens before it aside."""
    answer = [position("So:", {"So:": 0.1}), position(" B", {" B": 0.6, " A": 0.4})]
    decision = label_probs(answer, ["A", "B"], start=1)
    assert decision.low == pytest.approx({"A": 0.4, "B": 0.6})
    assert decision.position == 1
    assert label_probs(answer, ["A", "B"], start=9).unlisted == 1.0


NOTHING = {
    "no position": [],
    "only marks": [position("*", {"*": 1.0}), position(" ", {" ": 1.0})],
    "only an id": [TokenPosition(sampled=TokenLogProb("", -0.1, None, 5))],
    "an id in the place of the text": [
        TokenPosition(sampled=TokenLogProb("token_id:5", -0.1, None, 5))
    ],
    "U+FFFD": [TokenPosition(sampled=TokenLogProb("\ufffd", -0.1))],
    "the bytes of U+FFFD": [position("\ufffd", {"\ufffd": 0.9})],
    "an escape": [TokenPosition(sampled=TokenLogProb("\\xf0\\x9f", -0.1))],
    "half of a pair": [TokenPosition(sampled=TokenLogProb("\ud83d", -0.1))],
}


@pytest.mark.parametrize("answer", NOTHING.values(), ids=NOTHING)
def test_nothing_known(answer: list[TokenPosition]) -> None:
    """Of a text that is not known everything is possible."""
    decision = label_probs(answer, ["yes", "no"])
    assert parts(decision) == [0, 0, 0, 1, 0]
    assert decision.high == {"yes": 1.0, "no": 1.0}
    assert decision.label is None
    assert decision.agrees is None
    assert decision.argmax_is_label is None
    assert decision.position is None
    assert [w.code for w in decision.warnings] == [WarningCode.LABEL_MASS_LOW]


def test_text_without_bytes() -> None:
    """A server that sends no bytes is read by the texts."""
    answer = [TokenPosition(sampled=TokenLogProb("Yes", math.log(0.9)))]
    assert label_probs(answer, ["yes"]).low["yes"] == pytest.approx(0.9)


def test_end_of_the_text_at_llama_cpp() -> None:
    """There the end of the text has an id and no text, and is no blank."""
    end = token("", 0.75, 2)
    one, zero = token("1", 0.8, 5), token("0", 0.25, 6)
    answer = [
        TokenPosition(sampled=one, alternatives=(one, token("", 0.2, 2))),
        TokenPosition(sampled=end, alternatives=(end, zero)),
    ]
    decision = label_probs(answer, range(1, 11))
    assert decision.low[1] == pytest.approx(0.6)
    assert decision.low[10] == pytest.approx(0.2)
    assert decision.other == pytest.approx(0.2)
    assert decision.agrees is True
    unlisted = [answer[0], TokenPosition(sampled=end, alternatives=(zero,))]
    assert label_probs(unlisted, range(1, 11)).low == decision.low
    more = [*unlisted, TokenPosition(sampled=one, alternatives=(one,))]
    assert label_probs(more, range(1, 11)).low[1] == 0.0


def test_end_inside_a_character() -> None:
    """A label before a character that never ends has ended."""
    end = token("", 1.0, 2)
    no = token(b"no\xc3", 1.0, 5)
    answer = [
        TokenPosition(sampled=no, alternatives=(no,)),
        TokenPosition(sampled=end, alternatives=(end,)),
    ]
    decision = label_probs(answer, ["no", "yes"])
    assert decision.low == {"no": 1.0, "yes": 0.0}
    quote = token(b"\xe2\x80", 1.0, 5)
    begun = [TokenPosition(sampled=quote, alternatives=(quote,)), answer[1]]
    assert label_probs(begun, ["no", "yes"]).other == 1.0


def test_character_behind_a_label_goes_on_with_it() -> None:
    """`no` and the first byte of `é`: the next token makes it another word, or not."""
    no = position(b"no\xc3", {b"no\xc3": 1.0})
    letter = label_probs([no, position(b"\xa9", {b"\xa9": 1.0})], ["no", "yes"])
    assert letter.other == 1.0
    sign = label_probs([no, position(b"\x97", {b"\x97": 1.0})], ["no", "yes"])
    assert sign.low["no"] == 1.0


def test_emoji_of_two_tokens() -> None:
    """Bytes of tokens that end inside a character join to a label."""
    first, up, down = b"\xf0\x9f\x91", b"\x8d", b"\x8e"
    answer = [position(first, {first: 0.5, "no": 0.5}), position(up, {up: 0.6, down: 0.4})]
    decision = label_probs(answer, ["👍", "👎"])
    assert decision.low == pytest.approx({"👍": 0.3, "👎": 0.2})
    assert decision.argmax_is_label


def test_emoji_at_vllm() -> None:
    """VLLM has no text for the first tokens of a character; the sampled one is known."""
    first = TokenLogProb("", math.log(0.5), b"")
    second = TokenLogProb("", math.log(0.1), b"")
    thumb = token("👍", 0.6)
    answer = [
        TokenPosition(sampled=first, alternatives=(first, second, token("no", 0.3))),
        TokenPosition(sampled=thumb, alternatives=(thumb, token("👎", 0.3))),
    ]
    decision = label_probs(answer, ["👍", "👎"])
    assert decision.low == pytest.approx({"👍": 0.3, "👎": 0.0})
    assert parts(decision) == pytest.approx([0.3, 0, 0, 0.4, 0.3])
    assert decision.agrees
    broken = [answer[0], position("no", {"no": 1.0})]
    assert label_probs(broken, ["no", "yes"]).low["no"] == pytest.approx(0.3)


JOINED = {
    "listed": (token("👍", 0.9, 7), (token(b"\x8d", 0.9, 7), token(b"\x8e", 0.1, 8))),
    "not listed": (token("👍", 0.1, 7), (token("!", 0.9, 1),)),
    "not listed, without ids": (token("👍", 0.1), (token(b"\x8e", 0.9),)),
}


@pytest.mark.parametrize(("sampled", "listed"), JOINED.values(), ids=JOINED)
def test_emoji_at_llama_cpp(
    sampled: TokenLogProb, listed: tuple[TokenLogProb, ...]
) -> None:
    """llama.cpp joins the tokens of a character, and loses all numbers but the last's."""
    decision = label_probs([TokenPosition(sampled=sampled, alternatives=listed)], ["👍"])
    assert parts(decision) == [0, 0, 0, 1, 0]


def test_text_held_back_at_llama_cpp() -> None:
    """Text that may become a `stop` text moves to the next token; the list has it right."""
    blank, digit = token(" ", 0.5, 3), token("2", 0.5, 4)
    held = TokenPosition(sampled=token("", 0.5, 3), alternatives=(blank,))
    moved = TokenPosition(sampled=token(" 2", 0.5, 4), alternatives=(digit,))
    decision = label_probs([held, moved], ["1", "2"])
    assert decision.low == pytest.approx({"1": 0, "2": 0.25})
    assert decision.position == 1
    assert decision.agrees
    lost = label_probs([moved], ["1", "2"])
    assert parts(lost) == [0, 0, 0, 1, 0]


# What one position of a real answer says: the capture, the position, the labels, the lows.
CAPTURES = {
    "an emoji at vLLM": (
        "vllm-0.32.0-logprobs_emoji",
        0,
        {"🦊": math.exp(-1.866 - 0.081 - 0.106), "I": math.exp(-2.866)},
    ),
    "an emoji at llama.cpp": ("llama.cpp-b11549-logprobs_emoji", 0, {"🦊": 0.0, "I": 0.0}),
    "a word at llama.cpp": (
        "llama.cpp-b11549-logprobs_top5_greedy",
        0,
        {"the": math.exp(-1.531), "two": math.exp(-2.503), "those": 0.0},
    ),
    "a word behind a blank": (
        "llama.cpp-b11549-logprobs_top5_greedy",
        1,
        {"answer": math.exp(-0.605), "concept": math.exp(-3.03), "an": 0.0},
    ),
}


@pytest.mark.parametrize(("name", "start", "low"), CAPTURES.values(), ids=CAPTURES)
def test_capture(name: str, start: int, low: dict[str, float]) -> None:
    """Real servers list what the conventions say."""
    completion = read(capture(name)["body"], asks_log_probs=True, top_log_probs=5)
    assert completion.log_probs is not None
    decision = label_probs(completion.log_probs, list(low), start=start)
    assert decision.low == pytest.approx(low, abs=2e-4)
    assert all(decision.low[label] <= decision.high[label] for label in low)


ARGMAX = {
    "a label": ({"yes": 0.5, "The": 0.3}, True),
    "the beginning of one": ({"y": 0.5, "yes": 0.1}, True),
    "no label": ({"yes": 0.3, "The": 0.5}, False),
    "a mark": ({"yes": 0.3, " ": 0.5}, None),
    "one of two": ({"yes": 0.4, "The": 0.4}, True),
    "the only one, and likely": ({"yes": 0.5}, True),
    "the only one, and unlikely": ({"yes": 0.4}, None),
}


@pytest.mark.parametrize(("listed", "expected"), ARGMAX.values(), ids=ARGMAX)
def test_argmax(*, listed: dict[str, float], expected: bool | None) -> None:
    """The likeliest token is or begins a label, or does not, or cannot be known."""
    sampled = "yes" if "y" not in listed else "y"
    decision = label_probs([position(sampled, listed)], ["yes", "no"])
    assert decision.argmax_is_label is expected
    codes = [warning.code for warning in decision.warnings]
    assert (WarningCode.LIKELIEST_IS_NO_LABEL in codes) is (expected is False)


# The tokens of an answer; whether its text is the label that is sure of something.
AGREES = {
    "the label": (["yes"], True),
    "the label and more": (["yes", ",", " it", " is"], True),
    "another word": (["yes", "ter", "day"], False),
    "marks before": (["*", " *", "yes", "!"], True),
    "a text without end": (["*"] * 50 + ["yes", "."], True),
    "an unknown text behind": (["yes", "\ufffd"], None),
}


@pytest.mark.parametrize(("tokens", "expected"), AGREES.values(), ids=AGREES)
def test_text_agrees(*, tokens: list[str], expected: bool | None) -> None:
    """The text is the label if it ends there as a word, whatever its tokens are."""
    answer = [position(text, {text: 0.9}) for text in tokens]
    decision = label_probs(answer, ["yes", "no"])
    assert decision.agrees is expected
    codes = [warning.code for warning in decision.warnings]
    assert (WarningCode.TEXT_DISAGREES in codes) is (expected is False)


def test_text_that_ended_too_soon() -> None:
    """A text that ended inside a label does not tell whether it is that label."""
    listed = {"New": 0.5, "New York": 0.3, "Boston": 0.2}
    decision = label_probs([position("New", listed)], ["New York", "Boston", "New"])
    assert decision.label == "New York"
    assert decision.agrees is None


def test_text_that_never_ends() -> None:
    """A text that shows nothing however long it is gets no verdict, and costs little."""
    answer = [position("a", {"a": 0.1, "ab": 0.9})]
    answer += [position("\ufe0f", {"\ufe0f": 1.0})] * 60
    assert label_probs(answer, ["ab", "c"]).agrees is None


def test_warning_names_no_label() -> None:
    """Labels are a part of the prompt, and warnings end up in logs."""
    decision = label_probs([position("The", {"The": 0.9, "SECRET": 0.1})], ["SECRET", "b"])
    assert len(decision.warnings) == 3
    assert "secret" not in str(decision.warnings).lower()
    assert decision.warnings[0].path == "$.choices[0].logprobs.content[0]"
    assert "0.10" in decision.warnings[0].problem


LABELS = "texts, or whole numbers"
REFUSED = {
    "none": ([], "labels: expected at least one, found none"),
    "a text": ("AB", "labels: expected a list of texts, or whole numbers, found a str"),
    "no list": (5, "labels: expected a list of texts, or whole numbers, found 5"),
    "a float": ([0.5], "labels[0]: expected one of texts, or whole numbers, found 0.5"),
    "a flag": ([1, True], "labels[1]: expected one of texts, or whole numbers, found True"),
    "a number among texts": (["a", 1], "labels[1]: expected a text, found 1"),
    "a text among numbers": (
        [1, "a"],
        "labels[1]: expected one of texts, or whole numbers, found a str",
    ),
    "a large number": (
        [10**400],
        f"labels[0]: expected one of {LABELS}, found an int beyond the range of a float",
    ),
    "a blank one": (
        ["a", " "],
        "labels[1]: expected a text with a visible character, found a blank one",
    ),
    "one without a character": (
        ["a", "\ufe0f"],
        "labels[1]: expected a text with a visible character, found a blank one",
    ),
    "half of a pair": (
        ["\ud83d"],
        "labels[0]: expected characters that UTF-8 can encode, found a lone surrogate",
    ),
    "the same twice": (
        ["a", "b", "A "],
        "labels: expected different ones apart from case and blanks, found 0 and 2 equal",
    ),
}


@pytest.mark.parametrize(("labels", "problem"), REFUSED.values(), ids=REFUSED)
def test_refused_labels(labels: Sequence[str], problem: str) -> None:
    """The message names the place of a label, and not its text."""
    with pytest.raises(ConfigurationError) as caught:
        label_probs([], labels)
    assert str(caught.value) == problem


def test_labels_that_differ_in_case() -> None:
    """Without folding case makes two labels."""
    assert list(label_probs([], ["a", "A"], fold=False).low) == ["a", "A"]
    with pytest.raises(ConfigurationError, match="expected different ones, found 0 and 1"):
        label_probs([], ["a", "a"], fold=False)


def test_labels_of_any_iterable() -> None:
    """A generator's labels are read once."""
    assert list(label_probs([], (text for text in ("b", "a"))).low) == ["b", "a"]


@pytest.mark.parametrize("log_probs", [None, "yes", 5])
def test_refused_log_probs(log_probs: object) -> None:
    """An answer without log probabilities is a clear error."""
    with pytest.raises(
        ConfigurationError, match="log_probs: expected the log probabilities"
    ):
        label_probs(log_probs, ["yes"])  # type: ignore[call-overload]  # the mistake itself


COUNTRIES = ["France", "French Guiana", 5, True, None, 'a "b"', ""]

# The first token of a value, its offset, whether a token before it has the quotation mark,
# and what part of its probability is added to: of a value, or of something else.
FIELDS = {
    "a quotation mark and a text": ('"France', 1, False, "France"),
    "a whole text": ('"France"', 1, False, "France"),
    "punctuation before it": (': "France', 3, False, "France"),
    "a text behind its quotation mark": ("France", 0, True, "France"),
    "another case": ("france", 0, True, "other"),
    "a longer text": ("Frances", 0, True, "other"),
    "a text with a hyphen": ("France-", 0, True, "other"),
    "the beginning of two": ('"Fr', 1, False, "ambiguous"),
    "the beginning of one": ("Fra", 0, True, "unfinished"),
    "a blank in a text": (" France", 0, True, "other"),
    "a number": (" 5", 1, False, 5),
    "a number behind a colon": (":5,", 1, False, 5),
    "a longer number": ("55", 0, False, "other"),
    "a flag": ("true", 0, False, True),
    "nothing": ("null", 0, False, None),
    "a number in a text": ("5", 0, True, "other"),
    "a text with an escape": ('a \\"b\\"', 0, True, 'a "b"'),
    "an escape that need not be": ("\\u0046rance", 0, True, "ambiguous"),
    "an escape behind a beginning": ("Fra\\u006ece", 0, True, "unfinished"),
    "an escape behind another text": ("Germ\\u0046", 0, True, "other"),
    "an escape behind a text": ("France\\n", 0, True, "unfinished"),
    "an empty text": ('""', 1, False, ""),
    "an empty text, and more": ('"",', 1, False, ""),
    "the end of an empty text": ('"', 0, True, ""),
}


@pytest.mark.parametrize(("text", "offset", "quoted", "part"), FIELDS.values(), ids=FIELDS)
def test_field(*, text: str, offset: int, quoted: bool, part: object) -> None:
    """The token with which a value of JSON begins is what its text makes of the values."""
    before = position('{"country":', {'{"country":': 0.01})
    value = position(text, {text: 0.75})
    decision = field_probs(
        [before, value], COUNTRIES, first=1, offset=offset, is_quoted=quoted
    )
    names = ["mass", "unfinished", "ambiguous", "unlisted", "other"]
    is_value = part not in names
    expected = {"unlisted": 0.25, ("mass" if is_value else part): 0.75}
    assert parts(decision) == pytest.approx([expected.get(name, 0) for name in names])
    if is_value:
        assert decision.low[part] == 0.75


def test_field_in_another_place() -> None:
    """Alternatives need not have the punctuation before the value, or may have more."""
    listed = {'"Fra': 0.5, '"': 0.1, ' "Ger': 0.1, ' "Germany"': 0.1, "Fra": 0.1}
    value = position('"Fra', listed)
    nce = position("nce", {"nce": 0.8, "nces": 0.2})
    decision = field_probs([value, nce], ["France", "Germany"], first=0, offset=1)
    assert decision.low == pytest.approx({"France": 0.4, "Germany": 0.1})
    assert parts(decision) == pytest.approx([0.5, 0.1, 0.1, 0.1, 0.1 + 0.1])
    assert decision.agrees


def test_field_behind_punctuation() -> None:
    """Punctuation before the value may come in tokens of its own, with blanks or not."""
    listed = {':"F': 0.5, ":": 0.1, ": ": 0.1, ' : "F': 0.1, "x": 0.1, b"\xe2": 0.05}
    decision = field_probs([position(':"F', listed)], ["F", "G"], first=0, offset=2)
    assert decision.low["F"] == pytest.approx(0.6)
    assert parts(decision) == pytest.approx([0.6, 0, 0, 0.3, 0.1])


def test_escape_ends_what_is_known() -> None:
    """Behind an escape the sampled tokens tell no more."""
    answer = [position("Fra", {"Fra": 1.0}), position("\\u006e", {"\\u006e": 1.0})]
    answer.append(position("ce", {"ce": 1.0}))
    decision = field_probs(answer, ["France", "Fra"], first=0, is_quoted=True)
    assert parts(decision) == [0, 0, 1, 0, 0]


def test_refused_fields() -> None:
    """Values that are equal to Python are refused, and a token that is not there."""
    answer = [position("1", {"1": 1.0})]
    with pytest.raises(
        ConfigurationError, match="values: expected different ones, found 0"
    ):
        field_probs(answer, [1, True], first=0)
    with pytest.raises(ConfigurationError, match=r"values\[0\]: expected a text, a whole"):
        field_probs(answer, [0.5], first=0)  # type: ignore[type-var]  # the mistake itself
    with pytest.raises(ConfigurationError, match="first: expected the index of a token"):
        field_probs(answer, [1], first=1)
