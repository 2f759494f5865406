"""The codes of the warnings about answers, found without keeping what is decoded."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from limin.values.completion import TextCompletion
    from limin.values.warnings import WarningCode


def warning_codes(completion: TextCompletion[object]) -> tuple[WarningCode, ...]:
    """Return the code of each warning about *completion*, once, in their order.

    Log probabilities are decoded for it, and not kept.
    """
    codes = [warning.code for warning in completion.body_warnings]
    return tuple(dict.fromkeys(codes + _log_prob_codes(completion)))


def has_warning(completion: TextCompletion[object], codes: Collection[WarningCode]) -> bool:
    """Return whether *completion* has a warning with one of *codes*.

    Log probabilities are decoded only if the body's own warnings have none of them.
    """
    if any(warning.code in codes for warning in completion.body_warnings):
        return True
    return any(code in codes for code in _log_prob_codes(completion))


def _log_prob_codes(completion: TextCompletion[object]) -> list[WarningCode]:
    answers = (choice.log_probs for choice in completion.choices)
    return [
        warning.code
        for log_probs in answers
        if log_probs is not None
        for warning in copy(log_probs).warnings
    ]
