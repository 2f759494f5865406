from __future__ import annotations

import enum
import json
import pickle
import warnings
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pytest
from answers import answer_body, listed_labels, prompt_of
from builders import body_of
from loopback import Loopback, Request, http, serve

import limin
from limin import Client, ModelConfiguration, generate_decision, generate_decisions
from limin.calls.observer import Observer
from limin.deciding import DecisionSetting, decide_one
from limin.errors import (
    AnswerWarningError,
    BadRequestError,
    BatchError,
    ConfigurationError,
    ConversationError,
    LogProbsMissingError,
)
from limin.recipes.alternatives import Alternatives
from limin.values.warnings import WarningCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from limin.values.options import DecisionOptions

YES_NO = ["yes", "no"]


def sure(label: str, prompt: str) -> dict[str, Any]:
    """Return a body whose answer is the letter of *label* in *prompt*, or itself."""
    labels = listed_labels(prompt)
    if not labels:
        return answer_body({label: 0.9})
    return answer_body({"ABCDEFGH"[labels.index(label)]: 0.9})


async def says_yes(request: Request) -> bytes:
    """Answer each question with `yes`."""
    return http(json.dumps(sure("yes", prompt_of(request.body))).encode())


def sent(server: Loopback) -> list[dict[str, Any]]:
    """Return the bodies of the requests."""
    return [json.loads(request.body) for request in server.requests]


FIELDS = ("temperature", "max_tokens", "logprobs", "top_logprobs")
REQUESTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "defaults": ({}, {"temperature": 0.0, "max_tokens": 16, "top_logprobs": 20}),
    "options": (
        {"temperature": 0.5, "max_tokens": 3, "top_log_probs": 7},
        {"temperature": 0.5, "max_tokens": 3, "top_logprobs": 7},
    ),
    "left to the server": (
        {"temperature": None},
        {"temperature": None, "max_tokens": 16, "top_logprobs": 20},
    ),
    "configuration": (
        {"model_configuration": ModelConfiguration(temperature=1.0, max_tokens=9)},
        {"temperature": 1.0, "max_tokens": 9, "top_logprobs": 20},
    ),
    "default of a configuration": (
        {"model_configuration": ModelConfiguration(log_probs=True, top_log_probs=5)},
        {"temperature": 0.0, "max_tokens": 16, "top_logprobs": 5},
    ),
    "temperature beside a configuration": (
        {"temperature": 0.7, "model_configuration": ModelConfiguration()},
        {"temperature": 0.7, "max_tokens": 16, "top_logprobs": 20},
    ),
    "newer name of the length": (
        {"max_completion_tokens": 16},
        {"temperature": 0.0, "max_tokens": None, "top_logprobs": 20},
    ),
    "length of a configuration": (
        {"model_configuration": ModelConfiguration(max_completion_tokens=16)},
        {"temperature": 0.0, "max_tokens": None, "top_logprobs": 20},
    ),
}


@pytest.mark.parametrize(("options", "fields"), REQUESTS.values(), ids=REQUESTS)
async def test_request(options: dict[str, Any], fields: dict[str, Any]) -> None:
    """The likeliest answer is asked for, short and with log probabilities."""
    async with serve(says_yes) as server, Client(server.base_url, "") as client:
        decision = await client.generate_decision("Wet?", YES_NO, **options)
    assert decision.label == "yes"
    (body,) = sent(server)
    assert {name: body.get(name) for name in FIELDS} == {"logprobs": True, **fields}


