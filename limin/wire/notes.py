"""A collector of warnings, which counts how often each one applies."""

from __future__ import annotations

from limin.values.warnings import ResponseWarning, WarningCode


class Notes:
    """Collects what is odd about a response: one warning for each kind of problem.

    A warning has the path of the first occurrence, and the number of all of them.
    """

    def __init__(self, *, per_path: bool = False) -> None:
        """Start without a note.

        Args:
            per_path: Make a warning for each path, even if the problem is the same.
        """
        self._per_path = per_path
        self._notes: dict[tuple[WarningCode, str, str], tuple[str, int]] = {}

    def add(self, code: WarningCode, path: str, problem: str) -> None:
        """Note *problem* at the JSON *path*."""
        key = code, problem, path if self._per_path else ""
        first, count = self._notes.get(key, (path, 0))
        self._notes[key] = first, count + 1

    def warnings(self) -> tuple[ResponseWarning, ...]:
        """Return the warnings, in the order of their first occurrence."""
        return tuple(
            ResponseWarning(code, path, problem, count)
            for (code, problem, _), (path, count) in self._notes.items()
        )
