from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from answers import Script, answer_body, listed_labels
from builders import body_of
from hypothesis import given
from hypothesis import strategies as st

from limin.errors import (
    BadRequestError,
    ConfigurationError,
    ConversationError,
    LogProbsMissingError,
)
from limin.recipes.alternatives import Alternatives
from limin.recipes.decisions import (
    Decider,
    Style,
    find_orders,
    split_item,
    with_letters,
    with_prefill,
)
from limin.values.content import Image
from limin.values.conversation import Conversation
from limin.values.messages import Message
from limin.values.warnings import ResponseWarning, WarningCode

if TYPE_CHECKING:
    from answers import Reply

    from limin.values.decisions import Decision

QUESTION = Conversation.from_prompts("Is a whale a fish?", "You know animals.")


async def decide(
    reply: Reply, labels: Any, question: Conversation = QUESTION, **style: Any
) -> tuple[Decision[Any], Script]:
    """Return a decision about *labels*, and what was asked for it."""
    script = Script(reply)
    how = Style(**style)
    decider = Decider(
        script,
        how,
        n_alternatives=20,
        known=Alternatives(),
        report=lambda _completion, _warnings: None,
    )
    return await decider(question, how.check_labels(labels)), script


def always(body: dict[str, Any]) -> Reply:
    """Return a reply that is the same each time."""
    return lambda _conversation, _number: body


def prefers(label: str) -> Reply:
    """Return a reply that gives the letter of *label* 0.5, and each other one 0.1."""

    def reply(conversation: Conversation, _number: int) -> dict[str, Any]:
        labels = listed_labels(conversation.messages[-1].text)
        letters = dict(zip(labels, "ABCDEFGH", strict=False))
        probs = {letters[label]: 0.5} | dict.fromkeys(letters.values(), 0.1)
        return answer_body(probs | {letters[label]: 0.5})

    return reply


async def test_letters_stand_for_labels() -> None:
    """The labels are listed in a drawn order, and the decision is about the labels."""
    decision, script = await decide(prefers("no"), ["yes", "no", "perhaps"])
    assert list(decision.low) == ["yes", "no", "perhaps"]
    assert decision.label == "no"
    assert decision.low["no"] == pytest.approx(0.5)
    assert decision.low["yes"] == pytest.approx(0.1)
    assert decision.agrees
    assert decision.spread is None
    ((number, asked),) = script.asked
    assert number == 20
    assert decision.completion is not None
    assert decision.completion.conversation is asked
    system, user = asked.messages
    assert system.text == "You know animals."
    assert user.text.startswith("Is a whale a fish?\n\nA. ")
    assert user.text.endswith("\n\nAnswer with the letter alone.")
    assert sorted(listed_labels(user.text)) == ["no", "perhaps", "yes"]


async def test_orders_are_averaged() -> None:
    """A model that always says A prefers the place, which the spread tells."""
    reply = always(answer_body({"A": 0.8, "B": 0.2}))
    decision, script = await decide(reply, ["yes", "no"], orders=2)
    assert decision.probs == pytest.approx({"yes": 0.5, "no": 0.5})
    assert decision.spread == pytest.approx(0.6)
    first, second = (listed_labels(asked.messages[-1].text) for _, asked in script.asked)
    assert first == second[::-1]
    codes = [warning.code for warning in decision.warnings]
    assert codes == [WarningCode.ORDERS_DISAGREE]


async def test_letters_tell_labels_of_one_fold_apart() -> None:
    """Under letters, cobalt and carbon monoxide are two answers."""
    decision, _ = await decide(prefers("CO"), ["Co", "CO"])
    assert decision.label == "CO"


async def test_text_is_asked_for_as_it_is() -> None:
    """Nothing is added to a question that says itself how to answer."""
    reply = always(answer_body({" Yes": 0.6, "No": 0.3}))
    decision, script = await decide(reply, ["yes", "no"], by="text")
    assert decision.low == pytest.approx({"yes": 0.6, "no": 0.3})
    assert script.asked == [(20, QUESTION)]


