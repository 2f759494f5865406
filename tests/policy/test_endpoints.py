"""Which replica is next, and which rest: tables, and properties of every history."""

from __future__ import annotations

from collections import Counter

import pytest
from builders import body_of, read
from hypothesis import example, given
from hypothesis import strategies as st

from limin import (
    AuthenticationError,
    BadRequestError,
    CertificateError,
    ConfigurationError,
    ConnectError,
    ContextLengthError,
    Conversation,
    Image,
    LiminError,
    Message,
    NotFoundError,
    PermissionDeniedError,
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
from limin.policy.endpoints import (
    Fault,
    LoadBalancer,
    hash_opening,
    judge,
    name_replicas,
)


def marked(error: TransportError, **flags: bool) -> TransportError:
    """Return *error* with these flags."""
    for name, value in flags.items():
        setattr(error, name, value)
    return error


def broken_by(cause: LiminError | None) -> StreamError:
    """Return the error of a stream that *cause* broke."""
    return StreamError("it broke", read(body_of("4")), cause)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ConnectError("refused"), Fault.AWAY),
        (CertificateError("expired"), Fault.AWAY),
        (TransportError("reset"), Fault.AWAY),
        (ProtocolError("cut off"), Fault.AWAY),
        (marked(ProtocolError("TLS"), is_permanent=True), Fault.AWAY),
        (broken_by(TransportError("reset")), Fault.AWAY),
        *((ServerError(s, "no"), Fault.AWAY) for s in (502, 503, 504, 529, 521, 530)),
        (ServerError(200, "in a success", body_status=503), Fault.AWAY),
        (broken_by(ServerError(200, "in mid-stream", code="503")), Fault.AWAY),
        (RateLimitError(429, "later"), Fault.BUSY),
        (RateLimitError(403, "later"), Fault.BUSY),
        (StatusError(498, "no capacity"), Fault.BUSY),
        (AuthenticationError(401, "no"), Fault.REFUSES),
        (PermissionDeniedError(403, "no"), Fault.REFUSES),
        (NotFoundError(404, "no such model"), Fault.REFUSES),
        (QuotaError(429, "empty"), Fault.REFUSES),
        (marked(TransportError("closed"), died_idle=True), Fault.CLOSED),
        (ServerError(500, "engine dead"), Fault.SICK),
        (ResponseError("no JSON"), Fault.SICK),
        (RequestTimeoutError("late", 1.0), Fault.SICK),
        (broken_by(None), Fault.SICK),
        (broken_by(RequestTimeoutError("no data", 1.0)), Fault.SICK),
        (broken_by(ResponseError("garbage")), Fault.SICK),
        (BadRequestError(400, "wrong"), None),
        (ContextLengthError(400, "too long"), None),
        (RateLimitError(413, "more than a minute has"), None),
        (QuotaError(402, "for so long an answer", strikes_every_prompt=False), None),
        (ResponseTooLargeError("too large", 1), None),
        (marked(TransportError("not sent"), is_permanent=True), None),
        (ConfigurationError("wrong"), None),
    ],
)
def test_failure_is_the_replicas_or_the_requests(
    error: LiminError, fault: Fault | None
) -> None:
    """Only what another replica may do better makes one rest."""
    assert judge(error) is fault


def balancer(size: int) -> LoadBalancer:
    """Return a balancer of so many replicas."""
    return LoadBalancer(name_replicas(f"http://{i}.test/v1" for i in range(size)))


def fail(
    replicas: LoadBalancer,
    index: int,
    fault: Fault,
    now: float,
    *,
    started: float | None = None,
    pause: float | None = None,
) -> None:
    """Let the replica at *index* fail a request; the chance is the greatest."""
    started = now if started is None else started
    replicas.note_fault(index, fault, now, started=started, chance=1.0, pause=pause)


def choices(replicas: LoadBalancer, now: float, number: int) -> list[int]:
    """Return the replicas of so many requests, each answered before the next is sent."""
    chosen: list[int] = []
    for _ in range(number):
        index = replicas.choose(now)
        is_trial = replicas.begin(index)
        replicas.end(index, is_trial=is_trial)
        chosen.append(index)
    return chosen


def test_equals_take_turns() -> None:
    """Requests that come one by one are spread as evenly as many at once."""
    assert choices(balancer(3), 0.0, 7) == [0, 1, 2, 0, 1, 2, 0]


def test_fewest_under_way_is_next() -> None:
    """A replica that is slow to answer gets fewer requests."""
    replicas = balancer(3)
    for index in (0, 0, 1, 2, 2):
        replicas.begin(index)
    assert replicas.choose(0.0) == 1


def test_full_replica_is_taken_if_all_are_full() -> None:
    """The limits of a batch hold as long as there is room elsewhere."""
    replicas = balancer(2)
    for index in (0, 0, 1):
        replicas.begin(index)
    assert replicas.choose(0.0, limits=[4, 1]) == 0
    assert replicas.choose(0.0, limits=[1, 1]) == 1


