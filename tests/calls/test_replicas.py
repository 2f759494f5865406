"""Several replicas of one model: who is asked, who takes over, and who says so."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from loopback import Request, completion, echo, http, serve
from streaming import CHUNKED, CLOSE, HELLO, RESET, WAIT, chunked, serve_scripts, streamed

import limin
from limin import Client, Conversation, Endpoint, Message

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence
    from pathlib import Path


CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"


def always(reply: bytes | None) -> Callable[[Request], Awaitable[bytes | None]]:
    """Return what replies so to every request; None closes the connection."""

    async def respond(_request: Request) -> bytes | None:
        return reply

    return respond


def refusal(status: int, headers: str = "") -> bytes:
    """Return a response with this status."""
    return http(b'{"error": {"message": "no"}}', f"{status} No", headers)


def loads(client: Client) -> list[int]:
    """Return the requests under way at each replica, as the client counts them."""
    servers: Any = client._servers
    return [replica.under_way for replica in servers.balancer._replicas]


async def closed_port() -> str:
    """Return a URL at which nothing listens any more."""
    async with serve() as server:
        return server.base_url


# Ways to fail a request, which another replica may answer.
FAILURES: dict[str, Sequence[bytes | str]] = {
    "closed without an answer": [CLOSE],
    "reset without an answer": [RESET],
    "cut in mid-answer": [CUT, CLOSE],
    "reset in mid-answer": [CUT, RESET],
    "no HTTP": [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", CLOSE],
    **{str(status): [refusal(status)] for status in (502, 503, 504, 529)},
    "busy": [refusal(429)],
    "busy for an hour": [refusal(429, "Retry-After: 3600\r\n")],
    "wrong key": [refusal(401)],
    "no such model": [refusal(404)],
}


@pytest.mark.parametrize("script", FAILURES.values(), ids=FAILURES)
async def test_failed_request_moves_at_once(script: Sequence[bytes | str]) -> None:
    """It uses up no retry, and the next ones go to the replica that answers."""
    async with (
        serve_scripts(script) as bad,
        serve() as good,
        Client([bad.base_url, good.base_url], max_retries=0) as client,
    ):
        answers = [await client.generate_text_completion("hi") for _ in range(3)]
        assert "1 resting" in repr(client)
        assert loads(client) == [0, 0]
    asked = [attempt.endpoint for attempt in answers[0].timing.attempts]
    assert asked == [bad.base_url, good.base_url]
    assert [answer.endpoint for answer in answers] == [good.base_url] * 3
    assert (len(bad.bodies), len(good.requests)) == (1, 3)


async def test_replica_that_is_gone_is_left_alone() -> None:
    """Nothing listens at its port: the others answer a batch, evenly."""
    async with serve() as one, serve() as two:
        urls = [one.base_url, await closed_port(), two.base_url]
        async with Client(urls, max_retries=0) as client:
            answers = await client.generate_text_completions(
                [f"{i}" for i in range(60)], n_parallel=6, show_progress=False
            )
    assert [answer.message for answer in answers] == [f"{i}" for i in range(60)]
    asked = Counter(
        attempt.endpoint for answer in answers for attempt in answer.timing.attempts
    )
    assert 1 <= asked[urls[1]] <= 4
    assert abs(asked[urls[0]] - asked[urls[2]]) <= 6


@pytest.mark.parametrize("max_retries", [0, 2])
async def test_requests_come_to_an_end(max_retries: int) -> None:
    """With r replicas there are at most 1 + max_retries + (r - 1), each an attempt."""
    async with serve(always(refusal(503))) as one, serve_scripts([RESET]) as two:
        urls = [one.base_url, two.base_url, await closed_port()]
        async with Client(urls, max_retries=max_retries) as client:
            with pytest.raises(limin.LiminError) as caught:
                await client.generate_text_completion("hi")
            assert loads(client) == [0, 0, 0]
    attempts = caught.value.attempts
    assert len(attempts) == 1 + max_retries + 2
    assert {attempt.endpoint for attempt in attempts} == set(urls)
    assert str(attempts[-1].endpoint) in str(caught.value.asked)


async def test_connection_that_died_idle_is_no_failure() -> None:
    """The request goes to another replica at once, and the first one does not rest."""
    answer = http(completion("hi"))
    async with (
        serve_scripts([answer], [CLOSE], [answer]) as closes,
        serve() as keeps,
        Client([closes.base_url, keeps.base_url], max_retries=0) as client,
    ):
        answers = [await client.generate_text_completion("hi") for _ in range(4)]
        assert "resting" not in repr(client)
    assert [answer.message for answer in answers] == ["hi"] * 4
    assert len(closes.bodies) == 3


async def test_failure_that_may_be_the_requests_is_retried_elsewhere() -> None:
    """It uses up a retry; three in a row make the replica rest."""
    async with (
        serve(always(refusal(500))) as sick,
        serve() as well,
        Client([sick.base_url, well.base_url]) as client,
    ):
        answers = [await client.generate_text_completion("hi") for _ in range(8)]
    assert [answer.endpoint for answer in answers] == [well.base_url] * 8
    assert len(sick.requests) == 3


async def test_wrong_request_is_refused_by_one() -> None:
    """What any replica would refuse is asked once."""
    async with (
        serve(always(refusal(400))) as one,
        serve() as two,
        Client([one.base_url, two.base_url]) as client,
    ):
        with pytest.raises(limin.BadRequestError):
            await client.generate_text_completion("hi")
    assert (len(one.requests), len(two.requests)) == (1, 0)


async def test_stream_moves_before_its_first_token_and_breaks_after_it() -> None:
    """A part of an answer that the caller has is not asked for again."""
    broken = CHUNKED + chunked(*HELLO[:2])
    async with (
        serve_scripts([CHUNKED, RESET]) as early,
        serve_scripts([broken, RESET]) as late,
        serve_scripts([streamed(*HELLO)]) as well,
        Client([each.base_url for each in (early, late, well)]) as client,
    ):
        async with client.stream_text_completion("hi") as stream:
            with pytest.raises(limin.StreamError) as caught:
                await stream.until_done()
        assert "2 resting" in repr(client)
        async with client.stream_text_completion("hi") as stream:
            answer = await stream.until_done()
        assert loads(client) == [0, 0, 0]
    asked = [attempt.endpoint for attempt in caught.value.attempts]
    assert asked == [early.base_url, late.base_url]
    assert caught.value.partial.endpoint == late.base_url
    assert (answer.message, answer.endpoint) == ("Hello", well.base_url)


async def test_stream_that_is_left_counts_no_more() -> None:
    """Neither does one that was cancelled."""
    async with (
        serve_scripts([CHUNKED + chunked(*HELLO[:2]), WAIT]) as server,
        Client([server.base_url, await closed_port()]) as client,
    ):
        async with client.stream_text_completion("hi") as stream:
            await anext(stream)
            assert sum(loads(client)) == 1
        with anyio.move_on_after(0.05):
            async with client.stream_text_completion("hi") as stream:
                await stream.until_done()
        assert loads(client) == [0, 0]


async def test_key_and_headers_of_each_replica() -> None:
    """What an endpoint has itself wins over the client's; a request's headers over both."""
    async with serve() as one, serve() as two, serve() as three:
        urls = [
            one.base_url,
            Endpoint(two.base_url, api_key="key-of-two", headers={"X-Team": "two"}),
            Endpoint(three.base_url, api_key=""),
        ]
        headers = {"X-Team": "all", "X-Run": "1"}
        async with Client(urls, "key-of-all", headers=headers) as client:
            for _ in urls:
                await client.generate_text_completion("hi", headers={"X-Run": "2"})
    heads = [server.requests[0].head.decode().lower() for server in (one, two, three)]
    assert ["authorization: bearer key-of-all" in head for head in heads] == [1, 0, 0]
    assert ["authorization: bearer key-of-two" in head for head in heads] == [0, 1, 0]
    assert ["authorization" in head for head in heads] == [1, 1, 0]
    assert ["x-team: all" in head for head in heads] == [1, 0, 1]
    assert ["x-run: 2" in head for head in heads] == [1, 1, 1]


async def test_wrong_key_of_one_replica_stops_no_batch() -> None:
    """The others answer, and a warning says which one refuses."""
    async with (
        serve(always(refusal(401))) as wrong,
        serve() as right,
        Client([wrong.base_url, right.base_url], max_retries=0) as client,
    ):
        answers = await client.generate_text_completions(
            ["a", "b", "c", "d"], n_parallel=1, show_progress=False
        )
    found = [warning for answer in answers for warning in answer.warnings]
    assert [warning.code for warning in found] == ["replica-refused"]
    assert wrong.base_url in found[0].problem
    assert "AuthenticationError" in found[0].problem


async def test_wrong_key_of_all_replicas_stops_a_batch() -> None:
    """Then it would strike every prompt."""
    async with (
        serve(always(refusal(401))) as one,
        serve(always(refusal(401))) as two,
        Client([one.base_url, two.base_url]) as client,
    ):
        with pytest.raises(limin.BatchError) as caught:
            await client.generate_text_completions(
                ["a", "b", "c"], n_parallel=1, show_progress=False
            )
    assert isinstance(caught.value.stopped_by, limin.AuthenticationError)
    assert len(one.requests) == len(two.requests) == 1


async def test_refusal_waits_for_a_replica_that_is_away() -> None:
    """A wrong key at one is no reason to give up while another one starts."""
    script = [refusal(503)], [http(completion("hi"))], [refusal(503)]
    async with (
        serve_scripts(*script) as starts,
        serve(always(refusal(401))) as wrong,
        Client([starts.base_url, wrong.base_url]) as client,
    ):
        answer = await client.generate_text_completion("hi")
    assert [type(attempt.error) for attempt in answer.timing.attempts] == [
        limin.ServerError,
        limin.AuthenticationError,
        type(None),
    ]
    assert answer.endpoint == starts.base_url


async def test_refusal_of_one_replica_stops_no_batch_while_another_is_away() -> None:
    """The prompt that met both fails, and the next one is answered."""
    script = [refusal(503)], [http(completion("hi"))]
    async with (
        serve_scripts(*script) as starts,
        serve(always(refusal(401))) as wrong,
        Client([starts.base_url, wrong.base_url], max_retries=0) as client,
    ):
        first, second = await client.generate_text_completions(
            ["a", "b"], n_parallel=1, show_progress=False, on_error="return"
        )
    assert isinstance(first, limin.AuthenticationError)
    assert isinstance(second, limin.TextCompletion)


async def test_other_model_of_a_replica_is_told() -> None:
    """The first that answered is right, until it has another one itself."""
    async with (
        serve(always(http(completion("1", model="small")))) as one,
        serve(always(http(completion("2", model="large")))) as two,
        Client([one.base_url, two.base_url]) as client,
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            answers = [
                await client.generate_text_completion("hi", on_warning="warn")
                for _ in range(4)
            ]
        batch = await client.generate_text_completions(
            ["a", "b"], n_parallel=1, show_progress=False
        )
    codes = [[warning.code for warning in answer.warnings] for answer in answers]
    assert codes == [[], ["served-model-changed"], [], ["served-model-changed"]]
    problem = answers[1].warnings[0].problem
    assert problem == (
        f"expected the model that {one.base_url} serves, found 'large' at {two.base_url}"
    )
    assert len(caught) == 2
    assert [len(answer.warnings) for answer in batch] == [0, 1]


def chat(opening: str, turns: int) -> Conversation:
    """Return a conversation about *opening* in which an assistant has spoken so often."""
    messages = [Message("user", opening)]
    for _ in range(turns):
        messages += [Message("assistant", "yes"), Message("user", "go on")]
    return Conversation(messages)


@pytest.mark.parametrize("affinity", [True, False])
async def test_conversation_stays_with_its_replica(*, affinity: bool) -> None:
    """It is in its cache; the first turns, and without affinity all, are spread evenly."""
    async with (
        serve() as one,
        serve() as two,
        Client([one.base_url, two.base_url], affinity=affinity) as client,
    ):
        ask = client.generate_text_completion_for_conversation
        places = [[(await ask(chat("hi", n))).endpoint for n in range(9)]]
        places += [[(await ask(chat(f"{i}", 1))).endpoint for i in range(30)]]
    assert len(set(places[0][1:])) == (1 if affinity else 2)
    assert len(set(places[1])) == 2


async def test_number_is_found_for_each_replica() -> None:
    """One that is overloaded lowers its own number; the others take the batch."""
    full = 0

    async def refuse_at_times(request: Request) -> bytes:
        nonlocal full
        full += 1
        return refusal(503) if full % 5 == 4 else await echo(request)

    async with (
        serve(refuse_at_times) as busy,
        serve() as free,
        Client([busy.base_url, free.base_url]) as client,
    ):
        answers = await client.generate_text_completions(
            [f"{i}" for i in range(80)], n_parallel="auto", show_progress=False
        )
        decisions = await client.generate_decisions(
            ["a"], ["yes", "no"], "auto", show_progress=False, fallback="text"
        )
    assert [answer.message for answer in answers] == [f"{i}" for i in range(80)]
    assert len(free.requests) > len(busy.requests)
    assert len(decisions) == 1


async def test_models_of_the_first_replica_that_tells() -> None:
    """Those that rest are asked last; the error of the last one is raised."""
    listing = http(b'{"data": [{"id": "m"}]}')
    async with serve(always(listing)) as good, serve(always(refusal(500))) as bad:
        gone = await closed_port()
        async with Client([gone, bad.base_url, good.base_url]) as client:
            assert await client.models() == ["m"]
        async with Client([gone, bad.base_url]) as client:
            with pytest.raises(limin.ServerError):
                await client.models()


async def test_client_of_replicas_tells_how_it_stands() -> None:
    """Its repr sums them up, and closing it closes all."""
    async with serve() as one, serve() as two:
        client = Client([one.base_url, two.base_url])
        for _ in range(2):
            await client.generate_text_completion("hi")
        assert repr(client) == "<limin.Client of 2 replicas: 0 in flight, 2 idle>"
        await client.aclose()
        assert repr(client) == "<limin.Client of 2 replicas: closed>"
        with pytest.raises(RuntimeError):
            await client.generate_text_completion("hi")


async def test_functions_take_replicas() -> None:
    """They take all that a client does, for a batch and for one call."""
    async with serve() as one, serve() as two:
        urls = [one.base_url, Endpoint(two.base_url)]
        await limin.generate_text_completions(
            ["a", "b"], base_url=urls, show_progress=False
        )
        await limin.generate_text_completion("c", base_url=Endpoint(two.base_url))
    assert (len(one.requests), len(two.requests)) == (1, 2)


async def test_models_are_compared_by_the_name_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Replicas of one model have no warnings; of very many names some are not compared."""
    monkeypatch.setattr("limin.calls.replicas._MOST_MODELS", 2)

    async def respond(request: Request) -> bytes:
        return http(completion("hi", model=f"served {json.loads(request.body)['model']}"))

    async with (
        serve(respond) as one,
        serve(respond) as two,
        Client([one.base_url, two.base_url]) as client,
    ):
        answers = [
            await client.generate_text_completion("hi", model=model, on_warning="raise")
            for model in "001122"
        ]
        servers: Any = client._servers
        assert set(servers.served) == {"0", "1"}
    assert all(answer.warnings == () for answer in answers)


