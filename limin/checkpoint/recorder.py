"""A call around a call: asks only for completions that a checkpoint does not hold."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import anyio.lowlevel

from limin.calls.served_model import ServedModelCheck
from limin.checkpoint.file import Checkpoint, no_completion
from limin.checkpoint.request import RecordedRequest
from limin.errors import AnswerWarningError, CheckpointError, LiminError
from limin.policy.failures import StopBatch

if TYPE_CHECKING:
    import os

    from limin.calls.caller import Caller
    from limin.checkpoint.line import RecordedAnswer
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.wire.response import ReadingContext


class RecordedCall:
    """Asks for completions as the caller inside does, and remembers them.

    The checkpoint is open in an `async with` block, in which the call is used.
    """

    def __init__(
        self, caller: Caller, path: str | os.PathLike[str], *, fsync: bool
    ) -> None:
        """Put *caller* behind the checkpoint at *path*; nothing is opened yet."""
        self._caller, self._path, self._fsync = caller, path, fsync

    async def __aenter__(self) -> Self:
        """Open the checkpoint; other tasks have their turns while it is read.

        Raises:
            CheckpointError: If it cannot be read or written, or another run uses it.
        """
        with ExitStack() as stack:
            checkpoint = Checkpoint.lock(self._path, fsync=self._fsync)
            stack.enter_context(checkpoint)
            for _ in checkpoint.read():
                await anyio.lowlevel.checkpoint()
            for _ in checkpoint.find_served_model(self._caller.model):
                await anyio.lowlevel.checkpoint()
            stack.pop_all()
        self._checkpoint = checkpoint
        self._asking = ServedModelCheck(self._caller, checkpoint.served_model)
        return self

    def asking_as(self, caller: Caller) -> RecordedCall:
        """Return a call that asks as *caller* does, behind the same open checkpoint."""
        return self._sharing(self._asking.asking_as(caller), caller)

    async def asking_another_model(self, caller: Caller) -> RecordedCall:
        """Return a call as `asking_as` does, for a *caller* that asks another model.

        Other tasks have their turns while its first answer is looked for.

        Raises:
            CheckpointError: If the file cannot be read any more.
        """
        checkpoint = self._checkpoint
        for _ in checkpoint.find_served_model(caller.model):
            await anyio.lowlevel.checkpoint()
        return self._sharing(ServedModelCheck(caller, checkpoint.served_model), caller)

    def _sharing(self, asking: ServedModelCheck, caller: Caller) -> RecordedCall:
        other = RecordedCall(caller, self._path, fsync=self._fsync)
        other._checkpoint, other._asking = self._checkpoint, asking
        return other

    async def __aexit__(self, *_reason: object) -> None:
        """Close the checkpoint."""
        self._checkpoint.close()

    @property
    def kept(self) -> int:
        """Number of completions in the checkpoint."""
        return self._checkpoint.size

    @property
    def path(self) -> str:
        """Path of the checkpoint."""
        return self._checkpoint.path

    async def __call__(
        self, conversation: Conversation, *, spent: float = 0.0
    ) -> TextCompletion:
        """Return the completion of *conversation*, from the checkpoint or the server.

        Raises:
            AnswerWarningError: If it has warnings that are to be raised; it is in the
                checkpoint.
            LiminError: If there is none.
            StopBatch: If the completion came and could not be written.
        """
        caller, checkpoint = self._caller, self._checkpoint
        body, context = caller.encoder.encode(conversation), caller.context(conversation)
        request = RecordedRequest.of(body, conversation)
        recorded = checkpoint.take(request)
        if recorded is not None:
            # Thousands of lines must not keep other tasks and Ctrl-C waiting.
            await anyio.lowlevel.checkpoint()
            return self._asking.take(self._read(recorded, context), context)
        try:
            completion = await self._asking.send(body, context, spent)
        except AnswerWarningError as error:
            self._write(request, error.completion)
            raise
        self._write(request, completion)
        return completion

    def _write(self, request: RecordedRequest, completion: TextCompletion[object]) -> None:
        """Write *completion*, the answer to *request*, to the checkpoint.

        Raises:
            StopBatch: If it cannot be written.
        """
        try:
            self._checkpoint.add(request, completion)
        except CheckpointError as error:
            raise StopBatch(completion, error) from error
        except Exception as error:
            problem = f"a line could not be written: {type(error).__name__}"
            stop = CheckpointError(problem, self._checkpoint.path)
            raise StopBatch(completion, stop) from error

    def _read(self, recorded: RecordedAnswer, context: ReadingContext) -> TextCompletion:
        """Return the completion that was *recorded*.

        Raises:
            CheckpointError: If there is none, which is not the server's fault.
        """
        try:
            return recorded.completion(context)
        except LiminError as error:
            position = f"at byte {recorded.offset}"
            raise no_completion(self._checkpoint.path, position) from error
