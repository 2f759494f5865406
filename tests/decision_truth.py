"""The truth about 30 questions to the real model, by its whole vocabulary.

`python tests/decision_truth.py` writes `data/decisions/truth.json` anew, in some minutes:
an answer with the whole vocabulary takes seconds. For each question the file has what the
server told at 1, 5 and 20 alternatives, and for each label the least and the greatest
probability that it can have. They are found without the code that reads decisions: the
likeliest beginnings of labels are followed one by one, each by a further request. Its
tokens are forced by biases, each smaller than the one before it, and a penalty for those
that stand there already: llama.cpp's log probabilities show neither. What was not followed
is the difference.
"""

from __future__ import annotations

import heapq
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import attrs

import limin
from limin.local import local_endpoint
from limin.recipes.decisions import find_orders, with_letters
from limin.values.labels.texts import folded_labels
from limin.values.tokens import TokenLogProb, TokenPosition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FILE = Path(__file__).parent / "data" / "decisions" / "truth.json"
ORDERS = FILE.with_name("orders.json")
YES_NO = ("yes", "no")
CUTS = (1, 5, 20)
_VOCABULARY = 49152  # The tokens of SmolLM2.
_FILLER = 65  # The token `Q`.
_STEP = 60.0  # More than the logits of two tokens differ.
_MOST_REQUESTS = 5  # For the beginnings of labels of one question.
_LEAST_MASS = 0.003  # Of a beginning that is followed.


