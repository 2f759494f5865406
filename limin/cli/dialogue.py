"""The conversation of a chat: it grows by exchanges, and the last one can be taken back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from limin.values.conversation import Conversation
from limin.values.messages import Message

if TYPE_CHECKING:
    from pathlib import Path


class Dialogue:
    """A system's message, and questions with their answers.

    Attributes:
        system: The system's message; None for none.
    """

    def __init__(self, system: str | None) -> None:
        """Begin with nothing but the message *system*."""
        self.system = system
        self._exchanges: list[tuple[Message, Message]] = []
        self._saved: set[Path] = set()

    def __len__(self) -> int:
        """Return the number of exchanges."""
        return len(self._exchanges)

    def asking(self, text: str) -> Conversation:
        """Return the conversation with the question *text* behind it, which is not kept."""
        return Conversation([*self._messages(), Message("user", text)])

    def add(self, text: str, answer: Message) -> None:
        """Keep the question *text* and its *answer*."""
        self._exchanges.append((Message("user", text), answer))

    def undo(self) -> str | None:
        """Take back the last exchange, and return its question; None if there is none."""
        return self._exchanges.pop()[0].text if self._exchanges else None

    def save(self, path: Path) -> None:
        """Write the conversation to the file *path*, as a line that `limin run` reads.

        A file that was there before is left alone, and one that this conversation made is
        written anew.

        Raises:
            FileExistsError: If it was there before.
            OSError, ValueError: If it cannot be written.
        """
        messages = Conversation(self._messages()).to_openai()
        line = json.dumps({"messages": messages}, ensure_ascii=False) + "\n"
        with path.open("wb" if path in self._saved else "xb") as file:
            self._saved.add(path)
            file.write(line.encode(errors="replace"))

    def _messages(self) -> list[Message]:
        system = [] if self.system is None else [Message("system", self.system)]
        return system + [message for pair in self._exchanges for message in pair]
