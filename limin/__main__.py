"""`python -m limin demo`: the main job, on a real model, to look at."""

from __future__ import annotations

import argparse
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import anyio

from limin.client import Client
from limin.conversation import Conversation, Message
from limin.errors import LiminError
from limin.local import local_endpoint
from limin.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

_COUNTRIES = (
    "France", "Germany", "Italy", "Spain", "Japan", "Egypt", "Peru", "Kenya",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program, and say whether it went well: 0 or 1."""
    options = _parser().parse_args(arguments)
    try:
        anyio.run(_demo, options.base_url, options.model)
    except LiminError as error:
        print(f"limin: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m limin")
    commands = parser.add_subparsers(required=True)
    demo = commands.add_parser("demo", help="run the main job and show it")
    demo.add_argument("--base-url", help="another endpoint than the local model's")
    demo.add_argument("--model", help="the model to ask there")
    return parser


async def _demo(base_url: str | None, model: str | None) -> None:
    async with AsyncExitStack() as stack:
        if base_url is None:
            print("Starting a language model on this machine ...")
            endpoint = await stack.enter_async_context(local_endpoint())
            base_url, model = endpoint.base_url, model or endpoint.model
        client = await stack.enter_async_context(Client(base_url))
        model = model or "gpt-4o"
        _title(f"One completion, of {model}")
        await _one(client, model)
        _title("Eight prompts, four at a time")
        await _eight(client, model)
        _title("A conversation")
        await _conversation(client, model)
        _title("Log probabilities: dark red is improbable, dark green is certain")
        await _log_probs(client, model)


async def _one(client: Client, model: str) -> None:
    completion = await client.generate_text_completion(
        "What is the capital of France?", model=model, temperature=0, max_tokens=32
    )
    print(visible(completion.message))
    usage = completion.usage
    tokens = None if usage is None else usage.completion_tokens
    if tokens is not None:
        speed = tokens / completion.duration
        print(f"{tokens} tokens in {completion.duration:.2f} s: {speed:.0f} a second")


async def _eight(client: Client, model: str) -> None:
    prompts = [f"What is the capital of {country}?" for country in _COUNTRIES]
    completions = await client.generate_text_completions(
        prompts, n_parallel=4, model=model, temperature=0, max_tokens=32
    )
    for country, completion in zip(_COUNTRIES, completions, strict=True):
        line = visible(" ".join(completion.message.split()))
        print(f"{country:8} {completion.duration:5.2f} s  {line[:60]}")
    known = [completion.usage for completion in completions]
    tokens = sum(usage.completion_tokens or 0 for usage in known if usage is not None)
    start = min(completion.start_time for completion in completions)
    seconds = max(completion.end_time for completion in completions) - start
    print(f"{tokens} tokens in {seconds:.2f} s: {tokens / seconds:.0f} a second")


async def _conversation(client: Client, model: str) -> None:
    conversation = Conversation(
        [
            Message("system", "You are a helpful assistant."),
            Message("user", "What is the capital of France?"),
            Message("assistant", "The capital of France is Paris."),
            Message("user", "What is the capital of Germany?"),
        ]
    )
    completion = await client.generate_text_completion_for_conversation(
        conversation, model=model, temperature=0, max_tokens=32
    )
    conversation.add_message(completion.to_message())
    print(conversation.to_pretty_string())


async def _log_probs(client: Client, model: str) -> None:
    completion = await client.generate_text_completion(
        "What is 2+2?",
        model=model,
        temperature=1.0,
        seed=4,
        max_tokens=24,
        log_probs=True,
        top_log_probs=3,
    )
    print(completion.to_pretty_log_probs_string(show_probabilities=True))
    positions = zip(
        completion.token_log_probs or (), completion.full_token_log_probs or (), strict=True
    )
    for sampled, likely in list(positions)[:5]:
        others = ", ".join(f"{visible(one.token)!r} {one.prob or 0:.2f}" for one in likely)
        print(f"sampled {visible(sampled.token)!r}; most likely: {others}")


def _title(text: str) -> None:
    print(f"\n=== {text}\n")


if __name__ == "__main__":
    sys.exit(main())
