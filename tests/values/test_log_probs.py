import copy
import math
import pickle
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import attrs
import pytest
from builders import body_of, capture, read
from hypothesis import example, given
from hypothesis import strategies as st

from limin.values.log_probs import (
    Entry,
    LogProbs,
    Position,
    PromptLogProbs,
    TextPiece,
    TokenLogProb,
    TokenPosition,
)
from limin.values.warnings import ResponseWarning, WarningCode

MENDED = ResponseWarning(WarningCode.BODY_MENDED, "$.here", "expected this, found that")
ODD = ResponseWarning(WarningCode.TEXT_MISMATCH, "$.here", "the tokens do not join")


class Load:
    """Returns positions, and counts its calls."""

    def __init__(
        self, *positions: Position, warnings: tuple[ResponseWarning, ...] = ()
    ) -> None:
        self.positions = positions
        self.warnings = warnings
        self.calls = 0

    def __call__(self) -> tuple[Sequence[Position], tuple[ResponseWarning, ...]]:
        self.calls += 1
        return self.positions, self.warnings


class Diagnose:
    """Returns one warning, and remembers the positions that it was called with."""

    def __init__(self) -> None:
        self.shown: list[Sequence[Position]] = []

    def __call__(self, positions: Sequence[Position]) -> tuple[ResponseWarning, ...]:
        self.shown.append(positions)
        return (ODD,)


PARIS = Position(
    "Par",
    -2.3,
    [80, 97, 114],
    7,
    [Entry("Rom", -2.2), Entry("Lon", -0.1, [76, 111, 110], 9), Entry("Ath", -5.0)],
)
IS = Position("is", -0.5, [105, 115], 8, [Entry("is", -0.5, [105, 115], 8)])


def of_log_probs(*numbers: float | None) -> LogProbs:
    """Log probabilities with these numbers; their tokens do not matter."""
    return LogProbs(Load(*(Position("x", number) for number in numbers)))


def of_tokens(*tokens: bytes | str) -> LogProbs:
    """Log probabilities of tokens with bytes, or with text only."""
    return LogProbs(
        Load(
            *(
                Position(token, -1.0)
                if isinstance(token, str)
                else Position(token.decode("utf-8", "replace"), -1.0, list(token))
                for token in tokens
            )
        )
    )


def position_of(
    sampled: tuple[str, float | None], *alternatives: tuple[str, float | None]
) -> TokenPosition:
    """A position whose tokens have neither ids nor bytes."""
    return TokenPosition(
        sampled=TokenLogProb(*sampled),
        alternatives=tuple(TokenLogProb(*fields) for fields in alternatives),
    )


def logs(*probs: float) -> list[float]:
    """The natural logarithms of *probs*."""
    return [math.log(prob) for prob in probs]


HALF, THIRD, FOURTH, TENTH, HUNDREDTH = logs(0.5, 1 / 3, 0.25, 0.1, 0.01)


def test_token_log_prob() -> None:
    """The probability belongs to the natural logarithm."""
    paris = TokenLogProb("Par", -2.0, b"Par", 7)
    fields = (paris.token, paris.log_prob, paris.token_bytes, paris.token_id)
    assert fields == ("Par", -2.0, b"Par", 7)
    assert paris.prob == pytest.approx(0.1353352832366127)


@pytest.mark.parametrize(
    ("log_prob", "prob"),
    [(0.0, 1.0), (-math.inf, 0.0), (-9999.0, 0.0), (None, None), (1000.0, math.inf)],
)
def test_prob_at_the_ends(log_prob: float | None, prob: float | None) -> None:
    """A certain token has 1, an impossible one 0, and an unknown one None."""
    assert TokenLogProb("a", log_prob).prob == prob


def test_what_is_not_known_is_none() -> None:
    """A token whose bytes and number were not sent has neither."""
    unknown = TokenLogProb("a", None)
    assert (unknown.token_bytes, unknown.token_id) == (None, None)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (TokenLogProb("a", -1.0, b"a", 5), TokenLogProb("a", -2.0, b"a", 5), True),
        (TokenLogProb("a", -1.0, b"a", 5), TokenLogProb("a", -1.0, b"a", 6), False),
        (TokenLogProb("\ufffd", -1.0, None, 5), TokenLogProb("é", -1.0, b"x", 5), True),
        (TokenLogProb("a", -1.0, b"a", 5), TokenLogProb("a", -1.0, b"a"), True),
        (TokenLogProb("a", -1.0), TokenLogProb("a", -3.0), True),
        (TokenLogProb("a", -1.0), TokenLogProb("b", -1.0), False),
        (
            TokenLogProb("\ufffd", -1.0, b"\xf0"),
            TokenLogProb("\ufffd", -1.0, b"\xf1"),
            False,
        ),
        (TokenLogProb("", -1.0, b""), TokenLogProb("", -1.0, b""), True),
    ],
)
def test_same_token(left: TokenLogProb, right: TokenLogProb, *, same: bool) -> None:
    """Ids decide if both have one, else text and bytes; the probability never does."""
    assert left.is_same_token(right) is same
    assert right.is_same_token(left) is same


