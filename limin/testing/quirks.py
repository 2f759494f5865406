"""The catalogue of odd answers that servers really send, by name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from limin.testing.odd_bodies import ODD_BODIES
from limin.testing.odd_errors import ODD_ERRORS
from limin.testing.odd_http import ODD_HTTP
from limin.testing.odd_streams import ODD_STREAMS
from limin.testing.odd_tokens import ODD_TOKENS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from limin.testing.answers import Quirk

QUIRKS: Mapping[str, Quirk] = MappingProxyType(
    {
        quirk.name: quirk
        for quirk in (*ODD_BODIES, *ODD_TOKENS, *ODD_STREAMS, *ODD_HTTP, *ODD_ERRORS)
    }
)
