"""Which replica of a model the next request goes to, and which of them rest.

Decisions only: the caller brings the time and the random numbers, and sends.

A replica is *healthy* until a failure says otherwise (`judge`). Then it *rests*: longer
after each further failure, up to half a minute. When the rest is over, one request tries it
again. An answer makes it healthy, a failure begins the next rest. As long as any replica
is healthy, the others get no other request; if none is, the best of them gets it, since
then nothing is better than to try.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING

from limin.errors import (
    ConnectError,
    LiminError,
    ProtocolError,
    QuotaError,
    RateLimitError,
    RequestTimeoutError,
    ResponseError,
    ResponseTooLargeError,
    ServerError,
    StatusError,
    StreamError,
    TransportError,
)
from limin.policy.failures import is_fatal, server_error_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from limin.values.conversation import Conversation

# Longest first rest, and longest rest, in seconds.
_FIRST_REST, _LONGEST_REST = 1.0, 30.0

# A replica keeps a conversation unless it has so many times the mean load, and more.
_MOST_OF_MEAN, _AND_MORE = 1.25, 1.0

# Failures in a row that may be the requests' own before they are taken for the replica's.
_MOST_SICK = 3

# A replica is silent if the others have given so many answers since its last one, and so
# many for each of their requests under way. They answer in bursts of as many.
_ANSWERS, _ANSWERS_EACH = 8, 4

_UNAVAILABLE = frozenset(
    {
        *(502, 503, 504, 529),
        # Cloudflare: the server behind it is down, late, or cannot be reached.
        *(521, 522, 523, 524, 525, 526, 530),
    }
)
_NO_CAPACITY = 498  # Groq: no capacity for flexible requests
_TOO_LARGE = 413  # Groq: one request takes more tokens than a minute has.


class Fault(Enum):
    """What a failed request says of the replica that it was sent to."""

    AWAY = "away"
    """It cannot be reached, breaks connections, or says that it is unavailable."""

    BUSY = "busy"
    """It has too much to do, and answers again after a pause."""

    REFUSES = "refuses"
    """It refuses every request: a wrong key, an empty account, an unknown model."""

    CLOSED = "closed"
    """A kept connection had died, as some do; the replica itself may be well."""

    SICK = "sick"
    """It failed, or was silent for too long; perhaps because of this request alone."""


# Another replica takes the request at once.
MOVING = frozenset({Fault.AWAY, Fault.BUSY, Fault.REFUSES, Fault.CLOSED})

_HEALTHY, _AVOIDED, _SILENT, _BUSY, _AWAY, _REFUSES = range(6)
_RANKS = {Fault.BUSY: _BUSY, Fault.AWAY: _AWAY, Fault.REFUSES: _REFUSES}


def judge(error: LiminError) -> Fault | None:
    """Return what *error* says of the replica; None if it is about the request alone."""
    server_error = server_error_in(error)
    if server_error is not None:
        return Fault.REFUSES if is_fatal(error) else _judge_status(server_error)
    cause = error.cause if isinstance(error, StreamError) else error
    if isinstance(cause, TransportError):
        return _judge_connection(cause)
    is_odd = isinstance(error, StreamError) or isinstance(cause, ResponseError)
    return Fault.SICK if is_odd else None


def _judge_status(error: StatusError) -> Fault | None:
    status = error.effective_status
    if isinstance(error, RateLimitError):
        is_of_request = isinstance(error, QuotaError) or status == _TOO_LARGE
        return None if is_of_request else Fault.BUSY
    if status == _NO_CAPACITY:
        return Fault.BUSY
    if status in _UNAVAILABLE:
        return Fault.AWAY
    return Fault.SICK if isinstance(error, ServerError) else None


def _judge_connection(error: TransportError) -> Fault | None:
    if error.died_idle:
        return Fault.CLOSED
    if isinstance(error, RequestTimeoutError):
        return Fault.SICK
    if isinstance(error, ResponseTooLargeError):
        return None
    # Anything else that would fail again is a request that no client sends.
    is_of_server = isinstance(error, (ConnectError, ProtocolError))
    return Fault.AWAY if is_of_server or not error.is_permanent else None


def hash_opening(conversation: Conversation) -> bytes | None:
    """Return a hash of the messages up to the first of the user, which a cache may hold.

    None if no assistant has spoken: then no replica has seen the conversation.
    """
    messages = conversation.messages
    if not any(message.role == "assistant" for message in messages):
        return None
    digest = hashlib.blake2b(digest_size=16)
    for message in messages:
        digest.update(b"\0" + message.role.encode())
        for text in message.texts():
            digest.update(b"\0" + text.encode(errors="surrogatepass"))
        for part in () if isinstance(message.content, str) else message.content or ():
            digest.update(getattr(part, "data", None) or b"")
        if message.role == "user":
            break
    return digest.digest()


def name_replicas(urls: Iterable[str]) -> list[bytes]:
    """Return a name for each of the *urls*; those of one URL are numbered."""
    seen: Counter[str] = Counter()
    names: list[bytes] = []
    for url in urls:
        names.append(f"{url}#{seen[url]}".encode())
        seen[url] += 1
    return names


class _Replica:
    """How one replica stands.

    Attributes:
        name: What the rendezvous hash knows it by.
        under_way: Requests that were sent to it and are not answered.
        fault: Why it rests, or rested last; None if it has answered since.
        since, until: Start and end of its last rest.
        trials: Requests under way that try it again.
        n_rests: Rests since its last answer.
        n_sick: Failures in a row that may be the requests' own.
        heard: Answers of all replicas at the time of its last one.
    """

    __slots__ = (
        *("fault", "heard", "n_rests", "n_sick", "name", "since", "trials"),
        *("under_way", "until"),
    )

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.fault: Fault | None = None
        self.since = self.until = -math.inf
        self.under_way = self.trials = self.n_rests = self.n_sick = self.heard = 0

    def rests(self, now: float) -> bool:
        """Return whether it should get no request; at the end of a rest one may try."""
        return self.fault is not None and (now < self.until or self.trials > 0)


class LoadBalancer:
    """Chooses the replica of each request, and remembers how each of them stands.

    Replicas are known by their index. Times are seconds of one clock.
    """

    def __init__(self, names: Sequence[bytes]) -> None:
        """Balance the load of the replicas with these *names*, which differ."""
        self._replicas = [_Replica(name) for name in names]
        self._n_answers = 0
        self._turn = 0  # The first of those that are equally good.

    def choose(
        self,
        now: float,
        *,
        opening: bytes | None = None,
        avoided: Collection[int] = (),
        limits: Sequence[int] | None = None,
    ) -> int:
        """Return the index of the replica that should get the next request.

        Args:
            now: The time.
            opening: The hash of a beginning that a replica may have in its cache; None
                to go by the load alone.
            avoided: Replicas that have failed this request already.
            limits: Requests that may be under way at each replica; one at its limit is
                taken only if all are. None for no limits.
        """
        ranks = [self._rank(index, now, avoided) for index in range(len(self._replicas))]
        best = min(ranks)
        candidates = [index for index, rank in enumerate(ranks) if rank == best]
        if best > _SILENT:
            chosen = min(candidates, key=self._end_of_rest)
        else:
            keeper = None if opening is None else self._find_keeper(opening, candidates)
            chosen = self._find_idlest(candidates, limits) if keeper is None else keeper
        self._turn = chosen + 1
        return chosen

    def rank_all(self, now: float) -> list[int]:
        """Return all replicas, those that should get a request before the others."""
        indices = range(len(self._replicas))
        return sorted(indices, key=lambda index: self._rank(index, now, ()))

    def has_other(self, now: float, avoided: Collection[int]) -> bool:
        """Return whether a healthy replica is left beside those that are *avoided*."""
        indices = range(len(self._replicas))
        return any(self._rank(index, now, avoided) == _HEALTHY for index in indices)

    def others_take_requests(self, index: int) -> bool:
        """Return whether any replica but that at *index* does not refuse all requests."""
        others = (each for i, each in enumerate(self._replicas) if i != index)
        return any(each.fault is not Fault.REFUSES for each in others)

    def is_available(self, index: int) -> bool:
        """Return whether the replica has answered since it last failed."""
        return self._replicas[index].fault is None

    def n_resting(self, now: float) -> int:
        """Return how many replicas rest."""
        return sum(each.rests(now) for each in self._replicas)

    def begin(self, index: int) -> bool:
        """Count a request to the replica at *index*; return whether it tries it again."""
        replica = self._replicas[index]
        if replica.under_way == 0:
            replica.heard = self._n_answers
        replica.under_way += 1
        is_trial = replica.fault is not None
        replica.trials += is_trial
        return is_trial

    def end(self, index: int, *, is_trial: bool) -> None:
        """Count a request to the replica at *index* no more, however it ended."""
        replica = self._replicas[index]
        replica.under_way -= 1
        replica.trials -= is_trial

    def note_answer(self, index: int, started: float) -> None:
        """Note that the replica answered a request that was sent when it *started*."""
        replica = self._replicas[index]
        self._n_answers += 1
        replica.heard, replica.n_sick = self._n_answers, 0
        if started >= replica.since:
            replica.fault, replica.n_rests = None, 0

    def note_fault(
        self,
        index: int,
        fault: Fault,
        now: float,
        *,
        started: float,
        chance: float,
        pause: float | None = None,
    ) -> None:
        """Note that the replica failed a request; it may have to rest.

        Args:
            index: The replica.
            fault: What the failure says of it.
            now: The time.
            started: When the request was sent. Requests that were under way when a rest
                began may fail as well, and make it no longer.
            chance: A random number in [0, 1).
            pause: Seconds that the replica asks to wait; None if it does not.
        """
        replica = self._replicas[index]
        replica.n_sick += fault is Fault.SICK
        is_in_doubt = replica.fault is None and replica.n_sick < _MOST_SICK
        if fault is Fault.CLOSED or (fault is Fault.SICK and is_in_doubt):
            return
        if started >= replica.since:
            replica.fault = Fault.AWAY if fault is Fault.SICK else fault
            replica.n_rests, replica.since = replica.n_rests + 1, now
            # 2.0 ** 1024 raises OverflowError; 2.0 ** 64 outgrows the longest rest.
            rest = min(_FIRST_REST * 2.0 ** min(replica.n_rests - 1, 64), _LONGEST_REST)
            # Half of it is chance, so that clients that failed together come apart.
            replica.until = max(replica.until, now + rest * (1.0 + chance) / 2.0)
        if pause is not None:
            replica.until = max(replica.until, now + pause)

    def _rank(self, index: int, now: float, avoided: Collection[int]) -> int:
        replica = self._replicas[index]
        if replica.fault is not None and replica.rests(now):
            return _RANKS[replica.fault]
        if self._is_silent(replica):
            return _SILENT
        return _AVOIDED if index in avoided else _HEALTHY

    def _is_silent(self, replica: _Replica) -> bool:
        """Return whether the others answer, and this one does not: it may be stopped."""
        n_answers = self._n_answers - replica.heard
        if replica.under_way == 0 or n_answers < _ANSWERS:
            return False
        elsewhere = sum(each.under_way for each in self._replicas) - replica.under_way
        return n_answers >= _ANSWERS + _ANSWERS_EACH * elsewhere

    def _end_of_rest(self, index: int) -> tuple[float, int]:
        return self._replicas[index].until, self._replicas[index].under_way

    def _find_keeper(self, opening: bytes, candidates: Sequence[int]) -> int | None:
        """Return the replica that has the *opening* in its cache, if it may be chosen.

        Rendezvous hashing: of each beginning, every replica has a random rank, and the
        highest wins; so a replica that goes moves only what it had.
        https://en.wikipedia.org/wiki/Rendezvous_hashing
        """
        names = [each.name for each in self._replicas]
        keeper = max(range(len(names)), key=lambda index: _weigh(opening, names[index]))
        loads = [self._replicas[index].under_way for index in candidates]
        most = _MOST_OF_MEAN * sum(loads) / len(loads) + _AND_MORE
        is_free = keeper in candidates and self._replicas[keeper].under_way <= most
        return keeper if is_free else None

    def _find_idlest(self, candidates: Sequence[int], limits: Sequence[int] | None) -> int:
        """Return the one with the fewest requests under way; each in its turn."""
        replicas, size, turn = self._replicas, len(self._replicas), self._turn

        def load(index: int) -> tuple[bool, int, int]:
            under_way = replicas[index].under_way
            is_full = limits is not None and under_way >= limits[index]
            return is_full, under_way, (index - turn) % size

        return min(candidates, key=load)


def _weigh(opening: bytes, name: bytes) -> bytes:
    return hashlib.blake2b(opening + name, digest_size=8).digest()
