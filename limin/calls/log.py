"""The logger `limin`: a record for each attempt, each wait and each completion.

No record holds a prompt, an answer, a key, or words of the server.
"""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING

from limin.calls.observer import Observer
from limin.calls.server_words import plain_word
from limin.errors import LiminError
from limin.policy.failures import server_error_in
from limin.values.completion import TextCompletion

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from limin.calls.observer import ObservedCall

_LOGGER = logging.getLogger("limin")


class LogObserver(Observer):
    """Writes a record about each attempt and wait at DEBUG, and each call's end at INFO."""

    def __init__(self) -> None:
        """Start with no call."""
        self._begun: dict[ObservedCall, float] = {}

    @staticmethod
    def is_read() -> bool:
        """Return whether somebody reads what is written at the end of a call."""
        return _LOGGER.isEnabledFor(logging.INFO)

    def begun(self, call: ObservedCall) -> None:
        """Start the clock of *call*."""
        self._begun[call] = perf_counter()

    def attempt(self, call: ObservedCall, headers: MutableMapping[str, str]) -> None:  # noqa: ARG002 (an observer's signature)
        """Write that a request is sent."""
        if _LOGGER.isEnabledFor(logging.DEBUG):
            _write(logging.DEBUG, "attempt", "is sent", call)

    def waiting(self, call: ObservedCall, seconds: float, error: LiminError) -> None:
        """Write why an attempt failed, and how long the wait is."""
        if _LOGGER.isEnabledFor(logging.DEBUG):
            facts = _facts_of_error(call, error)
            text = f"failed with {_name(facts)}; the next follows in {seconds:.2f} s"
            _write(logging.DEBUG, "waiting", text, call, limin_wait=seconds, **facts)

    def finished(
        self, call: ObservedCall, result: TextCompletion[object] | BaseException | None
    ) -> None:
        """Write what the call came to."""
        seconds = perf_counter() - self._begun.pop(call, perf_counter())
        if isinstance(result, TextCompletion):
            facts, text = _facts_of_completion(call, result), "brought the answer"
        elif result is None:
            facts, text = {}, "was left before the end of its stream"
        else:
            facts = _facts_of_error(call, result)
            text = f"ended with {_name(facts)}"
        facts["limin_seconds"] = seconds
        _write(logging.INFO, "finished", f"{text} after {seconds:.2f} s", call, **facts)


def _write(level: int, event: str, text: str, call: ObservedCall, **facts: object) -> None:
    """Write a record: *text* is about the last attempt of *call*."""
    model, host = call.configuration.model, call.endpoint.host
    fields: dict[str, object] = {
        "limin_event": event,
        "limin_model": model,
        "limin_endpoint": host,
        "limin_attempt": call.number,
        **facts,
    }
    message = "%s at %s: attempt %d %s"
    _LOGGER.log(level, message, model, host, call.number, text, extra=fields)


def _name(facts: dict[str, object]) -> str:
    """Return the name of an error, with its status if it has one."""
    status = facts.get("limin_status")
    return f"{facts['limin_error']} {status}" if status else f"{facts['limin_error']}"


def _facts_of_error(call: ObservedCall, error: BaseException) -> dict[str, object]:
    """Return what is told about *error*: its type and numbers, and none of its words."""
    facts: dict[str, object] = {"limin_error": type(error).__name__}
    server_error = server_error_in(error) if isinstance(error, LiminError) else None
    if server_error is not None:
        facts["limin_status"] = server_error.effective_status
        facts["limin_request_id"] = plain_word(call, server_error.request_id)
    return facts


def _facts_of_completion(
    call: ObservedCall, completion: TextCompletion[object]
) -> dict[str, object]:
    """Return what is told about *completion*: where it comes from, and its size."""
    facts: dict[str, object] = {
        "limin_served_model": plain_word(call, completion.served_model),
        "limin_finish_reason": plain_word(call, completion.finish_reason),
        "limin_request_id": plain_word(call, completion.request_id),
        "limin_time_to_first_token": completion.timing.time_to_first_token,
    }
    if completion.usage is not None:
        facts["limin_prompt_tokens"] = completion.usage.prompt_tokens
        facts["limin_completion_tokens"] = completion.usage.completion_tokens
    return facts


# Calls differ, so one listener does for all clients.
LOG = LogObserver()
