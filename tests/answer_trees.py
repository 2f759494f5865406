"""Small models: a random distribution of the next token, and how servers would list it."""

from __future__ import annotations

import json
import math
import random
import re
from codecs import utf_8_decode
from collections import defaultdict
from typing import TYPE_CHECKING

import attrs

from limin.values.tokens import TokenLogProb, TokenPosition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

END = b""  # The token that ends the answer.
MARKS = ' "*('  # The marks that a vocabulary of these tests has.
_UNIT = re.compile(r'[^"\\]|\\(?:["\\/bfnrt]|u[0-9a-f]{4})')  # A character of JSON.
STYLES = ("openai", "vllm", "llama.cpp")


@attrs.frozen
class Model:
    """A model whose answers have at most *depth* tokens: it is a tree."""

    vocabulary: tuple[bytes, ...]
    seed: int
    depth: int

    def probs(self, prefix: tuple[bytes, ...]) -> dict[bytes, float]:
        """The distribution of the next token."""
        chance = random.Random(repr((self.seed, prefix)))  # noqa: S311 (the same each time)
        weights = [chance.random() ** 4 + 1e-6 for _ in self.vocabulary]
        total = sum(weights)
        return {t: w / total for t, w in zip(self.vocabulary, weights, strict=True)}

    def answers(
        self, prefix: tuple[bytes, ...] = ()
    ) -> Iterator[tuple[list[bytes], float]]:
        """Every answer, and its probability."""
        if len(prefix) == self.depth or prefix[-1:] == (END,):
            yield [token for token in prefix if token], 1.0
            return
        for token, prob in self.probs(prefix).items():
            for answer, rest in self.answers((*prefix, token)):
                yield answer, prob * rest

    def sample(self) -> tuple[bytes, ...]:
        """One answer, with its end token if it has one."""
        chance = random.Random(self.seed)  # noqa: S311 (the same each time)
        prefix: tuple[bytes, ...] = ()
        while len(prefix) < self.depth and prefix[-1:] != (END,):
            probs = self.probs(prefix)
            prefix = (*prefix, *chance.choices(list(probs), list(probs.values())))
        return prefix

    def truth(self, labels: Sequence[str], *, fold: bool) -> dict[str | None, float]:
        """The probability of each label, and of none."""
        truth: defaultdict[str | None, float] = defaultdict(float)
        for answer, prob in self.answers():
            truth[label_of(answer, labels, fold=fold)] += prob
        return truth


def label_of(answer: list[bytes], labels: Sequence[str], *, fold: bool) -> str | None:
    """The label that *answer* is, by the definition, one character at a time."""
    whole = b"".join(answer)
    text = whole.decode("utf-8", "replace")
    ends = {len(text)}
    size = 0
    for token in answer:
        size += len(token)
        start, pending = decoded(whole[:size])
        if not pending:
            ends.add(len(start))
    begin = len(text) - len(text.lstrip(MARKS)) if fold else 0
    spelled, found = "", None
    for index in range(begin, len(text)):
        spelled += text[index].casefold() if fold else text[index]
        after = text[index + 1 : index + 2]
        are_word = text[index].isalnum() and after.isalnum()
        is_end = index + 1 in ends or not (are_word and (text[index] + after).isascii())
        for label in labels:
            if spelled == (label.casefold() if fold else label) and is_end:
                found = label
    return found


def decoded(data: bytes) -> tuple[str, bytes]:
    """The text of *data*, and the bytes of a character that has not ended."""
    text, length = utf_8_decode(data, "replace", False)  # noqa: FBT003 (takes no names)
    return text, data[length:]


def so_far(tokens: Iterable[bytes]) -> str:
    """The text of *tokens*, without a character that has not ended."""
    return decoded(b"".join(tokens))[0]


def value_of(answer: list[bytes], values: Sequence[str]) -> str | None:
    """The value that *answer*, the inside of a JSON text, is; escapes are decoded."""
    text = b"".join(answer).decode()
    ends = {sum(map(len, answer[:count])) for count in range(1, len(answer) + 1)}
    found = "" if text.startswith('"') and "" in values else None
    spelled, index = "", 0
    while unit := _UNIT.match(text, index):
        index = unit.end()
        spelled += str(json.loads(f'"{unit[0]}"'))
        if spelled in values and (index in ends or text.startswith('"', index)):
            found = spelled
    return found


def listing(model: Model, style: str, k: int) -> list[TokenPosition]:
    """The log probabilities of the sampled answer, as a server of *style* lists them."""
    positions: list[TokenPosition] = []
    sampled = model.sample()
    merged = b""
    for index, token in enumerate(sampled):
        prefix = sampled[:index]
        probs = model.probs(prefix)
        if style == "openai" and token == END:
            break
        ranked = sorted(probs, key=probs.__getitem__, reverse=True)
        if style == "vllm":
            ranked = [token, *(other for other in ranked if other != token)]
        top = tuple(shown(t, probs[t], prefix, model, style) for t in ranked[:k])
        own = shown(token, probs[token], prefix, model, style)
        if style == "llama.cpp":
            merged += token
            if decoded(merged)[1]:
                continue  # llama.cpp joins the tokens of a character.
            text, merged = merged, b""
            own = attrs.evolve(own, token=text.decode("utf-8", "replace"), token_bytes=text)
        positions.append(TokenPosition(sampled=own, alternatives=top))
    return positions


def shown(
    token: bytes, prob: float, prefix: tuple[bytes, ...], model: Model, style: str
) -> TokenLogProb:
    """One token as a server of *style* shows it."""
    log_prob = math.log(prob)
    if style == "llama.cpp":
        text = token.decode("utf-8", "ignore")
        return TokenLogProb(text, log_prob, token, model.vocabulary.index(token))
    if token == END:
        return TokenLogProb("<|im_end|>", log_prob, b"<|im_end|>")
    if style == "openai":
        return TokenLogProb(token.decode("utf-8", "replace"), log_prob, token)
    pending = decoded(b"".join(prefix))[1]
    for data in (pending + token, token):
        text, rest = decoded(data)
        if rest:
            return TokenLogProb("", log_prob, b"")
        if "\ufffd" not in text:
            return TokenLogProb(text, log_prob, text.encode())
    return TokenLogProb("\ufffd", log_prob, None)