@pytest.mark.parametrize(
    ("labels", "length"),
    [(["y", "n"], 16), (["y" * 40, "n"], 40), (["是" * 999], 256), ([10**30, 1], 31)],
)
async def test_length_of_long_labels(labels: list[str], length: int) -> None:
    """The answer has room for the longest label, within reason."""
    async with serve(says_yes) as server, Client(server.base_url, "") as client:
        await client.generate_decision("Wet?", labels, by="text")
        await client.generate_decisions([("Wet?", labels)], by="text", show_progress=False)
    assert [body["max_tokens"] for body in sent(server)] == [length, 64]


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({"extra_body": {"grammar": "root ::= [a-z]"}}, "grammar"),
        ({"extra_body": {"structured_outputs": {"choice": ["yes"]}}}, "grammar"),
        (
            {
                "model_configuration": ModelConfiguration(
                    extra_body={"response_format": {"type": "json_object"}}
                )
            },
            "grammar",
        ),
        (
            {
                "model_configuration": ModelConfiguration(
                    tools=[limin.Tool("f", "", {"type": "object"})], tool_choice="required"
                )
            },
            "call that must be made",
        ),
    ],
)
async def test_constrained(options: dict[str, Any], limit: str) -> None:
    """Under a grammar the numbers mean other things, so nothing is asked."""
    async with serve(says_yes) as server, Client(server.base_url, "") as client:
        with pytest.raises(ConfigurationError, match=f"expected no {limit}"):
            await client.generate_decision("Wet?", YES_NO, **options)
        with pytest.raises(ConfigurationError, match=f"expected no {limit}"):
            await client.generate_decisions(["Wet?"], YES_NO, **options)
    assert not server.requests


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"by": "number"}, "by: expected letter or text, found another str"),
        ({"fallback": "no"}, "fallback: expected text or None, found another str"),
        ({"orders": 0}, "orders: expected an integer of at least 1, found 0"),
        ({"prefill": 5}, "prefill: expected a str, found an int"),
        ({"prefill": " "}, "prefill: expected a visible text or None, found a str"),
        ({"continue_prefill": "yes"}, "continue_prefill: expected True or False"),
        ({"fold": None}, "fold: expected True or False, found None"),
        ({"top_log_probs": -2}, "top_log_probs: expected"),
        ({"extra_body": 5}, "extra_body: expected a mapping"),
        ({"continue_prefill": True, "extra_body": [5]}, "extra_body: expected a mapping"),
    ],
)
async def test_refused_options(options: dict[str, Any], problem: str) -> None:
    """An option that makes no sense is refused before anything is asked."""
    async with Client("http://127.0.0.1:1", "") as client:
        with pytest.raises(ConfigurationError, match=problem):
            await client.generate_decision("Wet?", YES_NO, **options)


@pytest.mark.parametrize("labels", ["yes", b"yes", None, 5, [b"yes"], [True], [], ["a", 1]])
async def test_refused_labels(labels: Any) -> None:
    """What is no list of labels is refused before anything is asked."""
    async with Client("http://127.0.0.1:1", "") as client:
        with pytest.raises(ConfigurationError, match=r"^labels"):
            await client.generate_decision("Wet?", labels)


class Answer(enum.StrEnum):
    """Labels with names."""

    YES = "yes"
    NO = "no"


class Stars(enum.IntEnum):
    """Scores with names."""

    ONE = 1
    TWO = 2


@pytest.mark.parametrize(
    ("labels", "keys"),
    [
        (Answer, ["yes", "no"]),
        (dict.fromkeys(YES_NO), YES_NO),
        (np.array(YES_NO), YES_NO),
        (Stars, [1, 2]),
        (np.arange(1, 3), [1, 2]),
        ([np.int64(1), np.int8(2)], [1, 2]),
    ],
)
async def test_labels_of_other_types(labels: Any, keys: list[Any]) -> None:
    """The keys of a decision are Python's own texts and numbers."""
    async with serve(says_yes) as server, Client(server.base_url, "") as client:
        decision = await client.generate_decision("Wet?", labels)
    assert list(decision.low) == keys
    assert {type(key) for key in decision.low} == {type(keys[0])}


async def test_labels_of_a_generator() -> None:
    """Labels are read once, for all prompts of a batch."""
    async with serve(says_yes) as server, Client(server.base_url, "") as client:
        first, second = await client.generate_decisions(
            ["Wet?", "Dry?"], (label for label in YES_NO), show_progress=False
        )
    assert list(first.low) == list(second.low) == YES_NO


async def test_continued_prefill() -> None:
    """VLLM is asked to continue the answer by fields, beside those of the user."""
    configuration = ModelConfiguration(extra_body={"top_k": 1})
    async with serve(says_yes) as server, Client(server.base_url, "") as client:
        options: DecisionOptions = {"prefill": "It is", "continue_prefill": True}
        await client.generate_decision(
            "Wet?", YES_NO, model_configuration=configuration, **options
        )
        own = {"add_generation_prompt": True}
        await client.generate_decision("Wet?", YES_NO, extra_body=own, **options)
    first, second = sent(server)
    assert first["messages"][-1] == {"role": "assistant", "content": "It is"}
    assert first["continue_final_message"] is True
    assert first["add_generation_prompt"] is False
    assert first["top_k"] == 1
    assert second["add_generation_prompt"] is True


