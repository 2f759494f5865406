"""Decisions: put a question with its labels, ask, and read which label the answer is."""

from __future__ import annotations

import random
import string
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, cast

import attrs

from limin.errors import (
    BadRequestError,
    ConfigurationError,
    ConversationError,
    LogProbsMissingError,
)
from limin.values.checks import describe_type
from limin.values.conversation import Conversation
from limin.values.decision_orders import average, renamed
from limin.values.label_probs import label_in_text, label_probs
from limin.values.messages import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from limin.recipes.alternatives import Alternatives
    from limin.recipes.ask import Ask
    from limin.values.completion import TextCompletion
    from limin.values.content import Part
    from limin.values.decisions import Decision
    from limin.values.warnings import ResponseWarning

By: TypeAlias = Literal["letter", "text"]
Fallback: TypeAlias = Literal["text"]

LabelT = TypeVar("LabelT")

_LETTERS = string.ascii_uppercase
_INSTRUCTION = "Answer with the letter alone."


@attrs.frozen(kw_only=True)
class Style:
    """How questions are put and answers read; see `DecisionOptions`."""

    by: By = "letter"
    orders: int = 1
    prefill: str | None = None
    fold: bool = True
    fallback: Fallback | None = None


class Decider:
    """Decides by asking a model."""

    def __init__(
        self,
        ask: Callable[[int], Ask],
        style: Style,
        *,
        n_alternatives: int,
        known: Alternatives,
        report: Callable[[TextCompletion[object], tuple[ResponseWarning, ...]], None],
    ) -> None:
        """Ask for *n_alternatives*, or for as many as the server takes.

        Args:
            ask: Returns a function that asks for a number of alternatives.
            style: How questions are put, and answers read.
            n_alternatives: The number of alternatives to ask for.
            known: What is known of the server's largest number.
            report: Reports the warnings of a decision.
        """
        self._ask, self._style, self._report = ask, style, report
        self._n_alternatives, self._known = n_alternatives, known

    async def __call__(
        self, conversation: Conversation, labels: Sequence[LabelT]
    ) -> Decision[LabelT]:
        """Return which of *labels* the answer to *conversation* is.

        Raises:
            LogProbsMissingError: If no log probabilities came, and the text is not to
                decide.
            LiminError: If there is no answer.
        """
        style, are_numbers = self._style, all(isinstance(label, int) for label in labels)
        check_style(style, labels)
        if style.by == "text" or are_numbers:
            asked = _with_prefill(conversation, style.prefill)
            decision = self._read(await self._complete(asked), labels)
        else:
            texts = cast("Sequence[str]", labels)
            orders = find_orders(texts, style.orders, _question(conversation))
            decisions = [await self._by_letter(conversation, order) for order in orders]
            mean = average([_in_order(each, texts) for each in decisions])
            decision = cast("Decision[LabelT]", mean)
        if decision.completion is not None:
            self._report(decision.completion, decision.warnings)
        return decision

    async def _by_letter(
        self, conversation: Conversation, order: Sequence[str]
    ) -> Decision[str]:
        asked = _with_prefill(with_letters(conversation, order), self._style.prefill)
        letters = _LETTERS[: len(order)]
        decision = self._read(await self._complete(asked), list(letters))
        return renamed(decision, dict(zip(order, letters, strict=True)))

    async def _complete(self, asked: Conversation) -> TextCompletion[object]:
        """Return the completion of *asked*, with the alternatives that the server takes."""
        while True:
            n_alternatives = self._n_alternatives
            if self._known.most is not None:
                n_alternatives = min(n_alternatives, self._known.most)
            try:
                return await self._ask(n_alternatives)(asked)
            except BadRequestError as error:
                if not self._known.learn(error, n_alternatives):
                    raise

    def _read(
        self, completion: TextCompletion[object], labels: Sequence[LabelT]
    ) -> Decision[LabelT]:
        keys, fold = cast("Sequence[str]", labels), self._style.fold
        if completion.log_probs is not None:
            decision = label_probs(completion.log_probs, keys, fold=fold)
        elif self._style.fallback == "text":
            decision = label_in_text(completion.message, keys, fold=fold)
        else:
            raise LogProbsMissingError(completion)
        decided = attrs.evolve(decision, completion=completion)
        return cast("Decision[LabelT]", decided)


def split_item(item: object) -> tuple[object, list[str]]:
    """Return the prompt and the labels of an *item*, which is a pair of them.

    Raises:
        ConfigurationError: If it is no pair.
    """
    pair = cast("tuple[object, ...]", item)
    if not isinstance(item, (tuple, list)) or len(pair) != 2:  # noqa: PLR2004 (a pair)
        kind = describe_type(item)
        problem = f"expected a pair of a prompt and its labels, found {kind}"
        raise ConfigurationError(problem)
    prompt, labels = pair
    return prompt, list(cast("Iterable[str]", labels))


def check_style(style: Style, labels: Sequence[object]) -> None:
    """Refuse a *style* that cannot decide between *labels*.

    Raises:
        ConfigurationError: If there are more labels than letters, or several orders of
            labels that are not listed.
    """
    is_listed = style.by == "letter" and not all(isinstance(each, int) for each in labels)
    if is_listed and len(labels) > len(_LETTERS):
        expected = f"at most {len(_LETTERS)} labels by letter"
        problem = f"labels: expected {expected}, found {len(labels)}"
        raise ConfigurationError(problem)
    if style.orders > 1 and not is_listed:
        expected = "1, because only labels under letters have an order"
        problem = f"orders: expected {expected}; found {style.orders}"
        raise ConfigurationError(problem)


def find_orders(labels: Sequence[str], number: int, question: str) -> list[list[str]]:
    """Return *number* orders of *labels*, the same ones for the same question each time.

    The first is drawn by chance. The next ones are turned by one place each, so that
    each label stands in each place; after all places another one is drawn.
    """
    chance = random.Random("\n".join([question, *labels]))  # noqa: S311 (no secret)
    orders: list[list[str]] = []
    while len(orders) < number:
        order = list(labels)
        chance.shuffle(order)
        orders += [order[place:] + order[:place] for place in range(len(order))]
    return orders[:number]


def with_letters(conversation: Conversation, order: Sequence[str]) -> Conversation:
    """Return *conversation* with the labels under letters, behind its last user message.

    Raises:
        ConversationError: If it has no user message.
    """
    listed = [f"{letter}. {label}" for letter, label in zip(_LETTERS, order, strict=False)]
    options = "\n".join(["", "", *listed, "", _INSTRUCTION])
    messages = list(conversation.messages)
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message.role == "user":
            content = message.content
            is_text = content is None or isinstance(content, str)
            added = f"{content or ''}{options}" if is_text else (*_parts(content), options)
            messages[index] = attrs.evolve(message, content=added, omit_content=False)
            return Conversation(messages, metadata=conversation.metadata)
    problem = "expected a user message, behind which the labels are listed"
    raise ConversationError(problem)


def _parts(content: object) -> tuple[Part, ...]:
    return cast("tuple[Part, ...]", content)


def _question(conversation: Conversation) -> str:
    return "\n".join(message.text for message in conversation.messages)


def _with_prefill(conversation: Conversation, prefill: str | None) -> Conversation:
    if prefill is None:
        return conversation
    messages = [*conversation.messages, Message("assistant", prefill)]
    return Conversation(messages, metadata=conversation.metadata)


def _in_order(decision: Decision[str], labels: Sequence[str]) -> Decision[str]:
    """Return *decision* with its labels in the order of the user."""
    return renamed(decision, {label: label for label in labels})
