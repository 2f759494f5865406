"""`limin demo`: the main job on a real model, shown on the terminal."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import anyio
import attrs

from limin.cli import console, statuses
from limin.client import Client
from limin.local import local_endpoint
from limin.values import endpoint
from limin.values.configuration import ModelConfiguration
from limin.values.conversation import Conversation
from limin.values.messages import Message
from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from limin.values.completion import TextCompletion

DESCRIPTION = (
    "Run the main job on a language model on this machine, or on the endpoint "
    "that --base-url or OPENAI_BASE_URL names."
)
EXAMPLES = """\
  limin demo                                        needs limin[local], and no key
  limin demo --base-url http://localhost:8000/v1    on a server of yours
"""

_SYSTEM = "You are a helpful assistant. You answer in one short sentence."
_COUNTRIES = ("France", "Germany", "Italy", "Spain", "Japan", "Egypt", "Peru", "Kenya")
_MOST_POSITIONS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to *parser*."""
    parser.add_argument("--base-url", help="URL without /chat/completions at its end")
    parser.add_argument("--model", help="name of the model there")


def run(options: argparse.Namespace) -> int:
    """Run the command with the parsed *options*, and return its exit status.

    Raises:
        LiminError: If the model does not start, or does not answer.
    """
    anyio.run(_demo, options.base_url, options.model)
    return statuses.ANSWERED


async def _demo(base_url: str | None, model: str | None) -> None:
    async with AsyncExitStack() as stack:
        if base_url is None and not endpoint.named_in_environment():
            _show("Starting a language model on this machine ...")
            local = await stack.enter_async_context(local_endpoint())
            base_url, model = local.base_url, model or local.model
        client = await stack.enter_async_context(Client(base_url))
        sampling = ModelConfiguration(temperature=0, max_tokens=32)
        if model is not None:
            sampling = attrs.evolve(sampling, model=model)
        for step in (_completion, _stream, _batch, _conversation, _log_probs):
            await step(client, sampling)


async def _completion(client: Client, configuration: ModelConfiguration) -> None:
    _title(f"One completion, of {configuration.model}")
    completion = await client.generate_text_completion(
        "What is the capital of France?",
        system_prompt=_SYSTEM,
        model_configuration=configuration,
    )
    _show(completion.to_pretty_string(color=None))


async def _stream(client: Client, configuration: ModelConfiguration) -> None:
    _title("A stream")
    async with client.stream_text_completion(
        "Name three colors.", model_configuration=configuration
    ) as stream:
        async for delta in stream:
            _show(escape_controls(delta.text), end="")
    timing = stream.completion.timing
    _show(f"\nfirst token after {timing.time_to_first_token or 0:.3f} s, ", end="")
    _show(f"then {timing.tokens_per_second or 0:.0f} tokens a second")


async def _batch(client: Client, configuration: ModelConfiguration) -> None:
    _title("Eight prompts, four at a time")
    completions = await client.generate_text_completions(
        [f"What is the capital of {country}?" for country in _COUNTRIES],
        n_parallel=4,
        system_prompt=_SYSTEM,
        model_configuration=configuration,
    )
    for country, completion in zip(_COUNTRIES, completions, strict=True):
        message = escape_controls(" ".join(completion.message.split()))
        _show(f"{country:8} {completion.duration:5.2f} s  {message[:60]}")
    start = min(completion.start_time for completion in completions)
    end = max(completion.end_time for completion in completions)
    _show_speed(completions, end - start)


async def _conversation(client: Client, configuration: ModelConfiguration) -> None:
    _title("A conversation")
    conversation = Conversation(
        [
            Message("system", _SYSTEM),
            Message("user", "What is the capital of France?"),
            Message("assistant", "The capital of France is Paris."),
            Message("user", "What is the capital of Germany?"),
        ]
    )
    completion = await client.generate_text_completion_for_conversation(
        conversation, model_configuration=configuration
    )
    conversation.add_message(completion.to_message())
    _show(conversation.to_pretty_string(color=None))


async def _log_probs(client: Client, configuration: ModelConfiguration) -> None:
    _title("Log probabilities: red is improbable, green is certain")
    completion = await client.generate_text_completion(
        "What is 2+2?",
        model_configuration=configuration,
        temperature=1,
        seed=4,
        log_probs=True,
        top_log_probs=3,
    )
    _show(completion.to_pretty_log_probs_string(show_probabilities=True, color=None))
    positions = zip(
        completion.token_log_probs or [],
        completion.full_token_log_probs or [],
        strict=True,
    )
    for sampled, likely in list(positions)[:_MOST_POSITIONS]:
        alternatives = ", ".join(
            f"{escape_controls(token.token)!r} {token.prob or 0:.2f}" for token in likely
        )
        _show(f"sampled {escape_controls(sampled.token)!r}; most likely {alternatives}")


def _show_speed(completions: Sequence[TextCompletion[object]], seconds: float) -> None:
    usages = [completion.usage for completion in completions]
    tokens = sum(usage.completion_tokens or 0 for usage in usages if usage is not None)
    _show(f"{tokens} tokens in {seconds:.2f} s: {tokens / seconds:.0f} tokens a second")


def _show(text: str, end: str = "\n") -> None:
    # The progress bar goes to stderr: each text is written at once, to keep the order.
    console.write_styled(text + end)


def _title(text: str) -> None:
    _show(f"\n=== {text}\n")