def test_position_of_a_complete_list() -> None:
    """If every probability was sent, everything computed from them is exact."""
    position = position_of(("b", FOURTH), ("a", HALF), ("b", FOURTH), ("c", FOURTH))
    assert position.is_listed
    assert position.unlisted_mass == pytest.approx(0.0)
    assert position.entropy == pytest.approx(1.5 * math.log(2))
    assert position.margin == pytest.approx(0.25)
    assert position.rank_at_least == position.rank == 2


def test_position_of_a_list_that_was_cut() -> None:
    """The entropy leaves out tokens that are not listed; the mass is their probability."""
    position = position_of(("a", HALF), ("a", HALF), ("b", TENTH))
    assert position.unlisted_mass == pytest.approx(0.4)
    assert position.entropy == pytest.approx(0.5 * math.log(2) + 0.1 * math.log(10))
    assert position.margin == pytest.approx(0.4)
    assert position.rank == 1


def test_sampled_token_that_is_not_listed() -> None:
    """Its probability is known, so it counts in the mass, the entropy and the margin."""
    position = position_of(("z", HUNDREDTH), ("a", HALF), ("b", TENTH))
    assert not position.is_listed
    assert position.unlisted_mass == pytest.approx(0.39)
    assert position.entropy == pytest.approx(
        0.5 * math.log(2) + 0.1 * math.log(10) + 0.01 * math.log(100)
    )
    assert position.margin == pytest.approx(0.4)
    assert position.rank_at_least == 3
    assert position.rank is None


def test_unlisted_token_whose_rank_is_known() -> None:
    """If too little mass is left for a likelier token, the rank is known."""
    position = position_of(("z", TENTH), ("a", HALF), ("b", THIRD))
    assert position.unlisted_mass == pytest.approx(1 - 0.5 - 1 / 3 - 0.1)
    assert (position.rank_at_least, position.rank) == (3, 3)


def test_list_of_vllm_that_was_cut_to_the_sampled_token() -> None:
    """VLLM puts the sampled token first and cuts the list, so its index is no rank."""
    hot = capture("vllm-0.32.0-logprobs_top1_hot")["body"]
    log_probs = read(hot).log_probs
    assert log_probs is not None
    quote = log_probs[0]
    assert [token.token for token in quote.alternatives] == [quote.sampled.token] == ["'"]
    assert quote.is_listed
    assert quote.margin is None
    assert quote.unlisted_mass == pytest.approx(1 - math.exp(-8.25246810913086))
    assert (quote.rank_at_least, quote.rank) == (1, None)
    assert {position.rank for position in log_probs} == {None}


def test_list_of_vllm_whose_last_place_is_the_sampled_token() -> None:
    """A sampled token that took the last index may be less likely than unlisted ones."""
    position = position_of(("z", HUNDREDTH), ("a", HALF), ("z", HUNDREDTH))
    assert (position.rank_at_least, position.rank) == (2, None)


def test_likely_token_in_a_list_of_its_own() -> None:
    """A token with more than half of the probability has rank 1, whatever the list."""
    position = position_of(("a", math.log(0.51)), ("a", math.log(0.51)))
    assert (position.rank_at_least, position.rank) == (1, 1)


def test_less_likely_token_in_the_list_proves_the_rank() -> None:
    """The list is sorted, so no unlisted token is likelier than one before its end."""
    position = position_of(("b", TENTH), ("a", FOURTH), ("b", TENTH), ("c", HUNDREDTH))
    assert position.unlisted_mass == pytest.approx(0.64)
    assert position.rank == 2


def test_equally_likely_tokens_share_a_rank() -> None:
    """An equally likely token does not raise the rank."""
    first = position_of(("a", FOURTH), ("a", FOURTH), ("b", FOURTH), ("c", HUNDREDTH))
    second = position_of(("b", FOURTH), ("a", FOURTH), ("b", FOURTH), ("c", HUNDREDTH))
    assert first.rank == second.rank == 1
    assert first.margin == second.margin == 0.0


def test_tie_at_the_end_of_the_list() -> None:
    """Two equally likely tokens do not exclude a third one."""
    position = position_of(("b", TENTH), ("a", TENTH), ("b", TENTH))
    assert (position.rank_at_least, position.rank) == (1, None)


def test_duplicates_of_another_text_count_each() -> None:
    """Different tokens with the same text are counted separately."""
    position = position_of(("b", TENTH), ("", FOURTH), ("", FOURTH), ("b", TENTH))
    assert position.unlisted_mass == pytest.approx(0.4)
    assert position.rank_at_least == 3