def test_dead_replica_rests_longer_and_longer() -> None:
    """One request tries it again when a rest is over, and half a minute is the longest."""
    replicas, now, rests = balancer(2), 0.0, list[float]()
    for _ in range(7):
        fail(replicas, 0, Fault.AWAY, now)
        began = now
        while 0 not in choices(replicas, now, 2):
            now += 0.5
        rests.append(now - began)
    assert rests == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert replicas.n_resting(now) == 0
    assert not replicas.is_available(0)
    assert replicas.is_available(1)


def test_trial_is_one_request() -> None:
    """As long as it is under way, all others go elsewhere; its answer ends the rest."""
    replicas = balancer(2)
    fail(replicas, 0, Fault.AWAY, 0.0)
    replicas.begin(1)
    assert replicas.choose(5.0) == 0
    assert replicas.begin(0)
    assert [replicas.choose(5.0) for _ in range(3)] == [1, 1, 1]
    assert replicas.n_resting(5.0) == 1
    replicas.end(0, is_trial=True)
    replicas.note_answer(0, started=5.0)
    assert replicas.is_available(0)
    assert replicas.choose(6.0) == 0


def test_answer_to_an_earlier_request_ends_no_rest() -> None:
    """A server that shuts down answers what it has, and takes nothing more."""
    replicas = balancer(2)
    fail(replicas, 0, Fault.AWAY, 3.0)
    replicas.note_answer(0, started=2.0)
    assert choices(replicas, 3.5, 3) == [1, 1, 1]


def test_failures_of_one_moment_are_one_failure() -> None:
    """A hundred connections that break together are no reason for a longer rest."""
    replicas = balancer(2)
    for now in (10.0, 10.1, 10.2):
        fail(replicas, 0, Fault.AWAY, now, started=9.0)
    assert 0 in choices(replicas, 11.0, 2)


def test_pause_that_the_server_asks_for_is_kept() -> None:
    """It is kept as well if only a later refusal asks for it."""
    replicas = balancer(2)
    fail(replicas, 0, Fault.BUSY, 0.0, pause=20.0)
    fail(replicas, 0, Fault.BUSY, 0.5, started=-1.0, pause=40.0)
    assert choices(replicas, 40.0, 2) == [1, 1]
    assert 0 in choices(replicas, 40.5, 2)


def test_some_failures_are_taken_for_the_requests() -> None:
    """Three in a row are the replica's, if none was answered between them."""
    replicas = balancer(2)
    for _ in range(2):
        fail(replicas, 0, Fault.SICK, 0.0)
    replicas.note_answer(0, started=0.0)
    for _ in range(2):
        fail(replicas, 0, Fault.SICK, 0.0)
        fail(replicas, 0, Fault.CLOSED, 0.0)
    assert replicas.is_available(0)
    fail(replicas, 0, Fault.SICK, 0.0)
    assert choices(replicas, 0.5, 2) == [1, 1]


def test_failed_replica_is_avoided_by_the_same_request() -> None:
    """As long as another is healthy."""
    replicas = balancer(2)
    assert replicas.choose(0.0, avoided={0}) == 1
    assert replicas.has_other(0.0, {0})
    assert replicas.choose(0.0, avoided={0, 1}) == 0
    assert not replicas.has_other(0.0, {0, 1})


def test_no_replica_is_healthy() -> None:
    """What is busy answers after a pause; what is away perhaps; what refuses will not."""
    replicas = balancer(3)
    fail(replicas, 0, Fault.REFUSES, 0.0)
    fail(replicas, 1, Fault.AWAY, 0.0, pause=5.0)
    assert replicas.others_take_requests(0)
    fail(replicas, 2, Fault.BUSY, 0.0, pause=9.0)
    assert replicas.choose(0.5) == 2
    assert replicas.rank_all(0.5) == [2, 1, 0]
    fail(replicas, 2, Fault.AWAY, 0.9)
    assert replicas.choose(0.95) == 1
    for index in range(3):
        fail(replicas, index, Fault.REFUSES, 1.5)
    assert not replicas.others_take_requests(0)


def test_silent_replica_gets_no_more_requests() -> None:
    """A stopped process takes connections and answers none; the others answer."""
    replicas = balancer(2)
    replicas.begin(0)
    for _ in range(2):
        replicas.begin(1)
    for _ in range(15):  # 8, and 4 for each of the two requests under way.
        replicas.note_answer(1, started=0.0)
    assert replicas.choose(0.0) == 0
    replicas.note_answer(1, started=0.0)
    assert replicas.choose(0.0) == 1
    replicas.note_answer(0, started=0.0)
    assert replicas.choose(0.0) == 0


def talk(*roles: str, text: str = "hello") -> Conversation:
    """Return a conversation of these roles."""
    return Conversation([Message(role, f"{text} {i}") for i, role in enumerate(roles)])  # type: ignore[arg-type]  # a test names roles


