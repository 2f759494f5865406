"""A chat in the terminal: the prompt, the commands, and what Ctrl-C does."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from limin.cli import answers, console, statuses
from limin.errors import LiminError
from limin.values.messages import Message
from limin.values.safe_text import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable

    from limin.cli.dialogue import Dialogue
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation

_PROMPT = "> "

HELP = """\
  /undo             take back the last question and its answer
  /save FILE.jsonl  write the conversation to a file that `limin run` reads
  /system TEXT      set the system's message; without a text, take it away
  /help             list the commands
  /exit             end, as Ctrl-D does
  //TEXT            ask a text that begins with a slash
"""


class Model(Protocol):
    """The model that a chat is with."""

    @property
    def said(self) -> str:
        """The text of the last answer, as far as it came."""
        ...

    def show_answer(self, conversation: Conversation) -> TextCompletion:
        """Write the answer to *conversation* as it comes, and return it."""
        ...


class ChatTerminal:
    """Reads lines from the terminal: questions, which are asked, and commands."""

    def __init__(self, model: Model, dialogue: Dialogue) -> None:
        """Ask *model*, and keep the answers in *dialogue*."""
        self._model, self._dialogue = model, dialogue
        self._commands: dict[str, Callable[..., None]] = {
            "/undo": self._undo,
            "/save": self._save,
            "/system": self._set_system,
            "/help": self._help,
        }

    def talk(self) -> int:
        """Answer until the person ends it, and return the exit status.

        Raises:
            KeyboardInterrupt: After Ctrl-C at the prompt.
        """
        with suppress(ImportError):  # Windows has none, and edits lines by itself.
            # `input` uses it. It is not loaded before: it writes to the terminal.
            import readline  # noqa: F401, PLC0415 # pyright: ignore[reportUnusedImport]
        while (line := _read_line()) is not None:
            name, *rest = line.split(maxsplit=1)
            if name == "/exit":
                break
            if line.startswith("//"):
                self._ask(line[1:])
            elif not line.startswith("/"):
                self._ask(line)
            elif name in self._commands:
                self._commands[name](*rest)
            else:
                console.note(
                    f"{name} is no command; /help lists them, and // asks a text that "
                    "begins with a slash"
                )
        return statuses.ANSWERED

    def _ask(self, text: str) -> None:
        """Ask *text*, and keep it with the answer, or with the part that came.

        After an error the conversation is as it was before.
        """
        try:
            completion = self._model.show_answer(self._dialogue.asking(text))
            answers.note_ending(completion)
            self._dialogue.add(text, completion.to_message())
        except LiminError as error:
            console.note(f"{error}; the conversation is as it was before")
        except KeyboardInterrupt:
            self._keep_part(text, self._model.said)

    def _keep_part(self, text: str, said: str) -> None:
        """Keep what the model *said* until it was stopped: the person has read it."""
        if said:
            self._dialogue.add(text, Message("assistant", said))
            console.note("stopped; the conversation keeps this part, and /undo drops it")
        else:
            console.write_styled("\n")
            console.note("stopped; the conversation is as it was before")

    def _undo(self, _rest: str = "") -> None:
        question = self._dialogue.undo()
        if question is None:
            console.note("there is nothing to take back")
        else:
            console.note(f"taken back: {excerpt(question)}")

    def _save(self, rest: str = "") -> None:
        if not rest or not self._dialogue:
            there_is = "no conversation to save yet" if rest else "no file to save it in"
            console.note(f"there is {there_is}")
            return
        try:
            self._dialogue.save(Path(rest).expanduser())
        except FileExistsError:
            console.note(f"{rest} exists; /save takes another file")
        except (OSError, ValueError, RuntimeError) as error:  # No home, for example.
            reason = getattr(error, "strerror", None) or "it cannot be written"
            console.note(f"{rest}: {reason}")
        else:
            console.note(f"saved in {rest}")

    def _set_system(self, rest: str = "") -> None:
        before, self._dialogue.system = self._dialogue.system, rest or None
        if rest:
            console.note("the system's message is set")
        elif before is None:
            console.note("there is no system's message")
        else:
            console.note(f"the system's message is taken away; it was: {before}")

    def _help(self, _rest: str = "") -> None:
        console.write(HELP)


def _read_line() -> str | None:
    """Return the next line that is not blank, without blanks around it; None at the end.

    Raises:
        KeyboardInterrupt: After Ctrl-C.
    """
    while True:
        try:
            line = input(_PROMPT).strip()
        except EOFError:
            console.write_styled("\n")
            return None
        except KeyboardInterrupt:
            console.write_styled("\n")
            raise
        except UnicodeDecodeError:
            console.note("expected UTF-8, found other bytes")
            continue
        if line:
            return line
