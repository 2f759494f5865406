"""The client: one endpoint, its connections, and every way to ask it."""

from __future__ import annotations

from limin.client.batches import BatchVerbs
from limin.client.conversations import ConversationVerbs
from limin.client.decisions import DecisionVerbs
from limin.client.models import ModelVerbs

__all__ = ["Client"]


class Client(ConversationVerbs, BatchVerbs, DecisionVerbs, ModelVerbs):
    """Asks one OpenAI-compatible endpoint, over connections of its own.

    Use it with `async with`, or call `aclose` when done.
    """