async def test_system_prompt_and_conversation() -> None:
    """The labels are listed for the user, whatever comes before and after."""
    begun = limin.Conversation.from_prompts("Wet?", "Be brief.")
    begun = limin.Conversation(
        [*begun.messages, limin.Message("assistant", "It is (")], metadata={"id": 7}
    )
    async with serve(says_yes) as server, Client(server.base_url, "") as client:
        (decision,) = await client.generate_decisions([begun], YES_NO, show_progress=False)
        await client.generate_decision("Wet?", YES_NO, system_prompt="Be brief.")
    first, second = sent(server)
    assert [m["role"] for m in first["messages"]] == ["system", "user", "assistant"]
    assert [m["role"] for m in second["messages"]] == ["system", "user"]
    assert decision.completion is not None
    assert decision.completion.conversation.metadata == {"id": 7}
    assert (
        first["messages"][1]["content"] == decision.completion.conversation.messages[1].text
    )


DETAIL = {
    "detail": [
        {
            "type": "less_than_equal",
            "loc": ["body", "top_logprobs"],
            "msg": "Input should be less than or equal to 5",
            "input": 20,
        }
    ]
}
OPENAI = "Invalid value for 'top_logprobs': must be less than or equal to 5."
REFUSALS = {
    "OpenAI": (400, {"error": {"message": OPENAI, "type": "invalid_request_error"}}),
    "FastAPI": (422, DETAIL),
    "vLLM": (
        400,
        {
            "error": {
                "message": (
                    "Requested sample logprobs of 20, which is greater than max allowed: 5"
                ),
                "type": "BadRequestError",
                "param": "logprobs",
                "code": 400,
            }
        },
    ),
}


def at_most_five(status: int, body: object) -> Any:
    """Return a server that refuses more than 5 alternatives, but not of model `big`."""

    async def respond(request: Request) -> bytes:
        asked = json.loads(request.body)
        if asked["top_logprobs"] > 5 and asked["model"] != "big":
            return http(json.dumps(body).encode(), f"{status} No")
        return await says_yes(request)

    return respond


@pytest.mark.parametrize(("status", "body"), REFUSALS.values(), ids=REFUSALS)
async def test_most_alternatives_are_remembered(status: int, body: object) -> None:
    """A client asks a model once for more than it tells, and another model anew."""
    respond = at_most_five(status, body)
    async with serve(respond) as server, Client(server.base_url, "") as client:
        await client.generate_decision("Wet?", YES_NO, orders=2)
        await client.generate_decisions(["Wet?"], YES_NO, show_progress=False)
        await client.generate_decision("Wet?", YES_NO, top_log_probs=3)
        await client.generate_decision("Wet?", YES_NO, model="big")
    assert [body["top_logprobs"] for body in sent(server)] == [20, 5, 5, 5, 3, 20]


async def test_other_model_that_takes_fewer_alternatives() -> None:
    """A server that was replaced by one with other limits and another model is noticed."""

    async def respond(request: Request) -> bytes:
        if json.loads(request.body)["top_logprobs"] > 5 and len(server.requests) > 1:
            return http(json.dumps({"error": {"message": OPENAI}}).encode(), "400 No")
        served = "first" if len(server.requests) == 1 else "second"
        body = sure("yes", prompt_of(request.body)) | {"model": served}
        return http(json.dumps(body).encode())

    async with serve(respond) as server, Client(server.base_url, "") as client:
        decisions = await client.generate_decisions(
            ["Wet?", "Dry?"], YES_NO, n_parallel=1, show_progress=False
        )
    assert [body["top_logprobs"] for body in sent(server)] == [20, 20, 5]
    codes = [{each.code for each in made.completion.warnings} for made in decisions]
    assert codes[1] - codes[0] == {WarningCode.SERVED_MODEL_CHANGED}


async def test_other_refusal_is_raised() -> None:
    """A refusal of something else is the decision's error."""

    async def respond(_request: Request) -> bytes:
        return http(b'{"error": {"message": "no such field: logprobs"}}', "400 No")

    async with serve(respond) as server, Client(server.base_url, "") as client:
        with pytest.raises(BadRequestError):
            await client.generate_decision("Wet?", YES_NO)
    assert len(server.requests) == 1


