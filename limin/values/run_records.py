"""A line of a run, as a person looks at it: what was asked, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from limin.values.completion import TextCompletion


@attrs.frozen
class RecordedError:
    """An error as a file holds it.

    Attributes:
        kind: Name of its class.
        message: Its sentence.
        status: HTTP status of the response; None if there was none.
    """

    kind: str
    message: str = attrs.field(repr=False)
    status: int | None = None


@attrs.frozen(kw_only=True)
class RunRecord:
    """One line of a run or a checkpoint.

    Attributes:
        number: Number of the input line; of a checkpoint, that of its own line.
        custom_id: Id of the line; None if its shape has none.
        inputs: Texts of the input's fields, by their names.
        completion: The answer; None if there is none.
        error: Why there is no answer, or none that is of use; None if there is one.
        warnings: Codes of the answer's warnings.
        seconds: How long the answer took; None if that is not known.
        end_time: When it was there, in Unix seconds.
    """

    number: int
    custom_id: str | None = None
    inputs: Mapping[str, str] = attrs.field(repr=False)
    completion: TextCompletion[object] | None
    error: RecordedError | None
    warnings: tuple[str, ...] = ()
    seconds: float | None = None
    end_time: float

    @property
    def failed(self) -> bool:
        """Whether there is no answer, or none that is of use."""
        return self.error is not None
