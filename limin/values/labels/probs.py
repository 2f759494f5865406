"""Which label an answer is, with bounds: from log probabilities whose lists are cut.

The event is that of `texts`: the answer's text, from the first token that is read,
begins with the label behind the marks before it, and the label ends there. Every number
is about its probability before the answer was sampled, under the model's distribution as
the server reports it, and every bound holds:

- What a token settles is known. Its probability, multiplied by those of the sampled tokens
  before it, is a label's `low`, or `other`.
- What it does not settle may become each label that it begins, and that label's `high` has
  it. If it is the sampled token, the next position tells more.
- What is not listed may become whatever the tokens before it leave open: before the answer
  anything (`unlisted`), behind `1` only `1` or `10`.
- Each token is taken at its text, so the texts must join to the answer: a completion says
  by a warning, `text-mismatch`, if they do not.
- What a server did not tell is unlisted: a token without a log probability or a text, one
  listed twice, numbers that are no probabilities, tokens behind ones that were lost.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar, overload

import attrs

from limin.values.checks import check_flag, check_integer, refuse
from limin.values.decisions import Decision
from limin.values.labels.checks import check_labels, check_log_probs, check_values
from limin.values.labels.listed_tokens import NoText, SampledPath
from limin.values.labels.texts import NONE, exact_labels, folded_labels, json_labels
from limin.values.warnings import ResponseWarning, WarningCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from limin.values.labels.listed_tokens import Content
    from limin.values.labels.texts import LabelTexts, Progress, Runs
    from limin.values.tokens import TokenPosition

ValueT = TypeVar("ValueT", bound="str | int | float | None")

_LONGEST_CHARACTER = 16  # More than the bytes of one, and of what is dropped around it.
_HALF = 0.5
_PATH = "$.choices[0].logprobs.content"


@overload
def label_probs(
    log_probs: Sequence[TokenPosition],
    labels: Iterable[str],
    *,
    fold: bool = True,
    start: int = 0,
) -> Decision[str]: ...


@overload
def label_probs(
    log_probs: Sequence[TokenPosition],
    labels: Iterable[int],
    *,
    fold: bool = True,
    start: int = 0,
) -> Decision[int]: ...


def label_probs(
    log_probs: Sequence[TokenPosition],
    labels: Iterable[str] | Iterable[int],
    *,
    fold: bool = True,
    start: int = 0,
) -> Decision[str] | Decision[int]:
    """Return which label an answer is, how sure that is, and what cannot be known.

    The answer is a label if its text begins with it behind blanks, quotes, brackets and
    markup, and the label ends with a token, or before a character that does not go on with
    its word. Of several such labels it is the longest.

    Args:
        log_probs: Log probabilities of an answer, `completion.log_probs`, with
            alternatives: only what the server listed is known.
        labels: Texts, or whole numbers such as `range(1, 6)`.
        fold: Whether case does not matter, and blanks, quotes, brackets and markup may
            come before the label. Otherwise the answer must begin with the very text.
        start: Index of the token with which the answer begins. Everything is then about
            the answers that have the sampled tokens before it.

    Raises:
        ConfigurationError: If there are no labels, one is blank, or two are the same; if
            *log_probs* are none.
    """
    positions = check_log_probs(log_probs)
    keys, texts = check_labels(labels, folds=check_flag("fold", fold))
    label_texts = folded_labels(texts) if fold else exact_labels(texts)
    return _decide(positions, keys, label_texts, check_integer("start", start, 0))


def field_probs(
    log_probs: Sequence[TokenPosition],
    values: Iterable[ValueT],
    *,
    first: int,
    offset: int = 0,
    is_quoted: bool = False,
) -> Decision[ValueT]:
    """Return which of its allowed values a scalar of a JSON answer is.

    Everything is about the answers that have the sampled tokens before *first*. Texts are
    compared exactly. An escape that a value need not have may stand for any character.

    Args:
        log_probs: Log probabilities of the answer.
        values: The allowed values: texts, numbers, True, False or None.
        first: Index of the token with which the value begins.
        offset: Number of bytes that this token has before the value, and before the
            first character of a text: 1 for `"Fra`.
        is_quoted: Whether the quotation mark of a text is in a token before *first*.

    Raises:
        ConfigurationError: If there are no values, or two are equal; if there is no token
            *first*.
    """
    keys, texts = check_values(values, is_quoted=is_quoted)
    if check_integer("first", first, 0) >= len(log_probs):
        refuse("first", first, "the index of a token")
    sampled = log_probs[first].sampled
    own = sampled.token_bytes or sampled.token.encode()
    opening = (
        own[: check_integer("offset", offset, 0)].decode("utf-8", "replace").rstrip('"')
    )
    label_texts = json_labels(texts, opening, is_quoted=is_quoted)
    return _decide(log_probs, keys, label_texts, first)


def label_in_text(
    text: str, labels: Iterable[ValueT], *, fold: bool = True
) -> Decision[ValueT]:
    """Return which label *text* begins with, of which no probability is known.

    The decision is never certain, and has the warning `decided-by-text`.

    Raises:
        ConfigurationError: If the labels cannot be told apart; see `label_probs`.
    """
    keys, texts = check_labels(labels, folds=fold)
    label_texts = folded_labels(texts) if fold else exact_labels(texts)
    progress = label_texts.read_on(label_texts.beginning(), text.encode(errors="replace"))
    ended = progress.at_end().ended
    problem = "no log probabilities came, so the text of the answer decided"
    return Decision(
        low=dict.fromkeys(keys, 0.0),
        high=dict.fromkeys(keys, 1.0),
        unfinished=0.0,
        ambiguous=0.0,
        unlisted=1.0,
        other=0.0,
        warnings=(ResponseWarning(WarningCode.DECIDED_BY_TEXT, _PATH, problem),),
        text_label=None if ended < 0 else keys[label_texts.order.index(ended)],
    )


def _decide(
    log_probs: Sequence[TokenPosition],
    keys: Sequence[ValueT],
    texts: LabelTexts,
    start: int,
) -> Decision[ValueT]:
    length = len(log_probs)
    start = min(start, length)
    path, masses = SampledPath(log_probs, start), _Masses(texts)
    beginning = _follow(path, masses, length, start)
    low, high = masses.low, masses.high()
    winner = max(texts.order, key=low.__getitem__)
    agrees = _agrees(path, texts, length, start, winner) if low[winner] else None
    index = start if beginning.position is None else beginning.position
    return Decision(
        low={key: low[number] for key, number in zip(keys, texts.order, strict=True)},
        high={key: high[number] for key, number in zip(keys, texts.order, strict=True)},
        unfinished=masses.unfinished,
        ambiguous=masses.ambiguous,
        unlisted=masses.unlisted,
        other=masses.other,
        argmax_is_label=beginning.argmax_is_label,
        agrees=agrees,
        position=beginning.position,
        warnings=_warnings(
            f"{_PATH}[{index}]", math.fsum(low), beginning.argmax_is_label, agrees
        ),
    )


class _Masses:
    """What the probability of an answer is divided into.

    Attributes:
        texts: The labels.
        low: What is sure of each label, in sorted order.
        unfinished: What begins one label.
        ambiguous: What may become several.
        unlisted: What may be anything.
        other: What is no label.
    """

    def __init__(self, texts: LabelTexts) -> None:
        self.texts = texts
        self.low = [0.0] * len(texts.texts)
        self.unfinished = self.ambiguous = self.unlisted = self.other = 0.0
        # How much more each label may have than the one before it.
        self._steps = [0.0] * (len(texts.texts) + 1)

    def add(self, progress: Progress, mass: float) -> None:
        """Add the *mass* of the answers that are where *progress* is."""
        if not progress.is_begun:
            self.unlisted += mass
        elif not progress.is_settled:
            self._add_open(progress.runs, mass)
        elif progress.ended == NONE:
            self.other += mass
        else:
            self.low[progress.ended] += mass

    def _add_open(self, runs: Runs, mass: float) -> None:
        if sum(stop - start for start, stop in runs) == 1:
            self.unfinished += mass
        else:
            self.ambiguous += mass
        for start, stop in runs:
            self._steps[start] += mass
            self._steps[stop] -= mass

    def high(self) -> list[float]:
        """Return what is possible of each label, in sorted order."""
        extras = accumulate(self._steps)
        return [
            min(low + max(extra, 0.0) + self.unlisted, 1.0)
            for low, extra in zip(self.low, extras, strict=False)
        ]


@attrs.frozen
class _Beginning:
    """Where an answer begins, and whether the likeliest token there is a label's."""

    position: int | None = None
    argmax_is_label: bool | None = None


