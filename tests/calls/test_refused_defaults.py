"""Where a user meets the note about a default that the server refuses."""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from limin import BadRequestError, BatchError, Client, ModelConfiguration
from limin.cli import console
from limin.rendering import terminal

if TYPE_CHECKING:
    from pytest_httpx import HTTPXMock

URL = "http://model.test/v1"
TEMPERATURE = (
    "limin sends temperature=0.7 unless told otherwise; temperature=None leaves it out"
)
OTHER = [ModelConfiguration(temperature=1), ModelConfiguration(temperature=None)]


def refusal(param: str = "temperature") -> bytes:
    """Return the body of a refusal of *param*."""
    return json.dumps({"error": {"message": f"no {param}", "param": param}}).encode()


async def error_of(httpx_mock: HTTPXMock, **options: Any) -> BadRequestError:
    """Return the error of one question, whose server refuses the temperature."""
    httpx_mock.add_response(400, content=refusal())
    async with Client(URL) as client:
        with pytest.raises(BadRequestError) as caught:
            await client.generate_text_completion("hi", **options)
    return caught.value


@pytest.mark.parametrize("stream", [False, True])
async def test_traceback_names_the_default(httpx_mock: HTTPXMock, *, stream: bool) -> None:
    """Whoever said nothing of a temperature reads that limin sent one."""
    error = await error_of(httpx_mock, stream=stream)
    assert traceback.format_exception_only(error)[1:] == [TEMPERATURE + "\n"]
    assert TEMPERATURE not in str(error)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.7},
        {"model_configuration": OTHER[0]},
        {"model_configuration": OTHER[1]},
        {"extra_body": {"temperature": 0.7}},
    ],
)
async def test_users_own_temperature(
    httpx_mock: HTTPXMock, options: dict[str, Any]
) -> None:
    """Whoever set it is told nothing that is not so."""
    assert not hasattr(await error_of(httpx_mock, **options), "__notes__")


async def test_configuration_with_the_default(httpx_mock: HTTPXMock) -> None:
    """A configuration that is silent about it has the default, too."""
    configuration = ModelConfiguration(model="o5")
    error = await error_of(httpx_mock, model_configuration=configuration)
    assert error.__notes__ == [TEMPERATURE]


async def test_stream_names_the_default(httpx_mock: HTTPXMock) -> None:
    """A stream that is refused says it once."""
    httpx_mock.add_response(400, content=refusal("stream_options"))
    async with Client(URL) as client:
        with pytest.raises(BadRequestError) as caught:
            async with client.stream_text_completion("hi") as stream:
                await anext(stream)
    (note,) = caught.value.__notes__
    assert note.startswith('limin sends stream_options={"include_usage": true}')


async def test_batch_error_has_the_note(httpx_mock: HTTPXMock) -> None:
    """The error of a batch has the note of the error that it names; so has a pair's."""
    httpx_mock.add_response(400, content=refusal(), is_reusable=True)
    items = ["a", ("b", ModelConfiguration()), ("c", OTHER[0])]
    async with Client(URL) as client:
        with pytest.raises(BatchError) as caught:
            await client.generate_text_completions(items, show_progress=False)
    assert caught.value.__notes__ == [TEMPERATURE]
    errors = caught.value.errors.values()
    assert [hasattr(error, "__notes__") for error in errors] == [True, True, False]
    shown = terminal.to_string(caught.value, width=200, color=False).split("\n")
    assert TEMPERATURE in map(str.strip, shown)


@pytest.mark.parametrize(
    ("param", "options", "start"),
    [
        ("temperature", {}, "limin sends temperature=0.0 unless"),
        ("max_tokens", {}, "limin sends max_tokens=16 unless"),
        ("top_logprobs", {}, "limin sends top_log_probs=20 unless"),
        ("temperature", {"temperature": 0.7}, None),
        ("max_tokens", {"max_tokens": 16}, None),
        ("top_logprobs", {"top_log_probs": 20}, None),
        ("add_generation_prompt", {"prefill": "A:", "continue_prefill": True}, None),
    ],
)
async def test_decision_fills_in_more(
    httpx_mock: HTTPXMock, param: str, options: dict[str, Any], start: str | None
) -> None:
    """What a decision sends by itself is named as well."""
    httpx_mock.add_response(400, content=refusal(param))
    async with Client(URL) as client:
        with pytest.raises(BadRequestError) as caught:
            await client.generate_decision("hi", ["yes", "no"], **options)
    notes = getattr(caught.value, "__notes__", [])
    assert [note.startswith(start or "?") for note in notes] == [True] * bool(start)


def test_program_writes_the_note(capsys: pytest.CaptureFixture[str]) -> None:
    """The program shows the note below the message."""
    error = BadRequestError(400, "no temperature")
    error.add_note(TEMPERATURE)
    console.note_error(error)
    assert capsys.readouterr().err.splitlines() == [
        "limin: the server answered 400: no temperature",
        f"limin: {TEMPERATURE}",
    ]
