"""The function that every recipe is built on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation


class Ask(Protocol):
    """A function that asks about one conversation."""

    def __call__(
        self, conversation: Conversation, *, spent: float = 0.0
    ) -> Awaitable[TextCompletion[object]]:
        """Return the completion of *conversation*.

        Args:
            conversation: The messages so far.
            spent: Seconds of the deadline that earlier requests have taken.

        Raises:
            LiminError: If there is none.
        """
        ...
