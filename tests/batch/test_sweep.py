"""Sweeps: one batch, and items that bring their own configurations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from loopback import Request, completion, http, serve

import limin
from limin import Client, Conversation, ModelConfiguration, WarningCode
from limin.wire.request import RequestEncoder

if TYPE_CHECKING:
    from pathlib import Path

QUIET: Any = {"show_progress": False}
CONFIGURATIONS = [
    ModelConfiguration(model=model, temperature=temperature)
    for model in ("small", "large")
    for temperature in (0, 0.5, 1.0)
]


def sent(request: Request, *names: str) -> tuple[object, ...]:
    """Return the fields *names* of the body of *request*."""
    body = json.loads(request.body)
    return tuple(body.get(name) for name in names)


async def serve_models(request: Request) -> bytes:
    """Answer by the model and the temperature that were asked for."""
    model, temperature = sent(request, "model", "temperature")
    return http(completion(f"{model} at {temperature}", model=f"served-{model}"))


@pytest.mark.parametrize("verb", ["prompts", "conversations", "iter"])
async def test_pairs_ask_with_their_own_configurations(verb: str, tmp_path: Path) -> None:
    """The same prompts at several temperatures and models are one batch with one file."""
    pairs: list[Any] = [("a", configuration) for configuration in CONFIGURATIONS]
    pairs.append(Conversation.from_prompts("b") if verb == "conversations" else "b")
    pairs.append((Conversation.from_prompts("c"), CONFIGURATIONS[0]))
    options: Any = {"checkpoint": tmp_path / "sweep.jsonl"}

    async def ask(client: Client) -> list[Any]:
        if verb == "iter":
            async with client.iter_text_completions(pairs, 2, **options) as results:
                found = {index: result async for index, result in results}
            return [found[index] for index in range(len(pairs))]
        if verb == "prompts":
            return await client.generate_text_completions(pairs, 2, **QUIET, **options)
        ask_all = client.generate_text_completions_for_conversations
        return await ask_all(pairs, 2, **QUIET, **options)

    async with serve(serve_models) as server, Client(server.base_url) as client:
        first = await ask(client)
        again = await ask(client)
    answers = [result.message for result in first]
    assert answers == [
        *(f"{each.model} at {each.temperature}" for each in CONFIGURATIONS),
        "gpt-4o at 0.7",
        "small at 0",
    ]
    assert answers == [result.message for result in again]
    assert len(server.requests) == len(pairs)
    assert [result.model for result in again[2:5]] == ["small", "large", "large"]
    assert [result.warnings for result in first + again] == [()] * 2 * len(pairs)


async def test_options_by_name_win() -> None:
    """The pair's configuration takes the place of the call's, and names win over both."""
    pair = ("a", ModelConfiguration(model="small", temperature=0.1, max_tokens=5))
    call = ModelConfiguration(model="large", seed=1)
    async with serve() as server:
        await limin.generate_text_completions(
            [pair, "b"],
            1,
            model_configuration=call,
            temperature=0.9,
            base_url=server.base_url,
            system_prompt="be brief",
            headers={"x-tag": "sweep"},
            **QUIET,
        )
    names = ("model", "temperature", "max_tokens", "seed")
    assert sent(server.requests[0], *names) == ("small", 0.9, 5, None)
    assert sent(server.requests[1], *names) == ("large", 0.9, None, 1)
    for request in server.requests:
        assert json.loads(request.body)["messages"][0]["content"] == "be brief"
        assert b"x-tag: sweep" in request.head


async def test_typed_answers() -> None:
    """The answers of each configuration are read as the one type."""
    prompts = ['{"value": [1]}', '{"value": [2, 3]}', '{"value": [4]}']
    pairs = list(zip(prompts, [CONFIGURATIONS[n] for n in (0, 3, 0)], strict=True))
    async with serve() as server, Client(server.base_url) as client:
        results = await client.generate_text_completions(
            pairs, response_type=list[int], **QUIET
        )
    assert [result.value for result in results] == [[1], [2, 3], [4]]
    assert all(sent(each, "response_format")[0] for each in server.requests)


@pytest.mark.parametrize("kept", [True, False])
async def test_each_model_has_its_own_name(kept: bool, tmp_path: Path) -> None:  # noqa: FBT001 (a case)
    """Another server is noticed for each model by itself, also after a file was read."""
    served = {"small": "s1", "large": "l1"}

    async def respond(request: Request) -> bytes:
        (model,) = sent(request, "model")
        return http(completion(request.prompt, model=served[str(model)]))

    options: Any = QUIET | ({"checkpoint": tmp_path / "run.jsonl"} if kept else {})
    small, cold, large = CONFIGURATIONS[1], CONFIGURATIONS[0], CONFIGURATIONS[4]
    async with serve(respond) as server, Client(server.base_url, max_retries=0) as client:
        ask = client.generate_text_completions
        before = await ask([("1", small), ("2", large), ("3", cold)], 1, **options)
        served["large"] = "l2"
        pairs = [("2", large)] * 2 + [("4", small), ("4", cold)]
        after = await ask(pairs, 1, **options)
    changed = [
        [warning.code for warning in result.warnings] for result in (*before, *after)
    ]
    expected: list[list[WarningCode]] = [[], [], [], [], [], [], []]
    if kept:  # The first large answer came from the file, the second from the server.
        expected[4] = [WarningCode.SERVED_MODEL_CHANGED]
    assert changed == expected


async def test_encoder_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration is encoded once, and forgotten when there are too many."""
    made: list[ModelConfiguration] = []
    original = RequestEncoder.of

    def of(configuration: ModelConfiguration, *others: Any) -> RequestEncoder:
        made.append(configuration)
        return original(configuration, *others)

    monkeypatch.setattr(RequestEncoder, "of", of)
    monkeypatch.setattr("limin.asking._MOST_CONFIGURATIONS", 2)
    first, second, third, *_ = CONFIGURATIONS
    order = [first, second, first, second, third, second, third, first]
    async with serve() as server, Client(server.base_url) as client:
        await client.generate_text_completions([("a", each) for each in order], 1, **QUIET)
    assert [sent(each, "temperature")[0] for each in server.requests] == [
        each.temperature for each in order
    ]
    assert made[1:] == [first, second, third, first]