def test_duplicates_of_the_sampled_text() -> None:
    """VLLM writes `""` for parts of characters, and each of them counts."""
    emoji = capture("vllm-0.32.0-logprobs_emoji")["body"]
    log_probs = read(emoji).log_probs
    assert log_probs is not None
    part = log_probs[1]
    assert [one.token for one in part.alternatives] == ["", ""]
    assert part.is_listed
    known = [math.exp(-0.08083240687847137), math.exp(-3.4558324813842773)]
    assert part.unlisted_mass == pytest.approx(1 - sum(known))
    assert part.margin == pytest.approx(known[0] - known[1])
    assert part.rank == 1


def test_ids_distinguish_tokens_of_one_text() -> None:
    """With another id, a token of the same text is another token."""
    sampled = TokenLogProb("\ufffd", TENTH, None, 1)
    other = TokenLogProb("\ufffd", HALF, None, 2)
    assert not TokenPosition(sampled=sampled, alternatives=(other,)).is_listed
    both = TokenPosition(sampled=sampled, alternatives=(other, sampled))
    assert both.is_listed
    assert both.unlisted_mass == pytest.approx(0.4)
    assert both.rank_at_least == 2


@pytest.mark.parametrize(
    "position",
    [
        position_of(("a", None), ("a", None), ("b", HALF)),
        position_of(("a", HALF), ("a", HALF), ("b", None)),
        position_of(("z", None), ("a", HALF), ("b", TENTH)),
    ],
)
def test_unknown_probability_makes_the_rest_unknown(position: TokenPosition) -> None:
    """A sum with an unknown part is not known, and never taken for a smaller one."""
    assert position.unlisted_mass is None
    assert position.entropy is None
    assert position.margin is None
    assert position.rank is None


def test_least_rank_needs_no_other_probability() -> None:
    """Only alternatives that are known to be likelier are counted."""
    listed = (("a", HALF), ("b", None), ("c", FOURTH))
    assert position_of(("c", FOURTH), *listed).rank_at_least == 2
    assert position_of(("c", None), *listed).rank_at_least is None


def test_position_without_alternatives() -> None:
    """Without alternatives, only the token's own probability is known."""
    position = position_of(("a", HALF))
    assert not position.is_listed
    assert position.unlisted_mass == pytest.approx(0.5)
    assert position.entropy is None
    assert position.margin is None
    assert position.rank_at_least is None
    assert position.rank is None
    assert position_of(("a", None)).unlisted_mass is None


def test_impossible_tokens() -> None:
    """Minus infinity adds no probability, and comes after every possible token."""
    impossible = -math.inf
    position = position_of(("a", HALF), ("a", HALF), ("b", HALF), ("c", impossible))
    assert position.unlisted_mass == pytest.approx(0.0)
    assert position.entropy == pytest.approx(math.log(2))
    assert position.rank == 1
    sampled = position_of(("c", impossible), ("a", TENTH), ("c", impossible))
    assert (sampled.rank_at_least, sampled.rank) == (2, None)


def test_mass_is_never_below_zero() -> None:
    """Probabilities that exceed 1 by rounding, or by far, leave nothing."""
    position = position_of(("a", -0.1), ("a", -0.1), ("b", -0.1))
    assert position.unlisted_mass == 0.0


def test_position_cannot_change() -> None:
    """A position cannot be changed."""
    with pytest.raises(AttributeError):
        position_of(("a", HALF)).alternatives = ()  # type: ignore[misc]  # the mistake itself


NUMBERS = st.floats(max_value=0.0, allow_nan=False) | st.none()
TOKENS = st.builds(
    TokenLogProb,
    st.sampled_from(["a", "b", "", "\ufffd"]),
    NUMBERS,
    st.sampled_from([None, b"a", b"\xf0"]),
    st.sampled_from([None, 1, 2]),
)


@given(sampled=TOKENS, alternatives=st.lists(TOKENS, max_size=6))
@example(sampled=TokenLogProb("a", 0.0), alternatives=[TokenLogProb("a", 0.0)] * 3)
def test_position_of_anything(
    sampled: TokenLogProb, alternatives: list[TokenLogProb]
) -> None:
    """Whatever the list, every number is in its range, and a known rank is its bound."""
    position = TokenPosition(sampled=sampled, alternatives=tuple(alternatives))
    mass, entropy, margin = position.unlisted_mass, position.entropy, position.margin
    assert mass is None or 0.0 <= mass <= 1.0
    assert entropy is None or entropy >= 0.0
    assert margin is None or 0.0 <= margin <= 1.0
    least, rank = position.rank_at_least, position.rank
    assert least is None or 1 <= least <= 1 + len(alternatives)
    assert rank in (None, least)