async def test_numbers_stand_for_themselves() -> None:
    """A scale is not listed under letters, and its mean is a score."""
    reply = always(answer_body({"4": 0.75, "2": 0.25}))
    decision, script = await decide(reply, range(1, 6))
    assert decision.expected == pytest.approx(3.5)
    assert script.asked == [(20, QUESTION)]


async def test_prefill_begins_the_answer() -> None:
    """The beginning of the answer is the last message, behind the listed labels."""
    reply = always(answer_body({" A": 0.6, " B": 0.3}))
    decision, script = await decide(reply, ["yes", "no"], prefill="Answer:")
    ((_, asked),) = script.asked
    assert asked.messages[-1] == Message("assistant", "Answer:")
    assert "A. " in asked.messages[-2].text
    assert decision.mass == pytest.approx(0.9)


async def test_repeated_prefill_is_no_answer() -> None:
    """llama.cpp repeats the beginning of the answer, which is not read as one."""
    body = answer_body({" no": 0.6, " yes": 0.3}, text="It is yes or no no")
    decision, _ = await decide(
        always(body), ["yes", "no"], by="text", prefill="It is yes or no"
    )
    assert decision.label == "no"
    assert decision.agrees
    body["choices"][0]["logprobs"] = None
    decision, _ = await decide(
        always(body), ["yes", "no"], by="text", prefill="It is yes or no", fallback="text"
    )
    assert decision.label == "no"


async def test_reasoning_is_no_answer() -> None:
    """Tokens of reasoning, which llama.cpp lists before the answer, are passed over."""
    tokens = [{text: 0.9, "x": 0.05} for text in ("<think>", "yes?", "</think>")]
    body = answer_body(
        *tokens, {"no": 0.7, "yes": 0.2}, text="no", reasoning_content="yes?"
    )
    decision, _ = await decide(always(body), ["yes", "no"], by="text")
    assert decision.low == pytest.approx({"yes": 0.2, "no": 0.7})
    assert decision.position == 3


async def test_no_log_probs() -> None:
    """Without log probabilities there is no decision, and the error has the answer."""
    with pytest.raises(LogProbsMissingError) as caught:
        await decide(always(body_of("yes")), ["yes", "no"], by="text")
    assert caught.value.completion.message == "yes"


@pytest.mark.parametrize("labels", [["yes", "no"], ["yes"]])
async def test_text_alone(labels: list[str]) -> None:
    """The text may decide instead, through letters too, and is never certain."""
    decision, _ = await decide(always(body_of("A")), labels, fallback="text")
    assert decision.label in labels
    assert decision.text_label == decision.label
    assert not decision.is_certain
    assert decision.probs == {}
    assert [w.code for w in decision.warnings] == [WarningCode.DECIDED_BY_TEXT]


def by_text(*letters: str) -> Reply:
    """Return a reply with each of *letters* in turn, and no log probabilities."""
    rest = list(letters)
    return lambda _conversation, _number: body_of(rest.pop(0))


async def test_text_of_most_orders() -> None:
    """Of several orders, the label of most texts counts; of equals none."""
    labels = ["yes", "no", "perhaps"]
    first, second, third = find_orders(labels, 3, "You know animals.\nIs a whale a fish?")
    letter = dict(zip(first, "ABC", strict=True))
    turned = dict(zip(second, "ABC", strict=True))
    again = dict(zip(third, "ABC", strict=True))
    reply = by_text(letter["no"], turned["yes"], again["no"])
    decision, _ = await decide(reply, labels, orders=3, fallback="text")
    assert decision.label == "no"
    reply = by_text(letter["no"], turned["yes"])
    decision, _ = await decide(reply, labels, orders=2, fallback="text")
    assert decision.label is None
    decision, _ = await decide(by_text("none", "none"), labels, orders=2, fallback="text")
    assert decision.label is None