async def test_two_workers_make_one_encoder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A configuration that several items bring at once is made ready once."""
    path, made = tmp_path / "run.jsonl", list[ModelConfiguration]()
    original = RequestEncoder.of

    def of(configuration: ModelConfiguration, *others: Any) -> RequestEncoder:
        made.append(configuration)
        return original(configuration, *others)

    pairs = [(str(number), CONFIGURATIONS[0]) for number in range(4)]
    async with serve() as server, Client(server.base_url) as client:
        ask = client.generate_text_completions
        await ask(["a", "b", "c"], checkpoint=path, **QUIET)
        monkeypatch.setattr(RequestEncoder, "of", of)
        # So that others have their turns while lines of the model are looked for.
        monkeypatch.setattr("limin.checkpoint.open_file._STEP", 1)
        results = await ask(pairs, 4, checkpoint=path, **QUIET)
    assert [result.message for result in results] == ["0", "1", "2", "3"]
    assert len(made) == 2


@pytest.mark.parametrize(
    ("item", "found"),
    [
        (("a", "b"), "found a str, a str"),
        (("a", CONFIGURATIONS[0], 3), "found a str, a ModelConfiguration, an int"),
        ((), "found nothing"),
    ],
)
async def test_wrong_pair_fails_in_its_own_place(item: Any, found: str) -> None:
    """Another tuple is no item, and what is wrong with an option is told of its pair."""
    wrong = ("b", ModelConfiguration(extra_body={"x": float("nan")}))
    async with serve() as server, Client(server.base_url) as client:
        results = await client.generate_text_completions(
            ["a", item, wrong], on_error="return", **QUIET
        )
    assert isinstance(results[0], limin.TextCompletion)
    assert isinstance(results[1], limin.ConversationError)
    assert str(results[1]).endswith(found)
    assert isinstance(results[2], limin.ConfigurationError)
    assert results[2].conversation == Conversation.from_prompts("b")