@given(weights=st.lists(st.integers(1, 1000), min_size=2, max_size=8), data=st.data())
def test_rank_is_right_if_it_is_known(weights: list[int], data: st.DataObject) -> None:
    """If a distribution is cut like vLLM's, a known rank is the true one."""
    total = sum(weights)
    order = sorted(range(len(weights)), key=lambda token: -weights[token])
    tokens = [
        TokenLogProb(str(token), math.log(weights[token] / total), None, token)
        for token in order
    ]
    place = data.draw(st.integers(0, len(tokens) - 1))
    size = data.draw(st.integers(1, len(tokens)))
    sampled = tokens[place]
    listed = tokens[:size] if place < size else [*tokens[: size - 1], sampled]
    position = TokenPosition(sampled=sampled, alternatives=tuple(listed))
    likelier = sum(weight > weights[sampled.token_id or 0] for weight in weights)
    assert position.rank in (None, 1 + likelier)
    if place < size and weights[order[size - 1]] < weights[order[place]]:
        assert position.rank == 1 + likelier


def test_sequence_of_positions() -> None:
    """Log probabilities are a sequence: length, index, slices, iteration, membership."""
    log_probs = LogProbs(Load(PARIS, IS, PARIS))
    first, second = log_probs[0], log_probs[1]
    assert first == TokenPosition(
        sampled=TokenLogProb("Par", -2.3, b"Par", 7),
        alternatives=(
            TokenLogProb("Lon", -0.1, b"Lon", 9),
            TokenLogProb("Rom", -2.2),
            TokenLogProb("Ath", -5.0),
        ),
    )
    assert len(log_probs) == 3
    assert log_probs[-1] == log_probs[2] == first
    assert log_probs[-2] == second
    assert log_probs[1:] == [second, first]
    assert log_probs[::-2] == [first, first]
    assert log_probs[5:] == []
    assert list(log_probs) == [first, second, first]
    assert list(reversed(log_probs)) == [first, second, first]
    assert second in log_probs
    assert log_probs.count(first) == 2
    assert isinstance(log_probs, Sequence)


@pytest.mark.parametrize("index", [2, -3])
def test_no_position_beyond_the_ends(index: int) -> None:
    """An index beyond the ends is an IndexError, as with every sequence."""
    with pytest.raises(IndexError):
        LogProbs(Load(PARIS, IS))[index]


def test_sampled() -> None:
    """The sampled token is the position's own, whatever the alternatives say."""
    assert LogProbs(Load(PARIS, Position("is", -0.5))).sampled == [
        TokenLogProb("Par", -2.3, b"Par", 7),
        TokenLogProb("is", -0.5),
    ]


def test_alternatives_are_sorted() -> None:
    """The most likely alternative comes first, and the sampled token is not added."""
    assert LogProbs(Load(PARIS)).alternatives == [
        [
            TokenLogProb("Lon", -0.1, b"Lon", 9),
            TokenLogProb("Rom", -2.2),
            TokenLogProb("Ath", -5.0),
        ]
    ]


def test_impossible_and_unknown_alternatives_come_last() -> None:
    """Impossible tokens, and those without a probability, follow all others."""
    top = [Entry("c"), Entry("b", -math.inf), Entry("z", -90.0), Entry("a", -1.0)]
    (alternatives,) = LogProbs(Load(Position("x", -1.0, top_logprobs=top))).alternatives
    assert [token.token for token in alternatives] == ["a", "z", "c", "b"]


def test_equally_likely_alternatives_keep_their_order() -> None:
    """Equally likely tokens keep their order, even if their texts are equal."""
    top = [Entry("\ufffd", -1.0, id=2), Entry("\ufffd", -1.0, id=1), Entry("a", -1.0)]
    (alternatives,) = LogProbs(Load(Position("x", -1.0, top_logprobs=top))).alternatives
    assert [(token.token, token.token_id) for token in alternatives] == [
        ("\ufffd", 2),
        ("\ufffd", 1),
        ("a", None),
    ]


@pytest.mark.parametrize("top", [None, []])
def test_no_alternatives(top: list[Entry] | None) -> None:
    """A position without alternatives has an empty list of them."""
    log_probs = LogProbs(Load(Position("x", -1.0, top_logprobs=top)))
    assert log_probs.alternatives == [[]]
    assert log_probs[0].alternatives == ()


def test_empty_bytes_are_bytes() -> None:
    """A token of no bytes differs from a token whose bytes are not known."""
    tokens = LogProbs(Load(Position("", -1.0, []), Position("", -1.0))).sampled
    assert [token.token_bytes for token in tokens] == [b"", None]


def test_nothing_is_decoded_before_the_first_access() -> None:
    """Log probabilities that nobody reads are not decoded."""
    load = Load(PARIS)
    log_probs = LogProbs(load)
    assert load.calls == 0
    assert len(log_probs) == 1
    assert load.calls == 1


LOOKS: list[Callable[[LogProbs], object]] = [
    len,
    list,
    repr,
    lambda log_probs: log_probs[:1],
    lambda log_probs: log_probs == log_probs,  # noqa: PLR0124 (equality is tested)
    LogProbs.text,
    LogProbs.pieces,
    LogProbs.to_columns,
    *map(
        attrgetter,
        ("sampled", "alternatives", "total", "mean", "perplexity"),
    ),
]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("positions", [(), (PARIS, IS)])
def test_decoding_happens_once(
    look: Callable[[LogProbs], object], positions: tuple[Position, ...]
) -> None:
    """Whatever is read first, the bytes are decoded once, and nothing is diagnosed."""
    load, diagnose = Load(*positions), Diagnose()
    log_probs = LogProbs(load, diagnose)
    for _ in range(3):
        look(log_probs)
    assert load.calls == 1
    assert diagnose.shown == []