async def test_checkpoint(tmp_path: Path) -> None:
    """A run goes on where it was, with what was answered for fewer alternatives, too."""
    path = tmp_path / "run.jsonl"
    respond = at_most_five(*REFUSALS["OpenAI"])
    options: DecisionOptions = {"checkpoint": path, "fsync": True, "orders": 2}
    async with serve(respond) as server:
        async with Client(server.base_url, "") as client:
            one = await client.generate_decision("Wet?", YES_NO, **options)
        async with Client(server.base_url, "") as client:
            again, other = await client.generate_decisions(
                ["Wet?", "Dry?"], YES_NO, 1, show_progress=False, **options
            )
    assert again.low == one.low
    assert other.label == "yes"
    numbers = [body["top_logprobs"] for body in sent(server)]
    # The first one asks again how many there are; its answers are in the file.
    assert numbers == [20, 5, 5, 20, 5, 5]
    assert len(path.read_bytes().splitlines()) >= 4


async def test_resumed_without_a_server(tmp_path: Path) -> None:
    """A run that was finished needs no server any more, and costs nothing."""
    path = tmp_path / "run.jsonl"
    async with serve(says_yes) as server, Client(server.base_url, "") as client:
        first = await client.generate_decision("Wet?", range(3), checkpoint=path)
    async with Client("http://127.0.0.1:1/v1", "", max_retries=0) as client:
        again = await client.generate_decision("Wet?", range(3), checkpoint=path)
    assert again.low == first.low


async def test_batch_of_pairs() -> None:
    """Each item has its own labels, and an error stays in its own place."""

    async def items() -> AsyncIterator[Any]:
        yield "Wet?", YES_NO
        yield "Wet?"
        yield "Wet?", "yes"
        yield ["Wet?", ["yes", "yes"]]
        yield 5, YES_NO
        yield "How many?", range(3)

    async with serve(says_yes) as server, Client(server.base_url, "") as client:
        first, *wrong, last = await client.generate_decisions(
            items(), n_parallel="auto", on_error="return", show_progress=False
        )
    assert isinstance(first, limin.Decision)
    assert first.label == "yes"
    assert isinstance(last, limin.Decision)
    assert list(last.low) == [0, 1, 2]
    kinds = [ConfigurationError, ConfigurationError, ConfigurationError, ConversationError]
    assert list(map(type, wrong)) == kinds
    assert [str(error) for error in wrong[:2]] == [
        "expected a pair of a prompt and its labels, found a str",
        "labels: expected a list of texts, or whole numbers, found a str",
    ]
    assert len(server.requests) == 2


async def test_batch_that_fails(capfd: pytest.CaptureFixture[str]) -> None:
    """A batch raises with every decision and every error, and shows its progress."""
    async with serve(says_yes) as server:
        with pytest.raises(BatchError) as caught:
            await generate_decisions(
                [("Wet?", YES_NO), "Wet?"], base_url=server.base_url, api_key=""
            )
    decision, error = caught.value.results
    assert isinstance(decision, limin.Decision)
    assert isinstance(error, ConfigurationError)
    assert "limin:" in capfd.readouterr().err


async def test_budget_of_tokens() -> None:
    """A question that was begun is asked in all its orders, and no other is begun."""

    async def respond(request: Request) -> bytes:
        body = sure("yes", prompt_of(request.body)) | {"usage": {"total_tokens": 10}}
        return http(json.dumps(body).encode())

    async with serve(respond) as server, Client(server.base_url) as client:
        results = await client.generate_decisions(
            ["a", "b", "c"],
            YES_NO,
            1,
            orders=2,
            max_total_tokens=5,
            on_error="return",
            show_progress=False,
        )
    assert len(server.requests) == 2
    assert [type(result).__name__ for result in results] == [
        "Decision",
        "NotSentError",
        "NotSentError",
    ]
    assert str(results[1]) == "not sent: the answers have used 20 of 5 tokens"


async def test_system_prompt_that_is_none() -> None:
    """What would fail each prompt of a batch is refused before the first."""
    async with Client("http://127.0.0.1:1", "") as client:
        with pytest.raises(ConversationError):
            await client.generate_decisions(["Wet?"], YES_NO, system_prompt=5)  # type: ignore[call-overload]