def _follow(path: SampledPath, masses: _Masses, length: int, start: int) -> _Beginning:
    """Divide the probability along the sampled tokens, as far as they tell."""
    texts = masses.texts
    progress, weight, is_silent = texts.beginning(), 1.0, False
    beginning = _Beginning()
    for index in range(start, length):
        listed = path.listed(index, is_inside=is_silent or bool(progress.pending))
        if listed is None:
            break
        if is_silent and isinstance(listed.sampled, bytes) and listed.sampled[:1].isascii():
            break  # It completes no character, so the answer has one that is broken.
        after = _read_on(texts, progress, listed.sampled)
        # Behind a part of a character whose bytes are not known, the text of other tokens
        # is not known either.
        others = [
            (progress if is_silent else _read_on(texts, progress, token), prob)
            for token, prob in listed.others
        ]
        masses.add(progress, weight * listed.unlisted)
        for other, prob in others:
            masses.add(other, weight * prob)
        if after.is_begun and not progress.is_begun:
            argmax = _argmax_is_label(
                [(after, listed.sampled_prob), *others], listed.unlisted
            )
            beginning = _Beginning(index, argmax)
        progress, weight = after, weight * listed.sampled_prob
        is_silent = listed.sampled is NoText.SILENT
        if after.is_settled or after.is_escaped or listed.sampled is NoText.UNKNOWN:
            break
    masses.add(progress, weight)
    return beginning