def test_warnings_of_the_reading_come_before_those_of_the_numbers() -> None:
    """Warnings about the shape come first, then those about the numbers."""
    load, diagnose = Load(PARIS, warnings=(MENDED,)), Diagnose()
    log_probs = LogProbs(load, diagnose)
    assert log_probs.warnings == (MENDED, ODD)
    assert load.calls == 1
    assert diagnose.shown == [(PARIS,)]


def test_no_warnings() -> None:
    """Without a diagnosis there are only the warnings about the shape."""
    assert LogProbs(Load(PARIS)).warnings == ()
    assert LogProbs(Load(PARIS, warnings=(MENDED,))).warnings == (MENDED,)


def test_equality() -> None:
    """Log probabilities with equal positions are equal, others are not."""
    assert LogProbs(Load(PARIS)) == LogProbs(Load(PARIS))
    assert LogProbs(Load(PARIS)) == LogProbs(Load(PARIS, warnings=(MENDED,)), Diagnose())
    assert LogProbs(Load(PARIS)) != LogProbs(Load(Position("Par", -2.3)))
    assert LogProbs(Load(PARIS)) != LogProbs(Load(PARIS, PARIS))
    assert LogProbs(Load()) != "LogProbs"
    assert LogProbs(Load()).__eq__([]) is NotImplemented


def test_no_hash() -> None:
    """Log probabilities are compared as lists are, and like lists have no hash."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(LogProbs(Load()))


def test_repr_shows_no_token() -> None:
    """The repr counts the tokens and shows none: they are the answer."""
    assert repr(LogProbs(Load(PARIS, PARIS))) == "<LogProbs of 2 tokens>"


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_copies_are_equal(protocol: int) -> None:
    """A copy equals the original, whether or not that was decoded before."""
    log_probs = LogProbs(Load(PARIS, IS, warnings=(MENDED,)), Diagnose())
    early = pickle.dumps(log_probs, protocol)
    assert len(log_probs) == 2
    late = pickle.dumps(log_probs, protocol)
    for restored in map(pickle.loads, (early, late)):
        assert copy.copy(log_probs) == log_probs == restored
        assert copy.deepcopy(log_probs).sampled == restored.sampled
        assert list(restored) == list(log_probs)
        assert restored.warnings == (MENDED, ODD)


@pytest.mark.parametrize(
    ("numbers", "total", "mean", "perplexity"),
    [
        ((HALF, HALF, TENTH), math.log(0.025), math.log(0.025) / 3, 0.025 ** (-1 / 3)),
        ((0.0, 0.0), 0.0, 0.0, 1.0),
        ((), 0.0, None, None),
        ((HALF, None), None, None, None),
        ((None,), None, None, None),
        ((HALF, -math.inf), -math.inf, -math.inf, math.inf),
        ((-5000.0, -9000.0), -14000.0, -7000.0, math.inf),
        ((2000.0,), 2000.0, 2000.0, 0.0),
        ((math.inf, HALF), math.inf, math.inf, 0.0),
    ],
)
def test_sums(
    numbers: tuple[float | None, ...],
    total: float | None,
    mean: float | None,
    perplexity: float | None,
) -> None:
    """Sum, mean and perplexity are in nats, and None if a part is not known."""
    log_probs = of_log_probs(*numbers)
    assert log_probs.total == (total if total is None else pytest.approx(total))
    assert log_probs.mean == (mean if mean is None else pytest.approx(mean))
    expected = perplexity if perplexity is None else pytest.approx(perplexity)
    assert log_probs.perplexity == expected


def test_total_does_not_lose_digits() -> None:
    """The order of a thousand small numbers and a large one does not matter."""
    numbers = [-1e-9] * 1000 + [-9000.0]
    assert of_log_probs(*numbers).total == of_log_probs(*reversed(numbers)).total
    assert of_log_probs(*numbers).total == -9000.000001


def test_text_of_whole_characters() -> None:
    """There is one piece for each token, with start and end in UTF-8 bytes."""
    log_probs = of_tokens(b"Caf", "é".encode(), b" au", " lait")
    assert log_probs.text() == "Café au lait"
    assert log_probs.pieces() == [
        TextPiece(text="Caf", start=0, end=3, first=0, last=0),
        TextPiece(text="é", start=3, end=5, first=1, last=1),
        TextPiece(text=" au", start=5, end=8, first=2, last=2),
        TextPiece(text=" lait", start=8, end=13, first=3, last=3),
    ]
    assert not any(piece.is_joined for piece in log_probs.pieces())


def test_tokens_that_end_inside_a_character_are_joined() -> None:
    """A fox of three tokens is one piece, which names its first and last token."""
    log_probs = of_tokens(b"a \xf0\x9f", b"\xa6", b"\x8a!", b"b")
    assert log_probs.text() == "a 🦊!b"
    fox, rest = log_probs.pieces()
    assert fox == TextPiece(text="a 🦊!", start=0, end=7, first=0, last=2)
    assert fox.is_joined
    assert rest == TextPiece(text="b", start=7, end=8, first=3, last=3)


def test_bytes_that_are_no_text_are_no_reason_to_wait() -> None:
    """Bytes that no later byte can complete become U+FFFD at once."""
    log_probs = of_tokens(b"a\xff", b"b", b"\xe2\x82", b"c")
    assert log_probs.text() == "a\ufffdb\ufffdc"
    assert [(p.text, p.start, p.end, p.first, p.last) for p in log_probs.pieces()] == [
        ("a\ufffd", 0, 2, 0, 0),
        ("b", 2, 3, 1, 1),
        ("\ufffdc", 3, 6, 2, 3),
    ]


def test_answer_that_ends_inside_a_character() -> None:
    """A character that `max_tokens` cut off becomes U+FFFD."""
    log_probs = of_tokens(b"a", b"\xf0\x9f", b"\xa6")
    assert log_probs.text() == "a\ufffd"
    assert log_probs.pieces()[1:] == [
        TextPiece(text="\ufffd", start=1, end=4, first=1, last=2)
    ]


def test_text_without_bytes() -> None:
    """If no bytes are known, those of the token's text count."""
    log_probs = of_tokens("né", "\ufffd", "\ud83e")
    assert log_probs.text() == "né\ufffd?"
    assert [(piece.start, piece.end) for piece in log_probs.pieces()] == [
        (0, 3),
        (3, 6),
        (6, 7),
    ]