def refuses(*reasons: str) -> Reply:
    """Return a reply that refuses once for each of *reasons*, and then decides."""
    rest = list(reasons)

    def reply(_conversation: Conversation, _number: int) -> dict[str, Any]:
        if rest:
            raise BadRequestError(400, rest.pop(0))
        return answer_body({"yes": 0.6})

    return reply


async def test_refused_number_is_asked_again() -> None:
    """A server that names its limit is asked for that many; a gateway may name two."""
    reply = refuses("top_logprobs must be <= 8", "top_logprobs must be <= 5")
    decision, script = await decide(reply, ["yes"], by="text")
    assert decision.label == "yes"
    assert [number for number, _ in script.asked] == [20, 8, 5]


@pytest.mark.parametrize(
    ("reasons", "n_asked"),
    [
        (["no such model"], 1),
        (["top_logprobs must be <= 8", "no log probabilities"], 2),
        ([f"top_logprobs must be <= {number}" for number in (19, 18, 17, 16)], 3),
    ],
)
async def test_refusals_end(reasons: list[str], n_asked: int) -> None:
    """No server keeps limin asking."""
    script = Script(refuses(*reasons))
    decider = Decider(
        script,
        Style(by="text"),
        n_alternatives=20,
        known=Alternatives(),
        report=lambda _completion, _warnings: None,
    )
    with pytest.raises(BadRequestError):
        await decider(QUESTION, ["yes"])
    assert len(script.asked) == n_asked


async def test_warnings_are_reported_once() -> None:
    """The warnings about a decision are reported with its first completion."""
    reported: list[tuple[ResponseWarning, ...]] = []
    decider = Decider(
        Script(always(answer_body({"x": 0.9}))),
        Style(orders=2),
        n_alternatives=20,
        known=Alternatives(),
        report=lambda _completion, warnings: reported.append(warnings),
    )
    decision = await decider(QUESTION, ["yes", "no"])
    assert reported == [decision.warnings]
    codes = [warning.code for warning in decision.warnings]
    assert codes == [WarningCode.LABEL_MASS_LOW, WarningCode.LIKELIEST_IS_NO_LABEL]


LABELS = st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=5, unique=True)


@given(labels=LABELS, number=st.integers(1, 30), question=st.text(max_size=5))
def test_orders(labels: list[str], number: int, question: str) -> None:
    """Orders differ, each label stands in each place, and the given order is no matter."""
    orders = find_orders(labels, number, question)
    assert len({tuple(order) for order in orders}) == len(orders) <= number
    assert all(sorted(order) == sorted(labels) for order in orders)
    for place in range(len(labels)):
        in_place = [order[place] for order in orders[: len(labels)]]
        assert len(set(in_place)) == len(in_place)
    assert find_orders(labels[::-1], number, question) == orders
    assert find_orders(labels, 1, question) == orders[:1]


def test_all_orders() -> None:
    """More orders than there are cannot be asked in."""
    assert len(find_orders(["a", "b", "c"], 100, "q")) == 6
    assert find_orders(["a"], 3, "q") == [["a"]]


def test_orders_of_another_question() -> None:
    """Another question draws another order, so that no place is preferred in all."""
    orders = {tuple(find_orders(["a", "b"], 1, str(n))[0]) for n in range(20)}
    assert len(orders) == 2