async def test_warning_that_is_raised_is_no_failure_of_the_replica() -> None:
    """The answer came; it is the program that wants no odd one."""
    odd = http(b'{"choices": [{"message": {"content": "hi"}}], "id": 5}')
    async with (
        serve(always(odd)) as one,
        serve(always(odd)) as two,
        Client([one.base_url, two.base_url]) as client,
    ):
        with pytest.raises(limin.AnswerWarningError) as caught:
            await client.generate_text_completion("hi", on_warning="raise")
        assert loads(client) == [0, 0]
    assert caught.value.completion.endpoint == one.base_url
    assert two.requests == []


class Endpoints(limin.Observer):
    """Notes the endpoint of each event."""

    def __init__(self) -> None:
        """Start without any."""
        self.seen: list[tuple[str, str]] = []

    def begun(self, call: limin.ObservedCall) -> None:
        """Note where the first attempt goes."""
        self.seen.append(("begun", call.endpoint.base_url))

    def attempt(
        self,
        call: limin.ObservedCall,
        headers: MutableMapping[str, str],  # noqa: ARG002 (an observer's signature)
    ) -> None:
        """Note where the attempt goes."""
        self.seen.append(("attempt", call.endpoint.base_url))

    def waiting(
        self,
        call: limin.ObservedCall,
        seconds: float,  # noqa: ARG002 (an observer's signature)
        error: limin.LiminError,  # noqa: ARG002 (the same)
    ) -> None:
        """Note where the attempt went."""
        self.seen.append(("waiting", call.endpoint.base_url))