def test_empty_tokens_are_pieces() -> None:
    """A token of no bytes, such as an end of text, has an empty piece of its own."""
    log_probs = of_tokens(b"", b"a", b"")
    assert log_probs.text() == "a"
    assert [(p.text, p.start, p.end) for p in log_probs.pieces()] == [
        ("", 0, 0),
        ("a", 0, 1),
        ("", 1, 1),
    ]


def test_empty_token_inside_a_character() -> None:
    """It is joined with the tokens around it."""
    (piece,) = of_tokens(b"\xc3", b"", b"\xa9").pieces()
    assert piece == TextPiece(text="é", start=0, end=2, first=0, last=2)


def test_emoji_of_vllm() -> None:
    """The last token of a character has all its bytes, and the others have none."""
    completion = read(capture("vllm-0.32.0-logprobs_emoji")["body"])
    log_probs = completion.log_probs
    assert log_probs is not None
    assert log_probs.text() == completion.message + "<|im_end|>"
    assert [p.text for p in log_probs.pieces()][:7] == ["", "", "🦊", "", "", "🌍", " Caf"]
    assert [p.start for p in log_probs.pieces()][:7] == [0, 0, 0, 4, 4, 4, 8]


def test_emoji_of_llama_cpp() -> None:
    """llama.cpp sends whole characters, and an end of text without bytes."""
    completion = read(capture("llama.cpp-b11549-logprobs_emoji")["body"])
    log_probs = completion.log_probs
    assert log_probs is not None
    assert log_probs.text() == completion.message
    assert [piece.text for piece in log_probs.pieces()] == [
        *("🦊", "🌍", " Caf", "é", " in", " Tokyo", ".", "")
    ]


def test_no_tokens_no_text() -> None:
    """Without tokens there is no text and no piece."""
    assert of_tokens().text() == ""
    assert of_tokens().pieces() == []
    assert set(map(len, of_tokens().to_columns().values())) == {0}


def cut(text: bytes, sizes: list[int]) -> list[bytes]:
    """*text* in tokens of these *sizes*, the last one with the rest of it."""
    tokens: list[bytes] = []
    for size in sizes:
        tokens.append(text[:size])
        text = text[size:]
    return [*tokens, text]


@given(text=st.text(max_size=20), sizes=st.lists(st.integers(0, 5), max_size=12))
@example(text="a🦊é", sizes=[2, 1, 0, 2, 1])
def test_pieces_tile_the_text(text: str, sizes: list[int]) -> None:
    """However the tokens cut the text, its pieces join to it, without gap or overlap."""
    tokens = cut(text.encode("utf-8", "replace"), sizes)
    log_probs = of_tokens(*tokens)
    pieces = log_probs.pieces()
    assert log_probs.text() == "".join(piece.text for piece in pieces) == text
    lengths = [len(piece.text.encode()) for piece in pieces]
    assert [piece.end - piece.start for piece in pieces] == lengths
    assert sum(lengths) == len(text.encode())
    tokens_of = [range(piece.first, piece.last + 1) for piece in pieces]
    assert [place for places in tokens_of for place in places] == list(range(len(tokens)))
    ends = [0, *(piece.end for piece in pieces)]
    assert [piece.start for piece in pieces] == ends[:-1]
    columns = log_probs.to_columns()
    assert set(map(len, columns.values())) == {len(tokens)}


