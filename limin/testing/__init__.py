"""A scripted endpoint for tests: a real server on loopback that answers as a test says.

    async with scripted_endpoint([Answer("Paris.")]) as endpoint:
        completion = await generate_text_completion("?", base_url=endpoint.base_url)

Nothing else of limin imports it.
"""

from limin.testing.answers import (
    Answer,
    Garbage,
    Quirk,
    Refusal,
    Reply,
    Silence,
    Stream,
)
from limin.testing.endpoint import ScriptedEndpoint, scripted_endpoint
from limin.testing.quirks import QUIRKS
from limin.testing.replay import replay_endpoint
from limin.testing.requests import Request

__all__ = [
    "QUIRKS",
    "Answer",
    "Garbage",
    "Quirk",
    "Refusal",
    "Reply",
    "Request",
    "ScriptedEndpoint",
    "Silence",
    "Stream",
    "replay_endpoint",
    "scripted_endpoint",
]
