"""Listeners to calls: one channel for whatever wants to know what calls do."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, cast
from weakref import WeakValueDictionary

from limin.calls.warning_report import find_caller, find_line
from limin.errors import ConfigurationError
from limin.values.checks import describe_type, refuse
from limin.values.endpoint import as_private
from limin.values.headers import PrivateHeaders

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from limin.calls.warning_report import SourceLine
    from limin.errors import LiminError
    from limin.values.completion import TextCompletion
    from limin.values.configuration import ModelConfiguration
    from limin.values.conversation import Conversation
    from limin.values.endpoint import Endpoint

_EVENTS = ("begun", "attempt", "waiting", "first_token", "finished")


class ObservedCall(Protocol):
    """One conversation on its way to a completion, as observers see it.

    It is the same object in every method that is called about it, and can be a key of a
    dictionary. Its repr shows no conversation and no key.
    """

    @property
    def conversation(self) -> Conversation:
        """The messages that are sent, with the corrections if it is asked again."""
        ...

    @property
    def configuration(self) -> ModelConfiguration:
        """The model and the other fields of the request, as they are sent."""
        ...

    @property
    def response_type(self) -> object:
        """The type of the answer; None for any text."""
        ...

    @property
    def endpoint(self) -> Endpoint:
        """The server of the attempt under way; its repr shows no key."""
        ...

    @property
    def number(self) -> int:
        """The number of the attempt under way, from 1; 0 before the first one.

        In `waiting` and `finished` it is that of the attempt that has ended.
        """
        ...


class Observer:
    """A listener to calls. Its methods do nothing; override those that matter.

    A call begins, makes one attempt or more with waits between them, and finishes. An
    attempt ends with `waiting` or `finished`. Each request for a completion is a call:
    a round with tools is one, and so is an answer that is asked for again. An answer out
    of a checkpoint is none.

    Methods are called in the call's own task, one observer after the other, in the order
    in which they were given. They must be quick, since the call waits for them. An
    exception that they raise costs one warning for each observer, and no completion.
    """

    def begun(self, call: ObservedCall) -> None:
        """*call* was made; it may wait for its turn before its first attempt."""

    def attempt(self, call: ObservedCall, headers: MutableMapping[str, str]) -> None:
        """A request of *call* is about to be sent.

        Context variables that are set here hold while this request is sent.

        Args:
            call: The call.
            headers: Empty. What is put in is added to this attempt, and shown in no
                message. The headers of `headers=` win over it.
        """

    def waiting(self, call: ObservedCall, seconds: float, error: LiminError) -> None:
        """An attempt failed with *error*; the next one follows in about *seconds*."""

    def first_token(self, call: ObservedCall) -> None:
        """The first token of a streamed answer came."""

    def finished(
        self, call: ObservedCall, result: TextCompletion[object] | BaseException | None
    ) -> None:
        """*call* has ended; each call that began ends once.

        Args:
            call: The call.
            result: The completion, or the exception that ended the call: a `LiminError`,
                or what cancelled it. None if a stream was left before its end.
        """


class AnyObserver(Protocol):
    """An object with the methods of an `Observer`."""

    def begun(self, call: ObservedCall, /) -> None:
        """See `Observer`, also for the others."""
        ...

    def attempt(self, call: ObservedCall, headers: MutableMapping[str, str], /) -> None: ...  # noqa: D102 (see above)

    def waiting(self, call: ObservedCall, seconds: float, error: LiminError, /) -> None: ...  # noqa: D102 (see above)

    def first_token(self, call: ObservedCall, /) -> None: ...  # noqa: D102 (see above)

    def finished(  # noqa: D102 (see above)
        self, call: ObservedCall, result: TextCompletion[object] | BaseException | None, /
    ) -> None: ...


# Those of every client: the one setting of the process, which limin.telemetry makes.
_of_process: tuple[AnyObserver, ...] = ()

# The observers that a warning was issued about, by identity.
_warned_about: WeakValueDictionary[int, AnyObserver] = WeakValueDictionary()
_warned_about_for_good: dict[int, AnyObserver] = {}


def set_observers_of_process(observers: tuple[AnyObserver, ...]) -> None:
    """Let *observers*, and no others, listen to the calls of every client."""
    global _of_process  # noqa: PLW0603 (the one setting of the process)
    _of_process = observers


def with_those_of_process(observers: tuple[AnyObserver, ...]) -> tuple[AnyObserver, ...]:
    """Return the observers of the process, and then *observers*."""
    return (*_of_process, *observers) if _of_process else observers


def check_observers(observers: object) -> tuple[AnyObserver, ...]:
    """Return *observers* as a tuple.

    Raises:
        ConfigurationError: If they are no iterable of objects with the methods of an
            `Observer`.
    """
    if not isinstance(observers, Iterable):
        refuse("observers", observers, "a sequence of limin.Observer")
    found = tuple(cast("Iterable[object]", observers))
    for index, observer in enumerate(found):
        problem = _find_problem(observer)
        if problem is not None:
            problem = f"observers[{index}]: expected a limin.Observer, found {problem}"
            raise ConfigurationError(problem)
    return cast("tuple[AnyObserver, ...]", found)


def _find_problem(observer: object) -> str | None:
    """Return why *observer* cannot be told of anything; None if it can."""
    if isinstance(observer, type):
        return f"the class {observer.__name__} itself"
    methods = {name: getattr(observer, name, None) for name in _EVENTS}
    missing = [name for name, method in methods.items() if not callable(method)]
    if missing:
        return f"{describe_type(observer)} without {', '.join(missing)}"
    waiting = [
        name for name, method in methods.items() if inspect.iscoroutinefunction(method)
    ]
    if waiting:
        return f"{describe_type(observer)} with async {', '.join(waiting)}"
    return None


def tell(observers: tuple[AnyObserver, ...], event: str, *facts: object) -> None:
    """Call the method *event* of each of *observers* with *facts*.

    Raises:
        BaseException: What one raised that is no Exception, such as KeyboardInterrupt;
            the others have been told.
    """
    interrupt: BaseException | None = None
    for observer in observers:
        try:
            getattr(observer, event)(*facts)
        except Exception as error:  # noqa: BLE001 (it costs no completion)
            problem = f"raised {type(error).__name__} in {event}"
            _warn(observer, problem, find_line(error))
        except BaseException as error:  # noqa: BLE001 (raised below)
            interrupt = interrupt or error
    if interrupt is not None:
        raise interrupt


def tell_of_attempt(
    observers: tuple[AnyObserver, ...], call: ObservedCall
) -> PrivateHeaders:
    """Tell *observers* that a request is about to be sent; return what they add to it.

    Raises:
        BaseException: See `tell`.
    """
    added = PrivateHeaders()
    for observer in observers:
        headers = PrivateHeaders()
        tell((observer,), "attempt", call, headers)
        for name, value in headers.items():
            try:
                added |= as_private({name: value})
            except ConfigurationError as error:
                problem = f"put in a header that is not sent: {error}"
                _warn(observer, problem, find_caller())
    return added


def _warn(observer: AnyObserver, problem: str, line: SourceLine) -> None:
    """Issue a warning about *observer* at *line*, unless there was one already."""
    if id(observer) in _warned_about or id(observer) in _warned_about_for_good:
        return
    try:
        _warned_about[id(observer)] = observer
    except TypeError:  # No weak reference to it is possible.
        _warned_about_for_good[id(observer)] = observer
    kind = type(observer)
    text = (
        f"the observer {kind.__module__}.{kind.__qualname__} {problem}; "
        "limin tells no more of its faults"
    )
    place = line.file, line.number, line.module
    try:
        # Without a registry of the module: each observer has a warning of its own.
        warnings.warn_explicit(text, RuntimeWarning, *place, registry={})
    except RuntimeWarning:  # Warnings are errors here, which would cost the completion.
        import logging  # noqa: PLC0415 (takes 3 ms to load)

        logging.getLogger("limin").warning("%s (%s, line %d)", text, *place[:2])


class InFlight(Observer):
    """Counts the calls that it observes."""

    def __init__(self) -> None:
        """Start at none."""
        self._sent: set[ObservedCall] = set()
        self._waiting: set[ObservedCall] = set()

    @property
    def under_way(self) -> int:
        """How many requests were sent and are not answered."""
        return len(self._sent)

    @property
    def resting(self) -> int:
        """How many calls wait before their next attempt."""
        return len(self._waiting)

    def attempt(self, call: ObservedCall, headers: MutableMapping[str, str]) -> None:  # noqa: ARG002 (an observer's signature)
        """Count *call* as under way; its *headers* stay as they are."""
        self._waiting.discard(call)
        self._sent.add(call)

    def waiting(self, call: ObservedCall, seconds: float, error: LiminError) -> None:  # noqa: ARG002 (an observer's signature)
        """Count *call* as waiting, whatever the *seconds* and the *error*."""
        self._sent.discard(call)
        self._waiting.add(call)

    def finished(
        self,
        call: ObservedCall,
        result: TextCompletion[object] | BaseException | None,  # noqa: ARG002 (an observer's signature)
    ) -> None:
        """Count *call* no more, whatever its *result*."""
        self._waiting.discard(call)
        self._sent.discard(call)