@given(tokens=st.lists(st.binary(max_size=4), max_size=8))
def test_pieces_of_any_bytes_tile_them(tokens: list[bytes]) -> None:
    """Bytes that are no text are in a piece too, and no byte is lost."""
    pieces = of_tokens(*tokens).pieces()
    assert sum(piece.end - piece.start for piece in pieces) == len(b"".join(tokens))
    ends = [0, *(piece.end for piece in pieces)]
    assert [piece.start for piece in pieces] == ends[:-1]


def test_to_columns() -> None:
    """One row for each token, under the names of the values' own fields."""
    columns = LogProbs(Load(IS, Position("?", None), *FOX)).to_columns()
    half = math.exp(-0.5)
    assert columns == {
        "position": [0, 1, 2, 3],
        "token": ["is", "?", "\ufffd", "\ufffd"],
        "token_bytes": [b"is", None, b"\xf0\x9f", b"\xa6\x8a"],
        "token_id": [8, None, 3, 4],
        "log_prob": [-0.5, None, HALF, 0.0],
        "prob": [half, None, pytest.approx(0.5), 1.0],
        "start": [0, 2, 3, 3],
        "end": [2, 3, 7, 7],
        "rank": [1, None, 2, None],
        "margin": [None, None, pytest.approx(0.0), None],
        "entropy": [0.5 * half, None, pytest.approx(math.log(2)), None],
        "unlisted_mass": [1 - half, None, pytest.approx(0.0), 0.0],
        "top_tokens": [["is"], [], ["z", "\ufffd"], []],
        "top_log_probs": [[-0.5], [], [HALF + 1e-12, HALF], []],
    }


FOX = (
    Position(
        "\ufffd",
        HALF,
        [0xF0, 0x9F],
        3,
        [Entry("\ufffd", HALF, [0xF0, 0x9F], 3), Entry("z", HALF + 1e-12, [122], 5)],
    ),
    Position("\ufffd", 0.0, [0xA6, 0x8A], 4),
)


def test_columns_are_the_fields() -> None:
    """Each column holds the attributes of the positions and their tokens."""
    log_probs = LogProbs(Load(PARIS, IS, *FOX))
    columns = log_probs.to_columns()
    for name in ("rank", "margin", "entropy", "unlisted_mass"):
        assert columns[name] == [getattr(position, name) for position in log_probs]
    for field in (*attrs.fields_dict(TokenLogProb), "prob"):
        assert columns[field] == [getattr(token, field) for token in log_probs.sampled]
    kinds = {type(value) for column in columns.values() for value in column}
    assert kinds <= {int, float, str, bytes, list, type(None)}


class LoadPrompt:
    """Returns the positions of a prompt, and counts its calls."""

    def __init__(self, *positions: Position | None) -> None:
        self.positions = positions
        self.calls = 0

    def __call__(self) -> Sequence[Position | None]:
        self.calls += 1
        return self.positions


def test_prompt_log_probs() -> None:
    """They are a sequence of the prompt's positions, and the first is None."""
    load = LoadPrompt(None, PARIS, IS)
    prompt = PromptLogProbs(load)
    assert load.calls == 0
    assert len(prompt) == 3
    assert prompt[0] is None
    assert prompt[1] == LogProbs(Load(PARIS))[0]
    assert prompt[-1] == LogProbs(Load(IS))[0]
    assert prompt[:2] == [None, prompt[1]]
    assert list(prompt) == [None, *LogProbs(Load(PARIS, IS))]
    assert load.calls == 1


def test_prompt_log_probs_show_no_token() -> None:
    """The repr counts the tokens and shows none: they are the prompt."""
    assert repr(PromptLogProbs(LoadPrompt(None, PARIS))) == "<PromptLogProbs of 2 tokens>"


@pytest.mark.parametrize("looked_at", [False, True])
def test_prompt_log_probs_can_be_pickled(*, looked_at: bool) -> None:
    """They go to another process with everything."""
    prompt = PromptLogProbs(LoadPrompt(None, PARIS))
    if looked_at:
        assert len(prompt) == 2
    restored = pickle.loads(pickle.dumps(prompt))  # noqa: S301 (our own bytes)
    assert list(restored) == list(prompt)


def test_log_prob_that_overflows() -> None:
    """A server that sends 1000 as a log probability breaks neither prob nor display."""
    completion = read(body_of("x", logprobs={"content": [{"token": "x", "logprob": 1000}]}))
    assert completion.to_pretty_log_probs_string(show_probabilities=True)
    assert [warning.code for warning in completion.warnings] == ["positive-log-prob"]
    assert completion.log_probs is not None
    assert completion.log_probs.total == 1000.0


