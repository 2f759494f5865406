"""The variables of the environment that only the program reads."""

from __future__ import annotations

import os

MODEL_VARIABLE = "LIMIN_MODEL"


def named_model() -> str | None:
    """Return the model that the environment names; None if it names none."""
    return os.environ.get(MODEL_VARIABLE, "").strip() or None


def chooses_encoding() -> bool:
    """Return whether the user chose an encoding for stdout and stderr."""
    return bool(os.environ.get("PYTHONIOENCODING"))


def is_completing() -> bool:
    """Return whether a shell asks for completions of the command line, not for a run.

    Source: https://kislyuk.github.io/argcomplete, which sets the variable.
    """
    return "_ARGCOMPLETE" in os.environ