@attrs.frozen
class Question:
    """A question to the model, and how its decision is asked for."""

    prompt: str
    labels: Sequence[str] | Sequence[int]
    by: str = "letter"
    prefill: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The options of the decision."""
        return {"by": self.by, "prefill": self.prefill, "max_tokens": 3}

    def names(self) -> dict[str, str]:
        """The text that the model is to answer with for each label."""
        if self.by == "text" or not isinstance(self.labels[0], str):
            return {str(label): str(label) for label in self.labels}
        (order,) = find_orders([str(label) for label in self.labels], 1, self.prompt)
        return dict(zip(order, "ABCDEFGH", strict=False))


def _words(prompt: str, *labels: str, prefill: str | None = None) -> Question:
    return Question(prompt, labels, "text", prefill)


_RATE = "On a scale from 1 to 5, how {} is {}? Answer with the number alone."
QUESTIONS = {
    "letter-whale": Question("Is a whale a fish?", ["yes", "no"]),
    "letter-france": Question(
        "What is the capital of France?", ["Rome", "Paris", "Berlin", "Madrid"]
    ),
    "letter-fruit": Question("Which is a fruit?", ["stone", "apple", "car"]),
    "letter-sum": Question("What is 2 + 2?", ["3", "4", "5", "22"]),
    "letter-sky": Question("What color is the sky?", ["green", "blue", "red"]),
    "letter-ice": Question("Is ice cold?", ["yes", "no", "perhaps"]),
    "letter-mood": Question(
        "What a wonderful day! The mood of this is", ["positive", "neutral", "negative"]
    ),
    "letter-planet": Question(
        "Which is the largest planet?", ["Mars", "Earth", "Jupiter", "Venus", "Saturn"]
    ),
    "letter-prefill": Question("Is fire hot?", ["yes", "no"], prefill="Answer:"),
    "letter-water": Question(
        "Water is made of", ["hydrogen and oxygen", "carbon", "iron"], prefill="("
    ),
    "word-whale": _words("Is a whale a fish? Answer yes or no.", "yes", "no"),
    "word-water": _words("Is water wet? Answer true or false.", "true", "false"),
    "word-prefill": _words("Is ice hot? Yes or no?", "yes", "no", prefill="Answer:"),
    "word-mood": _words(
        "I hate rain. Positive, negative or neutral? One word.",
        "positive",
        "negative",
        "neutral",
    ),
    "word-city": _words(
        "Which city is the Big Apple? Answer New, New York or York.",
        "New",
        "New York",
        "York",
        prefill="The city is",
    ),
    "word-prefixes": _words(
        "Can pigs fly? Answer no, not or nothing.", "no", "not", "nothing"
    ),
    "word-pieces": _words(
        "Which is a city in Switzerland, Zürich or Kraków? Answer with its name alone.",
        "Zürich",
        "Kraków",
        prefill="The city is",
    ),
    "word-quotes": _words('Answer "up" or "down". Where is the sky?', "up", "down"),
    "word-emoji": _words("Do you like it? Answer 👍 or 👎 alone.", "👍", "👎"),
    "word-chinese": _words("水是湿的吗? 回答是或不是。", "是", "不是"),
    "digit-chocolate": Question(_RATE.format("good", "chocolate"), range(1, 6)),
    "digit-war": Question(_RATE.format("good", "war"), range(1, 6)),
    "digit-rating": Question(
        "How good is chocolate from 1 to 5?", range(1, 6), prefill="Rating:"
    ),
    "digit-ten": Question("How good is rain from 1 to 10?", range(1, 11)),
    "digit-blank": Question(
        "How good is the film, from 1 to 10?", range(1, 11), prefill="Rating:"
    ),
    "digit-sum": Question("What is 3 + 4? The number alone.", range(10)),
    "digit-hundred": Question(
        "How many is ten times ten? The number alone.", [1, 10, 100, 1000]
    ),
    "digit-legs": Question("How many legs has a dog? A number.", [2, 4, 6, 8]),
    "digit-stars": Question("Stars for a bad hotel, 0 to 5:", range(6), prefill="Stars:"),
    "digit-age": Question("At which age do people go to school? A number.", [3, 6, 16, 60]),
}


@attrs.frozen
class _Open:
    """Tokens that begin a label: what they may become, and the label that they are."""

    path: tuple[TokenLogProb, ...]
    text: bytes
    labels: frozenset[str]
    ended: str | None


class _Truth:
    """What is known of the labels so far."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = {label.casefold(): label for label in labels}
        self.low = dict.fromkeys(labels, 0.0)
        self.queue: list[tuple[float, int, _Open]] = []
        self._marks = folded_labels(tuple(labels)).skipped
        self._added = 0

    def add(self, before: _Open, token: TokenLogProb, mass: float) -> None:
        """Add the *mass* of the answers that go on with *token*."""
        data = token.token_bytes or b""
        if not data:  # The end of the text.
            if before.ended is not None:
                self.low[before.ended] += mass
            return
        after = self._after(before, data)
        if not after.labels:
            if after.ended is not None:
                self.low[after.ended] += mass
            return
        self._added += 1
        path = attrs.evolve(after, path=(*before.path, token))
        heapq.heappush(self.queue, (-mass, self._added, path))

    def _after(self, before: _Open, data: bytes) -> _Open:
        whole = before.text + data
        spelled = whole.decode("utf-8", "ignore").lstrip(self._marks).casefold()
        if whole.decode("utf-8", "replace").endswith("\ufffd"):
            begun = whole.lstrip(self._marks.encode())
            longer = [x for x in before.labels if x.encode().startswith(begun)]
            return _Open((), whole, frozenset(longer), before.ended)
        if not spelled:
            return _Open((), whole, before.labels, None)
        ended = before.ended
        for folded in sorted(self.labels, key=len):
            following = spelled[len(folded) :]
            is_new = len(folded) > len(
                before.text.decode("utf-8", "ignore").lstrip(self._marks)
            )
            if spelled.startswith(folded) and is_new and not _goes_on(folded, following):
                ended = self.labels[folded]
        longer = [
            x
            for x in self.labels.values()
            if len(x) > len(spelled) and x.casefold().startswith(spelled)
        ]
        return _Open((), whole, frozenset(longer), ended)

    def bounds(self) -> dict[str, tuple[float, float]]:
        """The least and the greatest probability of each label."""
        high = dict(self.low)
        for mass, _, left in self.queue:
            for label in left.labels | ({left.ended} if left.ended else frozenset()):
                high[label] -= mass
        return {
            label: (round(low, 5), round(high[label], 5)) for label, low in self.low.items()
        }


def _goes_on(label: str, following: str) -> bool:
    both = label[-1] + following[:1]
    return bool(following) and both.isalnum() and both.isascii()