def test_orders_in_another_process() -> None:
    """The order does not depend on the hashes of a process, so a checkpoint fits."""
    code = (
        "from limin.recipes.decisions import find_orders\n"
        "print(find_orders(['yes', 'no', 'ja', '\\ud800'], 3, 'wh\\ud800t?') == "
    )
    expected = find_orders(["no", "ja", "\ud800", "yes"], 3, "wh\ud800t?")
    result = subprocess.run(  # noqa: S603 (our own code)
        [sys.executable, "-c", f"{code}{expected!r})"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert result.stdout == "True\n"


def test_letters_behind_a_picture() -> None:
    """The labels are one more part of a message with parts."""
    picture = Image(b"\x89PNG\r\n\x1a\n")
    asked = Conversation(
        [Message("user", ["Which?", picture]), Message("assistant", "Well,")],
        metadata={"id": 1},
    )
    listed = with_letters(asked, ["cat", "dog"])
    content = listed.messages[0].content
    assert content is not None
    assert content[1] == picture
    assert str(content[2]).startswith("\n\nA. cat\nB. dog\n")
    assert listed.messages[1] == asked.messages[1]
    assert listed.metadata == {"id": 1}
    assert (
        with_letters(Conversation([Message("user", None)]), ["a"])
        .messages[0]
        .text.startswith("\n\nA. a")
    )


def test_lines_of_a_label() -> None:
    """No line of a label looks like another label."""
    (message,) = with_letters(Conversation.from_prompts("?"), ["one\nB. two"]).messages
    assert listed_labels(message.text) == ["one"]
    assert "A. one\n   B. two\n" in message.text


def test_no_user_message() -> None:
    """Without a user there is no message to list labels in."""
    with pytest.raises(ConversationError, match="expected a user message"):
        with_letters(Conversation([Message("system", "?")]), ["a"])


def test_answer_that_begins_twice() -> None:
    """A prefill has no place behind an answer that is begun already."""
    begun = Conversation([*QUESTION.messages, Message("assistant", "Well,")])
    assert with_prefill(begun, Style(continues=True)) is begun
    with pytest.raises(ConversationError, match="prefill: expected no assistant message"):
        with_prefill(begun, Style(prefill="Answer:"))
    with pytest.raises(ConversationError, match="continue_prefill: expected an answer"):
        with_prefill(QUESTION, Style(continues=True))


MANY = [f"label {number}" for number in range(27)]


@pytest.mark.parametrize(
    ("style", "labels", "problem"),
    [
        ({}, MANY, "labels: expected at most 26 under letters, or by='text', found 27"),
        ({"orders": 2}, range(3), "orders: expected 1, because only labels"),
        ({"orders": 2, "by": "text"}, ["a"], "orders: expected 1, because only labels"),
        ({}, "yes", "labels: expected a list of texts, or whole numbers, found a str"),
        ({}, ["a", "a"], "labels: expected different ones, found 0 and 1 equal"),
        ({"by": "text"}, ["a", "A"], "expected different ones apart from case"),
        ({}, ["a", 1], r"labels\[1\]: expected a text, found 1"),
        ({}, [True, False], r"labels\[0\]: expected one of texts, or whole numbers"),
        ({}, [0.5], r"labels\[0\]: expected one of texts, or whole numbers, found 0.5"),
        ({}, [], "labels: expected at least one, found none"),
        ({}, [" "], r"labels\[0\]: expected a text with a visible character"),
        ({}, 5, "labels: expected a list of texts, or whole numbers, found 5"),
    ],
)
def test_refused_labels(style: dict[str, Any], labels: object, problem: str) -> None:
    """Labels that cannot be decided between are refused before anything is asked."""
    with pytest.raises(ConfigurationError, match=problem):
        Style(**style).check_labels(labels)


def test_many_labels_by_text() -> None:
    """Without letters there may be more labels than letters."""
    assert Style(by="text").check_labels(iter(MANY)) == MANY


@pytest.mark.parametrize(
    ("item", "found"),
    [
        ("ab", "a str"),
        (("a",), "1 entries"),
        ((1, 2, 3), "3 entries"),
        (None, "a NoneType"),
    ],
)
def test_no_pair(item: object, found: str) -> None:
    """An item that is no pair is named by its type, and not by its text."""
    with pytest.raises(ConfigurationError, match=f"and its labels, found {found}"):
        split_item(item)


def test_pair() -> None:
    """A pair may be a list, as JSON has them."""
    assert split_item(["a", ["b"]]) == ("a", ["b"])