def _read_on(texts: LabelTexts, before: Progress, token: Content) -> Progress:
    """Return the progress after *token*; without a text it may be anything."""
    if isinstance(token, bytes):
        return texts.read_on(before, token)
    return before.at_end() if token is NoText.END else before


def _argmax_is_label(
    tokens: Sequence[tuple[Progress, float]], unlisted: float
) -> bool | None:
    """Return whether the likeliest of *tokens* is or begins a label; None if not known."""
    most = max(prob for _, prob in tokens)
    if not most or (len(tokens) == 1 and most < unlisted):
        return None
    likeliest = [progress for progress, prob in tokens if prob == most]
    if any(progress.is_begun and progress.runs for progress in likeliest):
        return True
    return False if all(progress.is_begun for progress in likeliest) else None


def _agrees(
    path: SampledPath, texts: LabelTexts, length: int, start: int, winner: int
) -> bool | None:
    """Return whether the text of the answer is *winner*; None if it is too short to tell.

    Here a label must end before a character that does not go on with its word, whatever
    the tokens are, or with the text.
    """
    base = progress = texts.beginning()
    text = b""
    for index in range(start, length):
        content = path.own_content(index)
        if content is NoText.UNKNOWN:
            return None
        if content is NoText.END:
            return progress.at_end().ended == winner
        if content is NoText.SILENT:
            continue
        text += content
        progress = texts.read_on(base, text)
        if not progress.is_begun:
            base, text = progress, b""
        elif texts.is_decided(progress) or len(text) > _LONGEST_CHARACTER * texts.longest:
            break
    if progress.is_settled:
        return progress.ended == winner
    is_possible = any(first <= winner < stop for first, stop in progress.runs)
    return None if is_possible else False


def _warnings(
    path: str,
    mass: float,
    argmax_is_label: bool | None,  # noqa: FBT001 (an attribute of the decision)
    agrees: bool | None,  # noqa: FBT001 (an attribute of the decision)
) -> tuple[ResponseWarning, ...]:
    """Return the warnings about a decision, which name no label."""
    warnings: list[ResponseWarning] = []
    if mass < _HALF:
        problem = f"the labels have {mass:.2f} of the probability, less than half"
        warnings.append(ResponseWarning(WarningCode.LABEL_MASS_LOW, path, problem))
    if argmax_is_label is False:
        problem = "the likeliest token where the answer begins is no label, and begins none"
        warnings.append(ResponseWarning(WarningCode.LIKELIEST_IS_NO_LABEL, path, problem))
    if agrees is False:
        problem = "the text of the answer is not the likeliest label"
        warnings.append(ResponseWarning(WarningCode.TEXT_DISAGREES, path, problem))
    return tuple(warnings)