async def find_truth(
    client: limin.Client, asked: limin.Conversation, labels: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Return the least and the greatest probability of each of *labels*."""
    truth = _Truth(labels)
    start = _Open((), b"", frozenset(labels), None)
    pending: list[tuple[float, _Open]] = [(1.0, start)]
    left: list[tuple[float, int, _Open]] = []
    for _ in range(1 + _MOST_REQUESTS):
        mass, beginning = pending.pop()
        listed = await _next_tokens(client, asked, beginning.path)
        if listed is None:
            left.append((-mass, -len(left), beginning))
        else:
            for token in listed:
                truth.add(beginning, token, mass * (token.prob or 0.0))
        if not truth.queue or -truth.queue[0][0] < _LEAST_MASS:
            break
        negative, _, following = heapq.heappop(truth.queue)
        pending.append((-negative, following))
    left += [(-mass, -len(left) - 1, beginning) for mass, beginning in pending]
    truth.queue += left
    return truth.bounds()


async def _next_tokens(
    client: limin.Client, asked: limin.Conversation, path: tuple[TokenLogProb, ...]
) -> Sequence[TokenLogProb] | None:
    """Return the distribution behind the tokens of *path*; None if it cannot be had.

    The tokens are forced one behind the other, and then one that is no part of a
    character: llama.cpp joins parts, and tells the probabilities of the last one alone.
    """
    ids = [token.token_id for token in path]
    steps = [_STEP * (len(ids) + 1 - place) for place in range(len(ids) + 1)]
    bias = dict(zip((*ids, _FILLER), steps, strict=True))
    if len(bias) <= len(ids) or None in bias:
        return None
    completion = await client.generate_text_completion_for_conversation(
        asked,
        temperature=0.0,
        max_tokens=len(ids) + 1,
        log_probs=True,
        top_log_probs=_VOCABULARY,
        logit_bias={str(number): step for number, step in bias.items()},
        presence_penalty=steps[0],
        extra_body={"repeat_last_n": len(ids)},
    )
    positions = completion.log_probs or ()
    if not positions or positions[-1].sampled.token_id != _FILLER:
        return None
    return positions[-1].alternatives


def pack(positions: Sequence[TokenPosition]) -> list[list[Any]]:
    """Return *positions* as JSON, in few characters."""
    return [
        [_pack(p.sampled), [_pack(token) for token in p.alternatives]] for p in positions
    ]


def _pack(token: TokenLogProb) -> list[Any]:
    number = None if token.log_prob is None else round(token.log_prob, 4)
    data = token.token_bytes or b""
    return [token.token_id, number, token.token, data.hex()][
        : 3 + (data != token.token.encode())
    ]


def unpack(packed: list[list[Any]]) -> list[TokenPosition]:
    """Return the positions that were packed."""
    return [
        TokenPosition(sampled=_unpack(sampled), alternatives=tuple(map(_unpack, others)))
        for sampled, others in packed
    ]


def _unpack(packed: list[Any]) -> TokenLogProb:
    number, log_prob, text, *data = packed
    return TokenLogProb(
        text, log_prob, bytes.fromhex(data[0]) if data else text.encode(), number
    )


async def _facts(client: limin.Client, question: Question) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for cut in CUTS:
        decision: limin.Decision[Any] = await client.generate_decision(
            question.prompt, question.labels, top_log_probs=cut, **question.options
        )
        assert decision.completion is not None
        answers[str(cut)] = pack(decision.completion.log_probs or ())
        asked = decision.completion.conversation
    names = question.names()
    truth = await find_truth(client, asked, list(names.values()))
    return {
        "truth": {label: truth[name] for label, name in names.items()},
        "answers": answers,
    }


def _text(facts: Mapping[str, object]) -> str:
    """Return *facts* as JSON, a line for each."""
    lines: list[str] = []
    for name, each in facts.items():
        packed = json.dumps(each, ensure_ascii=False, separators=(",", ":"))
        lines.append(f"{json.dumps(name)}: {packed}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


async def _orders(client: limin.Client) -> dict[str, list[dict[str, float]]]:
    """Return the probabilities of the labels under letters, for each of many orders."""
    found: dict[str, list[dict[str, float]]] = {}
    for name, question in QUESTIONS.items():
        if name.startswith("letter") and len(question.labels) > len(YES_NO):
            asked = limin.Conversation.from_prompts(question.prompt)
            texts = [str(label) for label in question.labels]
            found[name] = []
            for order in find_orders(texts, 2 * len(texts), question.prompt):
                letters = list("ABCDEFGH"[: len(order)])
                completion = await client.generate_text_completion_for_conversation(
                    with_letters(asked, order),
                    temperature=0.0,
                    max_tokens=1,
                    log_probs=True,
                    top_log_probs=20,
                )
                probs = limin.label_probs(completion.log_probs or (), letters).probs
                named = zip(order, letters, strict=True)
                found[name].append({label: round(probs[x], 4) for label, x in named})
    return found


async def _main() -> None:
    facts: dict[str, dict[str, Any]] = {}
    async with (
        local_endpoint(n_ctx=1024) as endpoint,
        limin.Client(endpoint.base_url, "", timeout=None) as client,
    ):
        for name, question in QUESTIONS.items():
            facts[name] = await _facts(client, question)
            print(name, facts[name]["truth"], flush=True)  # noqa: T201 (a script)
        orders = await _orders(client)
    FILE.write_text(_text(facts), encoding="utf-8")
    ORDERS.write_text(_text(orders), encoding="utf-8")


if __name__ == "__main__":
    anyio.run(_main)
