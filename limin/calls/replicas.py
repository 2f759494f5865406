"""The replicas of a model, and the route of one call over them.

`policy.endpoints` decides; here are the clock, and the calls that report to it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

import attrs
import msgspec

from limin.calls.server import Outlook
from limin.policy.endpoints import (
    MOVING,
    Fault,
    LoadBalancer,
    hash_opening,
    judge,
    name_replicas,
)
from limin.policy.failures import is_overload, server_error_in
from limin.policy.parallelism import ReplicaParallelism
from limin.values.progress import Effort
from limin.values.safe_text import excerpt
from limin.values.warnings import ResponseWarning, WarningCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from limin.calls.server import Server
    from limin.errors import LiminError
    from limin.values.completion import TextCompletion
    from limin.values.conversation import Conversation

# The models whose answers are compared; a program may ask for any number.
_MOST_MODELS = 256


class Replicas(msgspec.Struct, frozen=True):
    """Servers of one model, and how each of them stands.

    Attributes:
        all: The servers.
        balancer: Chooses among them.
        affinity: Whether a conversation that goes on stays with its server.
        served: For each model asked for, the first name that a server gave to it, and
            the index of that server.
        clock: Returns the time, in seconds.
        parallelism: How many requests may be under way at each, for the calls of a
            batch that finds the number; None for all other calls.
    """

    all: tuple[Server, ...]
    balancer: LoadBalancer
    affinity: bool
    served: dict[str, tuple[str, int]]
    clock: Callable[[], float]
    parallelism: ReplicaParallelism | None = None

    # No completion has it: each has the name of the server that answered.
    name = None

    @classmethod
    def of(
        cls,
        servers: Sequence[Server],
        *,
        affinity: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> Replicas:
        """Return the replicas at *servers*, all of them healthy."""
        names = name_replicas(server.endpoint.base_url for server in servers)
        return cls(tuple(servers), LoadBalancer(names), affinity, {}, clock)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts to keep out of messages."""
        return tuple(text for server in self.all for text in server.endpoint.secrets())

    @property
    def seconds_of_rest(self) -> float:
        """Seconds for which every replica wants a pause; any thread may ask."""
        return min(server.rate_limiter.seconds_of_rest for server in self.all)

    @property
    def n_resting(self) -> int:
        """How many replicas rest after failures."""
        return self.balancer.n_resting(self.clock())

    def healthy_first(self) -> tuple[Server, ...]:
        """Return every server, those that rest at the end."""
        ranked = self.balancer.rank_all(self.clock())
        return tuple(self.all[index] for index in ranked)

    def with_headers(self, headers: Mapping[str, str] | None) -> Replicas:
        """Return the same replicas for requests that have *headers*, too.

        Raises:
            ConfigurationError: If a header is wrong.
        """
        if not headers:
            return self
        servers = tuple(server.with_headers(headers) for server in self.all)
        return msgspec.structs.replace(self, all=servers)

    def limited_by(
        self, n_parallel: int | Literal["auto"]
    ) -> tuple[Replicas, int | ReplicaParallelism]:
        """Return the replicas for the calls of a batch, and what limits their number.

        Of `auto`, it is found for each replica by itself.
        """
        if n_parallel != "auto":
            return self, n_parallel
        parallelism = ReplicaParallelism(len(self.all), self.balancer.is_available)
        return msgspec.structs.replace(self, parallelism=parallelism), parallelism

    def route(self, conversation: Conversation) -> ReplicaRoute:
        """Return the route of a call about *conversation*."""
        return ReplicaRoute(self, hash_opening(conversation) if self.affinity else None)


