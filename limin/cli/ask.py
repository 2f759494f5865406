"""`limin ask`: one question, one answer."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import anyio

from limin.cli import answers, arguments, console
from limin.client import Client
from limin.errors import ConfigurationError
from limin.files.results import raw_log_probs
from limin.values.content import Image
from limin.values.conversation import Conversation
from limin.values.messages import Message

if TYPE_CHECKING:
    import argparse

    from limin.values.completion import TextCompletion

DESCRIPTION = """\
Ask one question. What comes by stdin is appended to it. To a terminal the answer streams;
into a pipe or a file goes its bare text.
"""
EXAMPLES = """\
  limin ask 'What is the capital of France?'
  git diff | limin ask 'Write a commit message for this.'
  limin ask 'What is on this picture?' -i photo.png
  limin ask 'Name a city.' --log-probs              colored by probability
  limin ask 'Name a city.' --schema city.json       JSON of a schema
  limin ask 'Name a city.' --json | jq .usage       with everything that is known
"""

_URL = re.compile(r"https?://|data:")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to *parser*."""
    parser.add_argument(
        "prompt", nargs="?", metavar="PROMPT", help="the question; stdin alone without it"
    )
    parser.add_argument(
        "-i",
        "--image",
        action="append",
        default=[],
        metavar="IMAGE",
        help="the path or the URL of a picture to send, too; again for more",
    )
    parser.add_argument("--schema", metavar="FILE", help="JSON schema of the answer")
    arguments.add_log_probs(parser)
    parser.add_argument(
        "--json", action="store_true", help="write one object with everything"
    )
    parser.add_argument(
        "--no-stream", action="store_true", help="wait for the whole answer on a terminal"
    )
    arguments.add_endpoint(parser)
    arguments.add_sampling(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command with the parsed *options*, and return its exit status.

    Raises:
        LiminError: If there is no answer.
        BrokenPipeError: If nobody reads it.
    """
    configuration = arguments.configuration_of(options)
    schema: Any = arguments.read_schema(options.schema)  # Overloads tell None apart.
    conversation = _read_question(options)
    streams = console.is_terminal() and not (options.no_stream or options.json)

    async def ask() -> TextCompletion[object]:
        async with Client(**arguments.client_options(options)) as client:
            if not streams:
                return await client.generate_text_completion_for_conversation(
                    conversation,
                    model_configuration=configuration,
                    response_type=schema,
                )
            stream = client.stream_text_completion_for_conversation(
                conversation, model_configuration=configuration, response_type=schema
            )
            return await answers.write_stream(stream)

    completion = anyio.run(ask)
    if options.json:
        console.write(_to_json(completion) + "\n")
    elif not streams:
        answers.write_whole(completion)
    return answers.note_ending(completion)


def _read_question(options: argparse.Namespace) -> Conversation:
    """Return the conversation that *options* and stdin ask about.

    Raises:
        ConfigurationError: If there is no question.
        ConversationError: If a picture cannot be read.
    """
    texts = [options.prompt, _read_stdin()]
    prompt = "\n\n".join(filter(None, texts))
    if not prompt:
        problem = "expected a question as an argument or by stdin, found none"
        raise ConfigurationError(problem)
    conversation = Conversation.from_prompts(prompt, options.system)
    if options.image:
        images = [
            Image(place) if _URL.match(place) else Image.from_path(place)
            for place in options.image
        ]
        conversation.messages[-1] = Message("user", [prompt, *images])
    return conversation


def _read_stdin() -> str:
    """Return what comes by stdin, unless that is a terminal; without the last newline.

    Raises:
        ConfigurationError: If it is no text.
    """
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        problem = "expected UTF-8 by stdin, found other bytes"
        raise ConfigurationError(problem) from None
    return text.removesuffix("\n").removesuffix("\r")  # As Windows ends lines.


def _to_json(completion: TextCompletion[object]) -> str:
    """Return everything that is known of *completion* as one object on one line."""
    fields = completion.to_dict(conversation=True) | {"value": completion.value}
    if completion.log_probs is not None:
        fields["logprobs"] = json.loads(bytes(raw_log_probs(completion.raw_bytes)))
    return json.dumps(fields, ensure_ascii=False)
