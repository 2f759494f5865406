"""What the environment and the program say about telemetry.

The only reader of OpenTelemetry's variables in limin.
"""

from __future__ import annotations

import os
import warnings
from typing import Literal, NamedTuple, TypeAlias

from limin.errors import ConfigurationError
from limin.values.checks import describe_type

_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_STABILITY = "OTEL_SEMCONV_STABILITY_OPT_IN"
_LATEST = "gen_ai_latest_experimental"

Capture: TypeAlias = Literal["no_content", "span_only", "event_only", "span_and_event"]


class Recorded(NamedTuple):
    """Where prompts and answers are recorded.

    Attributes:
        on_spans: Whether they are attributes of spans.
        in_events: Whether they are in events.
    """

    on_spans: bool
    in_events: bool


_MODES = {
    "no_content": Recorded(on_spans=False, in_events=False),
    "span_only": Recorded(on_spans=True, in_events=False),
    "event_only": Recorded(on_spans=False, in_events=True),
    "span_and_event": Recorded(on_spans=True, in_events=True),
    # Of older instrumentations.
    "false": Recorded(on_spans=False, in_events=False),
    "true": Recorded(on_spans=True, in_events=True),
}


def find_capture(capture_content: object) -> Recorded:
    """Return where content is recorded: as the argument says, or else the environment.

    Raises:
        ConfigurationError: If the argument is neither None, a bool nor a mode.
    """
    if capture_content is None:
        return _read_capture()
    mode = str(capture_content).lower()
    if not isinstance(capture_content, (str, bool)) or mode not in _MODES:
        found = describe_type(capture_content)
        modes = ", ".join(list(_MODES)[:4])
        problem = f"capture_content: expected True, False or one of {modes}, found {found}"
        raise ConfigurationError(problem)
    return _MODES[mode]


def _read_capture() -> Recorded:
    """Return where the environment wants content; nowhere, with a warning, if it is odd."""
    mode = os.environ.get(_CONTENT, "").strip().lower() or "no_content"
    if mode not in _MODES:
        modes = ", ".join(list(_MODES)[:4])
        problem = f"{_CONTENT}: expected one of {modes}; no content is recorded"
        warnings.warn(problem, RuntimeWarning, stacklevel=4)
    return _MODES.get(mode, _MODES["no_content"])


def wants_latest() -> bool:
    """Return whether the environment asks for the latest names of the conventions."""
    values = os.environ.get(_STABILITY, "").split(",")
    return _LATEST in {value.strip() for value in values}
