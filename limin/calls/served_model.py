"""A check that one model gives all the answers of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import attrs

from limin.calls.warning_report import report_warnings
from limin.errors import AnswerWarningError
from limin.values.safe_text import excerpt
from limin.values.warnings import ResponseWarning, WarningCode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from limin.calls.caller import Caller
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation
    from limin.wire.response import ReadingContext

V = TypeVar("V")


class _ServedModel:
    """The name that the first answer gave to its model; None as long as none had one."""

    __slots__ = ("name",)

    def __init__(self, name: str | None) -> None:
        self.name = name


class ServedModelCheck:
    """Calls that expect the served model of the first answer in all of a run's answers.

    A wrong port or a server that was started anew has often another model.
    """

    def __init__(self, caller: Caller, served_model: str | None = None) -> None:
        """Call as *caller* does, and expect *served_model* if there is one already.

        By default that is the one that the caller knows.
        """
        if served_model is None and caller.served_models is not None:
            served_model = caller.served_models.get(caller.model)
        self._caller, self._expected = caller, _ServedModel(served_model)

    def asking_as(self, caller: Caller) -> ServedModelCheck:
        """Return calls as *caller* makes them that expect the same served model."""
        other = ServedModelCheck(caller)
        other._expected = self._expected
        return other

    def ask(
        self, conversation: Conversation, *, spent: float = 0.0
    ) -> Awaitable[TextCompletion]:
        """Return the completion of *conversation*; see `Caller.ask`.

        Raises:
            LiminError: If there is none, or it has warnings that are to be raised.
        """
        caller = self._caller
        body, context = caller.encoder.encode(conversation), caller.context(conversation)
        return self.send(body, context, spent)

    async def send(
        self, body: bytes, context: ReadingContext, spent: float = 0.0
    ) -> TextCompletion:
        """Send *body*, and return the completion; see `Caller.send`.

        Raises:
            LiminError: If there is none, or it has warnings that are to be raised.
        """
        try:
            completion = await self._caller.send(body, context, spent)
        except AnswerWarningError as error:
            warning = self._find_change(error.completion, context)
            if warning is not None:
                error.completion = _add_warning(error.completion, warning)
                error.warnings = error.completion.warnings
            raise
        warning = self._find_change(completion, context)
        if warning is not None:
            completion = _add_warning(completion, warning)
            self._report(completion, (warning,))  # The others have been reported.
        return completion

    def take(self, completion: TextCompletion, context: ReadingContext) -> TextCompletion:
        """Return a *completion* that was recorded, and report its warnings.

        Raises:
            AnswerWarningError: If it has warnings that are to be raised.
        """
        warning = self._find_change(completion, context)
        if warning is not None:
            completion = _add_warning(completion, warning)
        self._report(completion)
        return completion

    def _find_change(
        self, completion: TextCompletion[object], context: ReadingContext
    ) -> ResponseWarning | None:
        """Return a warning if another model answered than before; else None."""
        if self._expected.name is None:
            self._expected.name = completion.served_model
        codes = {warning.code for warning in completion.body_warnings}
        if WarningCode.SERVED_MODEL_CHANGED in codes:  # Among replicas, and reported.
            return None
        return _find_other_model(completion, self._expected.name, context.secrets)

    def _report(
        self, completion: TextCompletion, only: tuple[ResponseWarning, ...] | None = None
    ) -> None:
        caller = self._caller
        report_warnings(completion, caller.on_warning, caller.asked_at, only)


def warn_of_other_model(
    completion: TextCompletion, expected: str | None, secrets: Iterable[str]
) -> TextCompletion:
    """Return *completion*, with one more warning if its served model is not the *expected*.

    No message repeats *secrets*.
    """
    warning = _find_other_model(completion, expected, secrets)
    return completion if warning is None else _add_warning(completion, warning)


def _find_other_model(
    completion: TextCompletion[object], expected: str | None, secrets: Iterable[str]
) -> ResponseWarning | None:
    served_model = completion.served_model
    if served_model is None or served_model == expected:
        return None
    name = excerpt(served_model, secrets)
    problem = f"expected the model that answered before, found {name!r}"
    return ResponseWarning(WarningCode.SERVED_MODEL_CHANGED, "$.model", problem)


def _add_warning(
    completion: TextCompletion[V], warning: ResponseWarning
) -> TextCompletion[V]:
    body_warnings = (*completion.body_warnings, warning)
    return attrs.evolve(completion, body_warnings=body_warnings)
