import copy
import math
import pickle
from collections.abc import Sequence

import pytest
from builders import body_of, read

from limin.logprobs import Entry, LogProbs, Position, TokenLogProb


class Load:
    """Brings positions, and counts how often it is asked for them."""

    def __init__(self, *positions: Position) -> None:
        self.positions = positions
        self.calls = 0

    def __call__(self) -> Sequence[Position]:
        self.calls += 1
        return self.positions


PARIS = Position(
    "Par",
    -2.3,
    [80, 97, 114],
    7,
    [Entry("Rom", -2.2), Entry("Lon", -0.1, [76, 111, 110], 9), Entry("Ath", -5.0)],
)


def test_token_log_prob() -> None:
    """The probability belongs to the natural logarithm."""
    paris = TokenLogProb("Par", -2.0, b"Par", 7)
    fields = (paris.token, paris.log_prob, paris.token_bytes, paris.token_id)
    assert fields == ("Par", -2.0, b"Par", 7)
    assert paris.prob == pytest.approx(0.1353352832366127)


@pytest.mark.parametrize(
    ("log_prob", "prob"), [(0.0, 1.0), (-math.inf, 0.0), (-9999.0, 0.0), (None, None)]
)
def test_prob_at_the_ends(log_prob: float | None, prob: float | None) -> None:
    """A certain token has 1, an impossible one 0, and an unknown one None."""
    assert TokenLogProb("a", log_prob).prob == prob


def test_what_is_not_known_is_none() -> None:
    """A token whose bytes and number were not sent has neither."""
    unknown = TokenLogProb("a", None)
    assert (unknown.token_bytes, unknown.token_id) == (None, None)


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
    """Tokens that cannot be, or whose probability was not sent, follow all others."""
    top = [Entry("c"), Entry("b", -math.inf), Entry("z", -90.0), Entry("a", -1.0)]
    (alternatives,) = LogProbs(Load(Position("x", -1.0, top_logprobs=top))).alternatives
    assert [one.token for one in alternatives] == ["a", "z", "c", "b"]


def test_equally_likely_alternatives_keep_their_order() -> None:
    """Of tokens that are equally likely, also of one text, none is lost or moved."""
    top = [Entry("\ufffd", -1.0, id=2), Entry("\ufffd", -1.0, id=1), Entry("a", -1.0)]
    (alternatives,) = LogProbs(Load(Position("x", -1.0, top_logprobs=top))).alternatives
    assert [(one.token, one.token_id) for one in alternatives] == [
        ("\ufffd", 2),
        ("\ufffd", 1),
        ("a", None),
    ]


@pytest.mark.parametrize("top", [None, []])
def test_no_alternatives(top: list[Entry] | None) -> None:
    """A position without alternatives has an empty list in its place."""
    assert LogProbs(Load(Position("x", -1.0, top_logprobs=top))).alternatives == [[]]


def test_empty_bytes_are_bytes() -> None:
    """A token of no bytes differs from one whose bytes are not known."""
    tokens = LogProbs(Load(Position("", -1.0, []), Position("", -1.0))).sampled
    assert [token.token_bytes for token in tokens] == [b"", None]


def test_nothing_is_decoded_until_it_is_looked_at() -> None:
    """An answer whose log probabilities nobody reads costs no decoding."""
    load = Load(PARIS)
    log_probs = LogProbs(load)
    assert load.calls == 0
    assert len(log_probs) == 1
    assert load.calls == 1


@pytest.mark.parametrize(
    "look",
    [len, repr, lambda one: one.sampled, lambda one: one.alternatives, lambda o: o == o],  # noqa: PLR0124 (equality is what is looked at)
)
def test_decoding_happens_once(look: object) -> None:
    """Whatever is looked at first, the bytes are decoded once."""
    load = Load()
    log_probs = LogProbs(load)
    for _ in range(3):
        look(log_probs)  # type: ignore[operator]  # each of them is a function
    assert load.calls == 1


def test_equality() -> None:
    """Log probabilities that say the same are equal, others are not."""
    assert LogProbs(Load(PARIS)) == LogProbs(Load(PARIS))
    assert LogProbs(Load(PARIS)) != LogProbs(Load(Position("Par", -2.3)))
    assert LogProbs(Load()) != "LogProbs"
    assert LogProbs(Load()).__eq__([]) is NotImplemented


def test_no_hash() -> None:
    """What is compared by its lists has no hash, as lists have none."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(LogProbs(Load()))


def test_repr_shows_no_token() -> None:
    """The repr counts the tokens and shows none: they are the answer."""
    assert repr(LogProbs(Load(PARIS, PARIS))) == "<LogProbs of 2 tokens>"


def test_copies_are_equal() -> None:
    """A copy says the same, whether or not the original was looked at."""
    log_probs = LogProbs(Load(PARIS))
    early = pickle.dumps(log_probs)
    assert len(log_probs) == 1
    restored = pickle.loads(early)  # noqa: S301 (our own bytes)
    assert copy.copy(log_probs) == log_probs == restored
    assert copy.deepcopy(log_probs).sampled == restored.sampled


def test_log_prob_that_overflows() -> None:
    """A server that sends 1000 as a log probability breaks neither prob nor display."""
    completion = read(body_of("x", logprobs={"content": [{"token": "x", "logprob": 1000}]}))
    assert completion.to_pretty_log_probs_string(show_probabilities=True)
