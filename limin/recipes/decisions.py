"""Decisions: put a question with its labels, ask, and read which label the answer is."""

from __future__ import annotations

import math
import random
import string
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, cast

import attrs

from limin.errors import (
    AnswerWarningError,
    BadRequestError,
    ConfigurationError,
    ConversationError,
    LogProbsMissingError,
)
from limin.recipes.answer_start import find_answer
from limin.values.checks import describe_type
from limin.values.conversation import Conversation
from limin.values.labels.checks import check_labels
from limin.values.labels.orders import average, renamed
from limin.values.labels.probs import label_in_text, label_probs
from limin.values.messages import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
_INDENT = "\n   "  # Of the further lines of a label, which could pass for other labels.

# A gateway may name its own largest number, and the server behind it another one.
_MOST_REFUSALS = 2


@attrs.frozen(kw_only=True)
class Style:
    """How questions are put and answers read; see `DecisionOptions`."""

    by: By = "letter"
    orders: int = 1
    prefill: str | None = None
    continues: bool = False
    fold: bool = True
    fallback: Fallback | None = None

    def check_labels(self, labels: object) -> list[str] | list[int]:
        """Return *labels* as plain texts or numbers.

        Raises:
            ConfigurationError: If they cannot be told apart, there are more labels than
                letters, or several orders of labels that are not listed.
        """
        keys, _ = check_labels(labels, folds=self.fold and self.by == "text")
        is_listed = self.lists(keys)
        if is_listed and len(keys) > len(_LETTERS):
            expected = f"at most {len(_LETTERS)} under letters, or by='text'"
            problem = f"labels: expected {expected}, found {len(keys)}"
            raise ConfigurationError(problem)
        if self.orders > 1 and not is_listed:
            expected = "1, because only labels under letters have an order"
            problem = f"orders: expected {expected}, found {self.orders}"
            raise ConfigurationError(problem)
        return keys

    def lists(self, labels: Sequence[object]) -> bool:
        """Return whether *labels* are listed under letters; numbers never are."""
        return self.by == "letter" and isinstance(labels[0], str)


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

        Args:
            conversation: The question.
            labels: The labels, which were checked by the style.

        Raises:
            AnswerWarningError: If there are warnings, and these are to be raised.
            LogProbsMissingError: If no log probabilities came, and the text is not to
                decide.
            LiminError: If there is no answer.
        """
        style = self._style
        if style.lists(labels):
            texts = cast("Sequence[str]", labels)
            orders = find_orders(texts, style.orders, _question(conversation))
            decisions = [await self._by_letter(conversation, order) for order in orders]
            mean = average([_in_order(each, texts) for each in decisions])
            decision = cast("Decision[LabelT]", mean)
        else:
            asked = with_prefill(conversation, style)
            decision = self._read(await self._complete(asked), labels)
        completion = cast("TextCompletion[object]", decision.completion)
        try:
            self._report(completion, decision.warnings)
        except AnswerWarningError as error:
            error.decision = cast("Decision[str] | Decision[int]", decision)
            raise
        return decision

    async def _by_letter(
        self, conversation: Conversation, order: Sequence[str]
    ) -> Decision[str]:
        asked = with_prefill(with_letters(conversation, order), self._style)
        letters = _LETTERS[: len(order)]
        decision = self._read(await self._complete(asked), list(letters))
        return renamed(decision, dict(zip(order, letters, strict=True)))

    async def _complete(self, asked: Conversation) -> TextCompletion[object]:
        """Return the completion of *asked*, with the alternatives that the server takes."""
        refusals = 0
        while True:
            n_alternatives = self._known.fit(self._n_alternatives)
            try:
                return await self._ask(n_alternatives)(asked)
            except BadRequestError as error:
                refusals += 1
                is_learnt = self._known.learn(error, n_alternatives)
                if refusals > _MOST_REFUSALS or not is_learnt:
                    raise

    def _read(
        self, completion: TextCompletion[object], labels: Sequence[LabelT]
    ) -> Decision[LabelT]:
        keys, fold = cast("Sequence[str]", labels), self._style.fold
        if completion.log_probs is not None:
            start = find_answer(completion, completion.log_probs)
            decision = label_probs(completion.log_probs, keys, fold=fold, start=start)
        elif self._style.fallback == "text":
            decision = label_in_text(completion.message, keys, fold=fold)
        else:
            raise LogProbsMissingError(completion)
        decided = attrs.evolve(decision, completion=completion)
        return cast("Decision[LabelT]", decided)


def first_request(
    conversation: Conversation, labels: Sequence[object], style: Style
) -> Conversation:
    """Return what the model is asked first to decide between *labels*.

    Raises:
        ConversationError: If *conversation* cannot be asked about in this style.
    """
    if style.lists(labels):
        texts = cast("Sequence[str]", labels)
        (order,) = find_orders(texts, 1, _question(conversation))
        conversation = with_letters(conversation, order)
    return with_prefill(conversation, style)


def split_item(item: object) -> tuple[object, object]:
    """Return the prompt and the labels of an *item*, which is a pair of them.

    Raises:
        ConfigurationError: If it is no pair.
    """
    pair = cast("tuple[object, ...]", item)
    if not isinstance(item, (tuple, list)):
        found = describe_type(item)
    elif len(pair) != 2:  # noqa: PLR2004 (a pair)
        found = f"{len(pair)} entries"
    else:
        return pair[0], pair[1]
    problem = f"expected a pair of a prompt and its labels, found {found}"
    raise ConfigurationError(problem)


def find_orders(labels: Sequence[str], number: int, question: str) -> list[list[str]]:
    """Return *number* orders of *labels*, or all there are; for the same question the same.

    The first is drawn by chance. The next ones are turned by one place each, so that
    each label stands in each place; after all places another one is drawn. It makes no
    difference in which order the labels are given.
    """
    given = sorted(labels)
    seed = "\n".join([question, *given]).encode("utf-8", "surrogatepass")
    chance = random.Random(seed)  # noqa: S311 (no secret)
    orders: dict[tuple[str, ...], None] = {}
    number = min(number, math.factorial(len(given)))
    while len(orders) < number:
        chance.shuffle(given)
        orders |= {(*given[place:], *given[:place]): None for place in range(len(given))}
    return [list(order) for order in orders][:number]


def with_letters(conversation: Conversation, order: Sequence[str]) -> Conversation:
    """Return *conversation* with the labels under letters, behind its last user message.

    Raises:
        ConversationError: If it has no user message.
    """
    listed = [
        f"{letter}. {_INDENT.join(label.splitlines())}"
        for letter, label in zip(_LETTERS, order, strict=False)
    ]
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


def with_prefill(conversation: Conversation, style: Style) -> Conversation:
    """Return *conversation* with the beginning of the answer, if there is to be one.

    Raises:
        ConversationError: If the answer begins twice, or not at all and is to be continued.
    """
    is_begun = conversation.messages[-1].role == "assistant"
    if style.prefill is None:
        if style.continues and not is_begun:
            problem = "continue_prefill: expected an answer that is begun, found none"
            raise ConversationError(problem)
        return conversation
    if is_begun:
        problem = "prefill: expected no assistant message at the end beside it, found one"
        raise ConversationError(problem)
    messages = [*conversation.messages, Message("assistant", style.prefill)]
    return Conversation(messages, metadata=conversation.metadata)


def _parts(content: object) -> tuple[Part, ...]:
    return cast("tuple[Part, ...]", content)


def _question(conversation: Conversation) -> str:
    return "\n".join(message.text for message in conversation.messages)


def _in_order(decision: Decision[str], labels: Sequence[str]) -> Decision[str]:
    """Return *decision* with its labels in the order of the user."""
    return renamed(decision, {label: label for label in labels})