def test_opening_is_what_a_cache_may_hold() -> None:
    """It ends with the first message of the user, and is there once a model has spoken."""
    opening = hash_opening(talk("system", "user", "assistant"))
    assert opening is not None
    assert hash_opening(talk("system", "user")) is None
    assert hash_opening(talk("system", "user", "assistant", "user")) == opening
    assert hash_opening(talk("developer", "user", "assistant")) != opening
    assert hash_opening(talk("system", "user", "assistant", text="bye")) != opening
    assert hash_opening(talk("assistant")) != hash_opening(talk("assistant", text="bye"))


def test_opening_holds_pictures() -> None:
    """Two conversations about two pictures begin differently."""
    pictures = [b"GIF89a" + bytes([size, 0, 1, 0, 0, 0, 0]) for size in (1, 2)]
    openings = {
        hash_opening(
            Conversation(
                [Message("user", ["what?", Image(data)]), Message("assistant", "?")]
            )
        )
        for data in pictures
    }
    assert len(openings) == 2


def keepers(urls: list[str]) -> list[str]:
    """Return where each of 600 conversations stays, if nothing else is under way."""
    replicas = LoadBalancer(name_replicas(urls))
    openings = [number.to_bytes(16) for number in range(600)]
    return [urls[replicas.choose(0.0, opening=opening)] for opening in openings]


@given(urls=st.lists(st.text(min_size=1), min_size=2, max_size=6, unique=True))
@example(urls=["http://a.test/v1", "http://b.test/v1", "http://c.test/v1"])
def test_replica_that_goes_moves_only_what_it_had(urls: list[str]) -> None:
    """All other conversations stay, and each replica has about its share of them."""
    before, after = keepers(urls), keepers(urls[:-1])
    kept = [(x, y) for x, y in zip(before, after, strict=True) if x != urls[-1]]
    assert all(x == y for x, y in kept)
    shares = Counter(before)
    assert len(shares) == len(urls)
    assert max(shares.values()) < 2 * 600 / len(urls)


def test_conversation_leaves_a_replica_that_is_much_busier() -> None:
    """It stays up to 1.25 times the mean load and one more, and leaves one that rests."""
    replicas = balancer(2)
    opening = b"a beginning"
    keeper = replicas.choose(0.0, opening=opening)
    while replicas.choose(0.0, opening=opening) == keeper:
        replicas.begin(keeper)
    # 3 are more than 1.25 times 1.5 and one more.
    assert choices(replicas, 0.0, 3) == [1 - keeper] * 3
    for _ in range(3):
        replicas.end(keeper, is_trial=False)
    assert replicas.choose(0.0, opening=opening) == keeper
    fail(replicas, keeper, Fault.AWAY, 0.0)
    assert replicas.choose(0.5, opening=opening) == 1 - keeper


def test_one_url_twice_has_two_names() -> None:
    """Two keys of one server are two replicas."""
    names = name_replicas(["http://a", "http://b", "http://a"])
    assert len(set(names)) == 3


# What happens next: a request is sent, or the oldest one at a replica ends.
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["send", "answer", *Fault]),
        st.integers(0, 3),
        st.floats(0.0, 20.0),
    ),
    max_size=60,
)


@given(size=st.integers(1, 4), events=EVENTS, keeps=st.booleans())
@example(
    size=2,
    events=[("send", 0, 0.0), (Fault.AWAY, 0, 0.0), *[("send", 0, 9.0)] * 3],
    keeps=True,
)
def test_one_request_tries_a_replica_again(
    size: int, events: list[tuple[str | Fault, int, float]], *, keeps: bool
) -> None:
    """Whatever happens: no other goes to one that failed while another is healthy."""
    replicas, now = balancer(size), 0.0
    sent: list[list[tuple[float, bool]]] = [[] for _ in range(size)]
    for event, number, seconds in events:
        now += seconds
        index = number % size
        if event == "send":
            opening = bytes([number]) if keeps else None
            index = replicas.choose(now, opening=opening)
            is_any_healthy = any(map(replicas.is_available, range(size)))
            if is_any_healthy and not replicas.is_available(index):
                assert not any(is_trial for _, is_trial in sent[index])
            sent[index].append((now, replicas.begin(index)))
        elif sent[index]:
            started, is_trial = sent[index].pop(0)
            replicas.end(index, is_trial=is_trial)
            if isinstance(event, Fault):
                fail(replicas, index, event, now, started=started)
            else:
                replicas.note_answer(index, started)
    assert replicas.n_resting(now + 31.0) <= sum(map(bool, sent))


@given(size=st.integers(1, 5), ends=st.lists(st.integers(0, 9), max_size=80))
@example(size=3, ends=[0, 0, 9, 9, 1])
def test_no_replica_starves(size: int, ends: list[int]) -> None:
    """Whenever requests end, the next one goes where the fewest are under way."""
    replicas, loads = balancer(size), [0] * size
    for end in ends:
        index = replicas.choose(0.0)
        assert loads[index] == min(loads)
        replicas.begin(index)
        loads[index] += 1
        if end < size and loads[end]:
            replicas.end(end, is_trial=False)
            loads[end] -= 1
    while any(loads):
        index = loads.index(max(loads))
        replicas.end(index, is_trial=False)
        loads[index] -= 1
    assert sorted(choices(replicas, 0.0, size)) == list(range(size))
