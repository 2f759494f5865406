"""From the bytes of one JSON answer to an instance, by limin and by openai's SDK.

`python typed_answers.py POSITIONS ALTERNATIVES` prints one line of JSON.
"""

from __future__ import annotations

import json
import random
import sys
from typing import TYPE_CHECKING, Any, Literal

import attrs
import openai
import pydantic
from openai.lib._parsing._completions import parse_chat_completion
from parsing import limin_reading, openai_reading, seconds
from recording import compact

from limin import JsonSchema, TextCompletion
from limin.recipes.structured import TypedReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from parsing import Reading


_COUNTRIES = ("France", "Germany", "Italy")
Country = Literal["France", "Germany", "Italy"]

# Tokens of each city in the answer.
_TOKENS_OF_A_CITY = 12


@attrs.frozen
class City:
    """What limin is asked for."""

    name: str
    country: Country
    inhabitants: int


class PydanticCity(pydantic.BaseModel):
    """What openai's SDK is asked for."""

    name: str
    country: Country
    inhabitants: int


@attrs.frozen
class Cities:
    """An answer."""

    cities: list[City]


class PydanticCities(pydantic.BaseModel):
    """An answer."""

    cities: list[PydanticCity]


SCHEMA = JsonSchema(Cities)


def answer_body(positions: int, alternatives: int) -> bytes:
    """Return a body in OpenAI's shape, whose answer is JSON of about *positions* tokens."""
    chance = random.Random(positions * 100 + alternatives)  # noqa: S311 (no secret)
    tokens = ['{"cities":', " ["]
    for index in range(positions // _TOKENS_OF_A_CITY):
        country = chance.choice(_COUNTRIES)
        tokens += [", " if index else "", '{"', "name", '": "', "Vil", f"le{index}", '", "']
        tokens += ['country": "', country, '", "inhabitants": ', f"{index}", "}"]
    tokens += ["]", "}"]
    content = [_position(chance, token, alternatives) for token in tokens if token]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "".join(tokens), "refusal": None},
        "logprobs": {"content": content, "refusal": None},
        "finish_reason": "stop",
    }
    return compact(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "m",
            "choices": [choice],
            "usage": {"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 13},
        }
    )


def _position(chance: random.Random, token: str, alternatives: int) -> dict[str, Any]:
    others = [f"{token}{number}" for number in range(1, alternatives)]
    listed = [_entry(chance, text) for text in (token, *others)[:alternatives]]
    return _entry(chance, token) | {"top_logprobs": listed}


def _entry(chance: random.Random, token: str) -> dict[str, Any]:
    log_prob = -round(chance.expovariate(0.3), 8)
    return {"token": token, "logprob": log_prob, "bytes": list(token.encode())}


READER = TypedReader(
    SCHEMA, offers_tools=False, report_warning=lambda _answer, _warning: None
)


def limin_value(body: bytes) -> Reading:
    """Parse, and read the instance, as limin does with `response_type`."""
    reading = limin_reading(body)
    return lambda: READER.read(reading())  # type: ignore[arg-type]  # a completion


def limin_fields(body: bytes) -> Reading:
    """Read `fields` for the first time."""
    completion = limin_value(body)()
    assert isinstance(completion, TextCompletion)
    return lambda: completion.fields


def limin_distributions(body: bytes) -> Reading:
    """Read the distribution of each field, where there is one."""
    fields = limin_fields(body)()
    assert isinstance(fields, dict)
    return lambda: [field.distribution for field in fields.values()]


def openai_value(body: bytes) -> Reading:
    """Parse as openai's `parse` does with a model of pydantic."""
    reading = openai_reading(body)

    def read() -> object:
        return parse_chat_completion(
            response_format=PydanticCities,
            input_tools=openai.omit,
            chat_completion=reading(),  # type: ignore[arg-type]  # a completion
        )

    return read


READINGS: dict[str, Callable[[bytes], Reading]] = {
    "limin": limin_reading,
    "limin_value": limin_value,
    "limin_fields": limin_fields,
    "limin_distributions": limin_distributions,
    "openai": openai_reading,
    "openai_value": openai_value,
}


def main(positions: int, alternatives: int) -> None:
    """Measure all readings of one body."""
    body = answer_body(positions, alternatives)
    result: dict[str, Any] = {"body": len(body)}
    result["seconds"] = {name: seconds(reading, body) for name, reading in READINGS.items()}
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