async def test_observers_are_told_the_endpoint_of_each_attempt() -> None:
    """It is the one under way, and the last one after it failed."""
    seen = Endpoints()
    async with (
        serve(always(refusal(503))) as bad,
        serve() as good,
        Client([bad.base_url, good.base_url], observers=[seen]) as client,
    ):
        await client.generate_text_completion("hi")
    assert seen.seen == [
        ("begun", bad.base_url),
        ("attempt", bad.base_url),
        ("waiting", bad.base_url),
        ("attempt", good.base_url),
    ]


async def test_checkpoint_keeps_the_endpoints(tmp_path: Path) -> None:
    """A resumed run knows who answered, and where each attempt went."""
    path = tmp_path / "run.jsonl"
    async with serve(always(refusal(503))) as bad, serve() as good:
        urls = [bad.base_url, f"{good.base_url}?api-key=abcdefgh"]
        first, second = [
            await limin.generate_text_completions(
                ["a"], base_url=urls, checkpoint=path, show_progress=False
            )
            for _ in range(2)
        ]
    (kept,) = limin.read_checkpoint(path)
    for (answer,) in (first, second, [kept]):
        assert answer.endpoint == good.base_url
        asked = [attempt.endpoint for attempt in answer.timing.attempts]
        assert asked == [bad.base_url, good.base_url]
    assert "abcdefgh" not in path.read_text(encoding="utf-8")
    assert len(good.requests) == 1


def test_name_of_a_server_holds_no_secret() -> None:
    """It is in completions, checkpoints and observers."""
    url = f"http://127.0.0.1:8080/secret-{'0a' * 16}/v1?api-version=1&key=abcdefgh"
    server = Client(url)._servers.all[0]
    assert server.name == "http://127.0.0.1:8080/***/v1"
    assert "secret-0a" not in repr(Client([url, "http://a.test/v1"]))


async def test_list_of_one_is_one_url() -> None:
    """It behaves and looks as the URL alone does."""
    async with serve(always(refusal(503))) as server:
        for base_url in (server.base_url, [server.base_url]):
            async with Client(base_url, max_retries=1) as client:
                assert repr(client).startswith("<limin.Client of 127.0.0.1:")
                with pytest.raises(limin.ServerError) as caught:
                    await client.generate_text_completion("hi", headers={"x-a": "b"})
                assert len(caught.value.attempts) == 2
                assert client._servers.n_resting == 0