async def test_functions() -> None:
    """One call needs no client, and no prompts need no endpoint."""
    async with serve(says_yes) as server:
        decision = await generate_decision(
            "Wet?", YES_NO, base_url=server.base_url, api_key=""
        )
    assert decision.label == "yes"
    assert await generate_decisions([], YES_NO) == []


async def test_no_log_probs() -> None:
    """Without log probabilities an error stands in the place, or the text decides."""

    async def respond(_request: Request) -> bytes:
        return http(json.dumps(body_of("no.")).encode())

    async with serve(respond) as server, Client(server.base_url, "") as client:
        options: DecisionOptions = {"by": "text"}
        (error,) = await client.generate_decisions(
            ["Wet?"], YES_NO, on_error="return", show_progress=False, **options
        )
        decision = await client.generate_decision(
            "Wet?", YES_NO, fallback="text", **options
        )
    assert isinstance(error, LogProbsMissingError)
    assert "no." not in str(error) + repr(error)
    assert pickle.loads(pickle.dumps(error)).completion.message == "no."  # noqa: S301 (ours)
    assert decision.label == "no"
    assert repr(decision) == "<limin.Decision: label 2 of 2, by its text alone>"


async def says_nothing_of_it(_request: Request) -> bytes:
    """Answer with what is no label."""
    return http(json.dumps(answer_body({"Hm": 0.9})).encode())


async def test_warnings_are_raised() -> None:
    """The warnings about a decision are raised with it, as those about its answer are."""
    async with serve(says_nothing_of_it) as server, Client(server.base_url, "") as client:
        expected = await client.generate_decision("Wet?", YES_NO, top_log_probs=1, orders=2)
        with pytest.raises(AnswerWarningError) as caught:
            await client.generate_decision(
                "Wet?", YES_NO, top_log_probs=1, orders=2, on_warning="raise"
            )
    codes = [warning.code for warning in caught.value.warnings]
    assert codes == [WarningCode.LABEL_MASS_LOW, WarningCode.LIKELIEST_IS_NO_LABEL]
    decision = pickle.loads(pickle.dumps(caught.value)).decision  # noqa: S301 (ours)
    assert decision.warnings == expected.warnings == caught.value.warnings
    assert (decision.low, decision.high) == (expected.low, expected.high)


async def test_warnings_name_the_line() -> None:
    """Warnings are issued at the line of the program, after a refused number, too."""

    async def respond(request: Request) -> bytes:
        if json.loads(request.body)["top_logprobs"] > 1:
            return http(b'{"error": {"message": "top_logprobs: at most 1"}}', "400 No")
        return await says_nothing_of_it(request)

    async with serve(respond) as server, Client(server.base_url, "") as client:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await client.generate_decisions(
                ["Wet?"], YES_NO, on_warning="warn", show_progress=False
            )
    assert {warning.filename for warning in caught} == {__file__}
    assert any("label-mass-low" in str(warning.message) for warning in caught)


@attrs.define
class Counter(Observer):
    """Counts the calls."""

    calls: int = 0

    def finished(self, _call: object, _result: object) -> None:
        """Count one."""
        self.calls += 1


async def test_observers_see_each_order() -> None:
    """A decision in three orders is three calls."""
    counter = Counter()
    setting = DecisionSetting.of({"orders": 3}, ["a", "b", "yes"])
    async with serve(says_yes) as server, Client(server.base_url, "") as client:
        caller = client._caller(setting.call_options, None).observed_by(counter)
        asked = limin.Conversation.from_prompts("Wet?")
        decision = await decide_one(setting, caller, Alternatives(), asked)
    assert counter.calls == 3
    assert decision.spread == pytest.approx(0.0)


async def test_decision_is_pickled() -> None:
    """A decision goes to other processes with its completion."""
    async with serve(says_yes) as server, Client(server.base_url, "") as client:
        decision = await client.generate_decision("Wet?", YES_NO)
    copy = pickle.loads(pickle.dumps(decision))  # noqa: S301 (ours)
    assert copy.low == decision.low
    assert copy.label == "yes"
    assert copy.completion.conversation == decision.completion.conversation  # type: ignore[union-attr]