class ReplicaRoute:
    """The way of one call over the replicas: one for each attempt.

    Attributes:
        server: The replica of the attempt under way, or of the last one.
        n_moves: How often the call has moved to another replica without a retry.
    """

    __slots__ = (
        *("_failed", "_index", "_is_open", "_is_trial", "_opening", "_refusals"),
        *("_replicas", "_started", "n_moves", "server"),
    )

    def __init__(self, replicas: Replicas, opening: bytes | None) -> None:
        """Start before the first attempt of a call with this hash of its *opening*."""
        self._replicas, self._opening = replicas, opening
        self._failed: set[int] = set()
        self._refusals: list[tuple[str, LiminError]] = []
        self._index, self.server = 0, replicas.all[0]
        self._is_open = self._is_trial = False
        self._started = 0.0
        self.n_moves = 0

    @property
    def resting_until(self) -> float:
        """End of the shortest pause that a replica wants, by the event loop's clock."""
        return min(server.rate_limiter.resting_until for server in self._replicas.all)

    def choose(self) -> None:
        """Choose the replica of the next attempt, and count the attempt there."""
        replicas = self._replicas
        parallelism = replicas.parallelism
        self._started = replicas.clock()
        self._index = replicas.balancer.choose(
            self._started,
            opening=self._opening,
            avoided=self._failed,
            limits=None if parallelism is None else parallelism.limits,
        )
        self.server = replicas.all[self._index]
        self._is_trial = replicas.balancer.begin(self._index)
        self._is_open = True

    def leave(self, error: LiminError, chance: float) -> Outlook:
        """Note that the attempt failed; return whether another replica may take over.

        Args:
            error: Why it failed.
            chance: A random number in [0, 1).
        """
        if not self._is_open:
            return Outlook.NONE
        self.release()
        fault = self._note_failure(error, chance)
        if fault is None:
            return Outlook.NONE
        self._failed.add(self._index)
        replicas, balancer = self._replicas, self._replicas.balancer
        has_others = balancer.others_take_requests(self._index)
        if fault is Fault.REFUSES:
            self._refusals.append((self.server.name, error))
            server_error = server_error_in(error)
            if server_error is not None and has_others:
                server_error.strikes_every_prompt = False  # The others may answer.
        may_move = fault in MOVING and self.n_moves < len(replicas.all) - 1
        if may_move and balancer.has_other(replicas.clock(), self._failed):
            self.n_moves += 1
            return Outlook.NOW
        # The pause that this one asks for is kept by its rate limiter, not by the call.
        may_wait = fault in MOVING and fault is not Fault.CLOSED
        return Outlook.LATER if may_wait and has_others else Outlook.NONE

    def finish(self, completion: TextCompletion) -> TextCompletion:
        """Note that *completion* came, and return it, with warnings about the replicas."""
        self.release()
        replicas = self._replicas
        replicas.balancer.note_answer(self._index, self._started)
        if replicas.parallelism is not None:
            tokens = Effort.of(completion).tokens
            work = 1.0 if tokens is None else float(tokens)
            replicas.parallelism.learn(
                *(self._index, replicas.clock()),
                started=self._started,
                work=work,
                overloaded=False,
            )
        warnings = [*self._find_refusals(), *self._find_other_model(completion)]
        if not warnings:
            return completion
        return attrs.evolve(
            completion, body_warnings=(*completion.body_warnings, *warnings)
        )

    def release(self) -> None:
        """End the attempt under way, if there is one."""
        if self._is_open:
            self._is_open = False
            self._replicas.balancer.end(self._index, is_trial=self._is_trial)

    def _note_failure(self, error: LiminError, chance: float) -> Fault | None:
        """Tell what the attempt's *error* says of its replica, and return that."""
        replicas, index, now = self._replicas, self._index, self._replicas.clock()
        if replicas.parallelism is not None:
            replicas.parallelism.learn(
                index, now, started=self._started, work=0.0, overloaded=is_overload(error)
            )
        fault, server_error = judge(error), server_error_in(error)
        if fault is None:
            replicas.balancer.note_answer(index, self._started)
            return None
        replicas.balancer.note_fault(
            *(index, fault, now),
            started=self._started,
            chance=chance,
            pause=None if server_error is None else server_error.retry_after,
        )
        return fault

    def _find_refusals(self) -> list[ResponseWarning]:
        """Return a warning for each replica that refused this call, and would any other."""
        return [
            ResponseWarning(
                WarningCode.REPLICA_REFUSED,
                "$",
                f"{name} refuses every request: {type(error).__name__}: {error}",
            )
            for name, error in self._refusals
        ]

    def _find_other_model(self, completion: TextCompletion) -> list[ResponseWarning]:
        """Return a warning if the replica serves another model than one before it."""
        served, model = self._replicas.served, completion.served_model
        if model is None:
            return []
        expected, index = served.get(completion.model, (model, self._index))
        if index == self._index:
            if len(served) < _MOST_MODELS or completion.model in served:
                served[completion.model] = model, index
            return []
        if model == expected:
            return []
        prompts = completion.conversation.texts()
        found = excerpt(model, (*self._replicas.secrets, *prompts))
        expected_of = self._replicas.all[index].name
        problem = (
            f"expected the model that {expected_of} serves, "
            f"found {found!r} at {self.server.name}"
        )
        return [ResponseWarning(WarningCode.SERVED_MODEL_CHANGED, "$.model", problem)]