def lp(*tokens: bytes) -> LogProbs:
    return LogProbs(lambda: ([Position("x", -1.0, list(t)) for t in tokens], ()))


def pos(sampled: tuple[Any, ...], *listed: tuple[Any, ...]) -> TokenPosition:
    return TokenPosition(
        sampled=TokenLogProb(*sampled), alternatives=tuple(TokenLogProb(*o) for o in listed)
    )


def test_rank_counts_a_certain_token() -> None:
    """A token of probability 1 is the likeliest of all."""
    assert pos(("b", -9.0), ("a", 0.0), ("b", -9.0)).rank_at_least == 2
    assert pos(("b", -9.0), ("a", 0.0), ("b", -9.0)).rank != 1


@pytest.mark.parametrize("junk", ["not a list of tokens", {"a": [1]}, 12345])
def test_warnings_of_log_probs_without_positions_are_kept(junk: Any) -> None:
    """If nothing could be read, a warning says so."""
    done = read(body_of("hi", logprobs={"content": junk}), asks_log_probs=True)
    assert done.warnings


@given(tokens=st.lists(st.binary(max_size=4), max_size=8))
@example(tokens=[b"\xff\xf0\x9f", b"\xa6\x8a"])
def test_pieces_of_any_bytes_join_to_the_text(tokens: Any) -> None:
    """Whatever the bytes, the pieces join to the text."""
    log_probs = lp(*tokens)
    assert "".join(piece.text for piece in log_probs.pieces()) == log_probs.text()


@pytest.mark.parametrize(
    "numbers", [(1e308, 1e308), (-math.inf, math.inf), (2e308, -2e308)]
)
def test_total_of_any_numbers(numbers: Any) -> None:
    """Nonsense from a server raises nothing."""
    log_probs = LogProbs(lambda: ([Position("x", n) for n in numbers], ()))
    assert isinstance(log_probs.total, float)


@given(own=st.floats(allow_nan=False), other=st.floats(allow_nan=False))
@example(own=1e-7, other=1e-7)
@example(own=1000.0, other=1000.0)
def test_numbers_above_zero_break_no_bound(own: float, other: float) -> None:
    """A number above 0 is rounding, or no log probability at all."""
    position = pos(("a", own), ("a", own), ("b", other))
    assert position.entropy is not None
    assert position.entropy >= 0.0
    assert position.margin is not None
    assert position.margin >= 0.0


def test_entropy_of_a_certain_token_is_plain_zero() -> None:
    """The entropy is neither `-0.0` nor an integer."""
    entropy = pos(("a", 0.0), ("a", 0.0)).entropy
    assert repr(entropy) == "0.0"
    assert repr(pos(("a", -math.inf), ("a", -math.inf)).entropy) == "0.0"


def test_rounding_proves_no_rank() -> None:
    """The sum of 32-bit probabilities is not exact, so a small mass proves nothing."""
    top = [("a", math.log(0.9)), ("b", math.log(0.1000001))]
    assert pos(("z", -30.0), *top).rank is None
    assert pos(("z", -800.0), ("a", 0.0)).rank is None


def test_bytes_known_on_one_side_only() -> None:
    """If a server sends bytes only for the sampled token, text decides."""
    position = pos(("a", -0.5, b"a"), ("a", -0.5))
    assert position.is_listed
    assert position.unlisted_mass == pytest.approx(1 - math.exp(-0.5))


PROMPT = [None, {"6": {"logprob": -7.5, "decoded_token": "What"}}]


def test_completion_with_prompt_log_probs_equals_its_copy() -> None:
    """A copy equals the original."""
    done = read({**body_of("4"), "prompt_logprobs": PROMPT})
    assert copy.deepcopy(done) == done
    assert pickle.loads(pickle.dumps(done)) == done  # noqa: S301 (our own)


def test_unasked_alternatives_in_the_legacy_shape() -> None:
    """Alternatives that nobody requested are left out in the legacy shape, too."""
    legacy = {"tokens": ["hi"], "token_logprobs": [-0.5], "top_logprobs": [{"hi": -0.5}]}
    done = read(body_of("hi", logprobs=legacy), asks_log_probs=True)
    assert done.full_token_log_probs == [[]]


def test_no_warning_of_alternatives_that_are_left_out() -> None:
    """No warning is about an alternative that nobody can see."""
    top = [{"token": "hi", "logprob": -0.5}, {"token": "\ufffd", "logprob": -9999.0}]
    content = [{"token": "hi", "logprob": -0.5, "top_logprobs": top}]
    done = read(body_of("hi", logprobs={"content": content}), asks_log_probs=True)
    assert done.full_token_log_probs == [[]]
    assert done.warnings == ()


def test_prompt_log_probs_equal_nothing_else() -> None:
    """They are not even equal to a list of the same positions."""
    assert PromptLogProbs(lambda: [None]) == PromptLogProbs(lambda: [None])
    assert PromptLogProbs(lambda: [None]) != [None]
