"""`limin chat`: a conversation, by a person in the terminal or by lines of a pipe.

Each turn has an event loop and a connection of its own. Between the turns nothing runs, so
Ctrl-C ends an answer, or the wait for a line, on every system.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import anyio

from limin.cli import answers, arguments, console, statuses
from limin.cli.chat_terminal import HELP, ChatTerminal
from limin.cli.dialogue import Dialogue
from limin.client import Client
from limin.errors import ConfigurationError
from limin.values.endpoint import Endpoint

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from limin.calls.stream import CompletionStream
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation

DESCRIPTION = f"""\
Talk with a model in the terminal: each line is a question, whose answer streams. Ctrl-C
stops an answer, and the conversation keeps the part that came; at the prompt it ends the
program, as Ctrl-D does. The up-arrow brings back a line. Lines that begin with a slash are
commands:

{HELP}
If stdin or stdout is no terminal, each line of stdin is a question, whatever it begins
with, and the bare answers go to stdout.
"""
EXAMPLES = """\
  limin chat
  limin chat -m llama3.2 --base-url http://localhost:11434/v1    an Ollama
  limin chat -s 'Answer in one sentence.' --temperature 0
  limin chat --log-probs                            colored by probability
  printf 'Name a city.\\nWhere is it?\\n' | limin chat
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to *parser*."""
    arguments.add_log_probs(parser)
    arguments.add_endpoint(parser)
    arguments.add_sampling(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command with the parsed *options*, and return its exit status.

    Raises:
        LiminError: If an argument is wrong; or if a line that came by a pipe has no answer.
        BrokenPipeError: If nobody reads the answers any more.
        KeyboardInterrupt: After Ctrl-C at the prompt.
    """
    model, dialogue = ChatModel(options), Dialogue(options.system)
    if sys.stdin is not None and sys.stdin.isatty() and console.is_terminal():
        console.note(f"{model.name}; /help lists the commands")
        return ChatTerminal(model, dialogue).talk()
    return _answer_lines(model, dialogue)


class ChatModel:
    """The model that a chat is with.

    Attributes:
        name: Names of the model and of its host.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        """Ask as *options* say.

        Raises:
            ConfigurationError: If an argument is wrong, or there is no key.
        """
        self._configuration = arguments.configuration_of(options)
        self._client_options = arguments.client_options(options)
        Client(**self._client_options)  # What is wrong is told before anybody types.
        host = Endpoint.resolve(options.base_url).host
        self.name = f"{self._configuration.model} at {host}"
        self._stream: CompletionStream | None = None

    @property
    def said(self) -> str:
        """The text of the last streamed answer, as far as it came."""
        return "" if self._stream is None else self._stream.text

    def ask(self, conversation: Conversation) -> TextCompletion:
        """Return the answer to *conversation*.

        Raises:
            LiminError: If there is none.
        """

        async def ask() -> TextCompletion:
            async with Client(**self._client_options) as client:
                return await client.generate_text_completion_for_conversation(
                    conversation, model_configuration=self._configuration
                )

        return anyio.run(ask)

    def show_answer(self, conversation: Conversation) -> TextCompletion:
        """Write the answer to *conversation* to the terminal as it comes, and return it.

        Raises:
            LiminError: If there is none, or a part of it; see `said`.
        """
        self._stream = None

        async def ask() -> TextCompletion:
            async with Client(**self._client_options) as client:
                self._stream = client.stream_text_completion_for_conversation(
                    conversation, model_configuration=self._configuration
                )
                return await answers.write_stream(self._stream)

        return anyio.run(ask)


def _answer_lines(model: ChatModel, dialogue: Dialogue) -> int:
    """Answer the lines of stdin, and return the exit status."""
    status = statuses.ANSWERED
    for text in _read_lines():
        completion = model.ask(dialogue.asking(text))
        answers.write_whole(completion)
        status = max(status, answers.note_ending(completion))
        dialogue.add(text, completion.to_message())
    return status


def _read_lines() -> Iterator[str]:
    """Yield the lines of stdin that are not blank.

    Raises:
        ConfigurationError: If one is no text.
    """
    if sys.stdin is None:
        return
    for line in sys.stdin.buffer:
        try:
            text = line.decode().strip()
        except UnicodeDecodeError:
            problem = "expected UTF-8 by stdin, found other bytes"
            raise ConfigurationError(problem) from None
        if text:
            yield text
