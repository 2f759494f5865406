"""A call around a call: asks only for what a checkpoint does not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from limin.checkpoint.file import Checkpoint
from limin.errors import CheckpointError
from limin.policy.failures import StopBatch
from limin.values.conversation import as_conversation

if TYPE_CHECKING:
    import os

    from limin.calls.call import Call
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation


class RecordedCall:
    """Asks what a checkpoint does not hold yet, and writes down what comes."""

    def __init__(
        self, asker: Call, path: str | os.PathLike[str] | None, *, fsync: bool
    ) -> None:
        """Ask through *asker*, with the checkpoint at *path*; None for none."""
        self._asker = asker
        self._path = path
        self._fsync = fsync
        self._checkpoint: Checkpoint | None = None

    def __enter__(self) -> Self:
        """Open the checkpoint.

        Raises:
            CheckpointError: If it cannot be read or written, or is another run's.
        """
        if self._path is not None:
            self._checkpoint = Checkpoint.open(self._path, fsync=self._fsync)
        return self

    def __exit__(self, *_reason: object) -> None:
        """Close it."""
        if self._checkpoint is not None:
            self._checkpoint.close()

    @property
    def in_flight(self) -> int:
        """How many requests were sent and are not answered."""
        return self._asker.flights.now

    @property
    def rest(self) -> float:
        """Seconds for which the server still wants rest."""
        return self._asker.rate_limiter.seconds_of_rest

    async def ask(
        self, asked: str | Conversation, system_prompt: str | None = None
    ) -> TextCompletion:
        """The completion of what is *asked*, from the checkpoint or the server.

        Raises:
            LiminError: If there is none.
            StopBatch: If it came, and could not be written down.
        """
        conversation = as_conversation(asked, system_prompt)
        checkpoint, asker = self._checkpoint, self._asker
        if checkpoint is None:
            return await asker.ask(conversation)
        body, question = asker.encoder.encode(conversation), asker.question(conversation)
        known = checkpoint.take(body)
        if known is not None:
            return known.completion(question)
        completion = await asker.send(body, question)
        try:
            checkpoint.add(body, completion)
        except CheckpointError as error:
            raise StopBatch(completion, error) from error
        return completion
