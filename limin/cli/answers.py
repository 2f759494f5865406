"""One answer, as the program writes it: piece by piece or whole, and a note on its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from limin.cli import console, statuses
from limin.values.display import rendering

if TYPE_CHECKING:
    from limin.calls.stream import CompletionStream
    from limin.values.completion import TextCompletion

T = TypeVar("T")

_ENDINGS = {
    "length": "the answer was cut off at its length limit",
    "content_filter": "a filter of the server cut off the answer",
}


async def write_stream(stream: CompletionStream[T]) -> TextCompletion[T]:
    """Write the answer of *stream* to the terminal as it comes, and return it.

    Raises:
        LiminError: If there is none, or only a part of it.
    """
    async with stream:
        first = None
        try:
            async for delta in stream:
                first = delta.choice if first is None else first
                if delta.choice == first:
                    piece = rendering().answer_piece(
                        delta.text, delta.log_probs, reasoning=delta.reasoning
                    )
                    console.write_styled(piece)
        finally:
            console.write_styled("\n")
        return stream.completion


def write_whole(completion: TextCompletion[object]) -> None:
    """Write the text of *completion*: colored on a terminal, bare elsewhere."""
    text = completion.message
    if console.is_terminal() and completion.log_probs is not None:
        piece = rendering().answer_piece(text, completion.log_probs)
        console.write_styled(piece + "\n")
        return
    console.write(text if text.endswith("\n") else f"{text}\n")


def note_ending(completion: TextCompletion[object]) -> int:
    """Say if *completion* is a refusal or was cut off, and return the exit status."""
    if completion.refusal is not None:
        console.note(f"the model refused: {completion.refusal}")
        return statuses.FAILED
    if completion.finish_reason in _ENDINGS:
        console.note(_ENDINGS[completion.finish_reason])
    return statuses.ANSWERED
