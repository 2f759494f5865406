"""A server that echoes the key: no traceback shows it, in no local variable of limin's.

Tools that report errors send the local variables of each frame.
"""

from __future__ import annotations

import collections
import gzip
import json
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from loopback import Request, completion, http, serve, serve_streams
from streaming import CHUNKED, DONE, LAST, chunk_of, chunked, event_of, text_of

import limin
from limin import Client
from limin.ray import TextCompletions
from limin.testing import replay_endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, MutableMapping
    from types import FrameType

    import anyio.abc

KEY = "sk-live-0123456789abcdefghij"
URL, QUERY = "http://a.test/v1", f"?key={KEY}"
ECHO = {"headers": {"authorization": f"Bearer {KEY}"}}
PACKED = gzip.compress(json.dumps(ECHO).encode() * 50)

# Whole HTTP responses, after each of which the connection is closed.
ECHOES: dict[str, bytes] = {
    "body without choices": http(json.dumps(ECHO).encode()),
    "body with no choice": http(json.dumps({"choices": [], **ECHO}).encode()),
    "body with choices of another type": http(json.dumps({"choices": 5, **ECHO}).encode()),
    "body with too many choices": http(
        json.dumps({"choices": [{"message": {"content": KEY}}] * 1100}).encode()
    ),
    "body with an error": http(json.dumps({"error": ECHO}).encode()),
    "body that is no JSON": http(f"POST / HTTP/1.1\nauthorization: {KEY}".encode()),
    "body of a status": http(json.dumps(ECHO).encode(), "400 Bad Request"),
    "body of names": http(json.dumps({"id": KEY, "model": KEY, "choices": []}).encode()),
    "body that breaks off": http(json.dumps(ECHO).encode())[:-1],
    "body in chunks that breaks off": CHUNKED + chunked(b'{"a": "', KEY.encode()),
    "body in no compression": http(
        f"x{KEY}".encode() * 9, headers="Content-Encoding: gzip\r\n"
    ),
    "body in a broken compression": http(
        PACKED[:-9] + b"xxxxxxxxx", headers="Content-Encoding: gzip\r\n"
    ),
    "stream that breaks off": CHUNKED + chunked(text_of("a"), text_of(KEY)),
    "stream that ends early": CHUNKED + chunked(text_of("a"), text_of(KEY)) + LAST,
    "stream with an error": CHUNKED
    + chunked(text_of(KEY), event_of({"error": ECHO}))
    + LAST,
    "stream with no chunk": CHUNKED + chunked(text_of("a"), event_of([KEY])) + LAST,
    "stream with a call that is nested too deeply": CHUNKED
    + chunked(
        text_of(KEY),
        event_of(
            chunk_of(
                {"tool_calls": [{"index": 0, "function": {"arguments": "[" * 9000}}]},
                finish_reason="stop",
            )
        ),
        event_of('{"choices": [], "usage": ' + "[" * 9000 + "]" * 9000 + "}"),
        DONE,
    )
    + LAST,
    "status line": f"HTTP/1.1 2x0 {KEY}\r\n\r\n".encode(),
    "reason": http(b"{}", f"400 {KEY}"),
    "reason before a compression": http(b"{}", f"200 {KEY}", "Content-Encoding: br\r\n"),
    "header name": http(b"{}", headers=f"{KEY} x: y\r\n"),
    "header value": http(b"{}", "500 Error", f"x-request-id: {KEY}\r\n"),
    "illegal header": http(b"{}", headers=f"x: {KEY}\x00\r\n"),
    "content length": f"HTTP/1.1 200 OK\r\nContent-Length: {KEY}\r\n\r\n".encode(),
    "transfer coding": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {KEY}\r\n\r\n".encode(),
    "content coding": http(b"{}", headers=f"Content-Encoding: br, {KEY}\r\n"),
    "redirect": http(b"", "302 Found", f"Location: http://{KEY}.example/{KEY}\r\n"),
    "chunk size": CHUNKED + f"{KEY}\r\n".encode(),
    "chunk size behind a chunk": CHUNKED + chunked(b"{") + f"{KEY}\r\n".encode(),
    "greeting": f"SSH-2.0-{KEY}\r\n".encode(),
    "garbage": f"{KEY}\r\n\r\n".encode(),
    "large head": b"HTTP/1.1 200 OK\r\n" + f"x: {KEY * 100}\r\n".encode() * 500 + b"\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + f"x: {KEY}\r\n".encode() * 5000 + b"\r\n",
    "second answer": http(completion("a"))[:-1] + b"}" + f"HTTP/1.1 {KEY}".encode(),
}


def frames_of(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames of the tracebacks of *error*, and of all that it came from."""
    chain: list[BaseException | None] = [error]
    seen: set[int] = set()
    while chain:
        each = chain.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        chain += [each.__cause__, each.__context__]
        chain += [attempt.error for attempt in getattr(each, "attempts", ())]
        traceback = each.__traceback__
        while traceback is not None:
            yield traceback.tb_frame
            traceback = traceback.tb_next
        assert KEY not in f"{each} {each!r}"


def check_locals(error: BaseException) -> None:
    """Check that no local variable shows the key, in limin's and all libraries' frames."""
    for frame in frames_of(error):
        if frame.f_code.co_filename != __file__:
            for name, value in frame.f_locals.items():
                where = f"{frame.f_code.co_filename}: {frame.f_code.co_name}: {name}"
                assert KEY not in repr(value), where


@asynccontextmanager
async def echoing(echo: str) -> AsyncGenerator[str]:
    """Run a server that answers every request so; return its base URL."""

    async def answer(connection: anyio.abc.SocketStream) -> None:
        buffered = BufferedByteReceiveStream(connection)
        head = (await buffered.receive_until(b"\r\n\r\n", 65536)).lower()
        size = head.partition(b"content-length:")[2].split()
        await buffered.receive_exactly(int(size[0]) if size else 0)
        await connection.send((ECHOES | NO_LISTS)[echo])

    async with serve_streams(answer) as port:
        yield f"http://127.0.0.1:{port}/v1"


class KeyRing(limin.Observer):
    """An observer that gives each attempt its key."""

    def attempt(
        self,
        call: limin.ObservedCall,  # noqa: ARG002 (an observer's signature)
        headers: MutableMapping[str, str],
    ) -> None:
        """Add the key."""
        headers["authorization"] = f"Bearer {KEY}"


@pytest.mark.parametrize("echo", ECHOES)
async def test_key_of_an_observer_is_as_secret(echo: str) -> None:
    """No message shows it, and no local variable."""
    async with (
        echoing(echo) as url,
        httpx.AsyncClient() as mine,
        Client(url, "", http_client=mine, observers=[KeyRing()]) as client,
    ):
        try:
            await client.generate_text_completion("hello", max_retries=0)
        except limin.LiminError as error:
            check_locals(error)


@pytest.mark.parametrize("echo", ECHOES)
async def test_key_of_one_request_is_in_no_message(echo: str) -> None:
    """The program that gave it has it in its own variables, and limin in its options."""
    headers = {"authorization": f"Bearer {KEY}"}
    async with (
        echoing(echo) as url,
        httpx.AsyncClient() as mine,
        Client(url, "", http_client=mine) as client,
    ):
        try:
            await client.generate_text_completion("hello", max_retries=0, headers=headers)
        except limin.LiminError as error:
            collections.deque(frames_of(error), maxlen=0)


@pytest.mark.parametrize("road", ["own", "httpx"])
@pytest.mark.parametrize("echo", ECHOES)
async def test_no_local_variable_shows_the_key(echo: str, road: str) -> None:
    """Whatever the server sends, and whatever way the request takes."""
    options: dict[str, Any] = {"max_retries": 0, "show_progress": False}
    async with echoing(echo) as url, httpx.AsyncClient() as mine:
        given = mine if road == "httpx" else None
        async with Client(url, KEY, http_client=given) as client:
            try:
                await client.generate_text_completion("hello", max_retries=0)
            except limin.LiminError as error:
                check_locals(error)
            (result,) = await client.generate_text_completions(
                ["hello"], on_error="return", stream=True, **options
            )
            if isinstance(result, limin.LiminError):
                check_locals(result)
            try:
                async with client.stream_text_completion("hello") as answers:
                    await answers.until_done()
            except limin.LiminError as error:
                check_locals(error)


# Bodies that are no list of models; of the others each is no completion.
NO_LISTS: dict[str, bytes] = {
    "list of something else": http(json.dumps({"data": ECHO, "models": KEY}).encode()),
    "request id": http(b"{}", headers=f"x-request-id: {KEY}\r\n"),
    "error beside an empty list": http(json.dumps({"data": [], "error": ECHO}).encode()),
}


@pytest.mark.parametrize("road", ["own", "httpx"])
@pytest.mark.parametrize("echo", [*ECHOES, *NO_LISTS])
async def test_list_of_models_does_not_show_the_key(echo: str, road: str) -> None:
    """What is no list of models is refused as carefully as what is no completion."""
    async with echoing(echo) as url, httpx.AsyncClient() as mine:
        given = mine if road == "httpx" else None
        async with Client(url, KEY, http_client=given) as client:
            with pytest.raises(limin.LiminError) as caught:
                await client.models()
    check_locals(caught.value)


class Broken(httpx.AsyncClient):
    """A client that makes no request."""

    def build_request(self, *_arguments: object, **_options: object) -> httpx.Request:
        """Raise an error that limin does not know."""
        raise KeyError


@pytest.mark.parametrize(
    "verb", [Client.models, lambda client: client.generate_text_completion("hello")]
)
async def test_broken_client_does_not_show_the_key(verb: Any) -> None:
    """The headers that a client of the user's was given are no variable with a key."""
    async with Broken() as mine, Client(URL + QUERY, KEY, http_client=mine) as client:
        with pytest.raises(KeyError) as caught:
            await verb(client)
    for frame in frames_of(caught.value):
        if frame.f_code is not Broken.build_request.__code__:
            assert KEY not in repr(frame.f_locals)


async def ask(url: str, verb: str, *arguments: object) -> None:
    """Call the method *verb* of a client, with a key in the headers."""
    async with Client(url) as client:
        await getattr(client, verb)(*arguments, headers={"api-key": KEY})


@pytest.mark.parametrize("query", [f"?{KEY}", QUERY, f"?version_key={KEY}"])
async def test_no_message_shows_the_query(query: str) -> None:
    """A server that quotes the URL does not bring a key in it into a message."""

    async def quote(request: Request) -> bytes:
        return http(request.head.partition(b"\r\n")[0], "400 Bad Request")

    async with serve(quote) as server, Client(server.base_url + query, "") as client:
        with pytest.raises(limin.StatusError, match="POST ") as caught:
            await client.generate_text_completion("hello")
    check_locals(caught.value)


async def ask_and_record(url: str) -> None:
    """Fail in a test that records."""
    with TemporaryDirectory() as folder:
        async with replay_endpoint(
            Path(folder, "recording"),
            missing="record",
            base_url=url + QUERY,
            api_key=KEY,
            headers={"api-key": KEY},
        ):
            raise limin.LiminError


# Each asks once, by what may hold a key: one of the arguments, or the URL.
CALLS: dict[str, Any] = {
    "headers of a call": lambda url: ask(url, "generate_text_completion", "hello"),
    "headers of a decision": lambda url: ask(url, "generate_decision", "hello", ["a"]),
    "headers of a run with tools": lambda url: ask(url, "run_tools", "hello", []),
    "headers of a batch": lambda url: ask(url, "generate_text_completions", ["hello"]),
    "key of a function": lambda url: limin.generate_text_completion(
        "hello", api_key=KEY, base_url=url
    ),
    "headers of a function": lambda url: limin.generate_text_completion(
        "hello", headers={"api-key": KEY}, base_url=url
    ),
    "key of a decision": lambda url: limin.generate_decision(
        "hello", ["a", "b"], api_key=KEY, base_url=[url, limin.Endpoint(url, "other")]
    ),
    "query of a function": lambda url: limin.generate_text_completion(
        "hello", base_url=url + QUERY
    ),
    "replicas of a function": lambda url: limin.generate_text_completions(
        ["hello"], base_url=(url, url + QUERY), api_key=KEY, show_progress=False
    ),
    "recording": ask_and_record,
}


@pytest.mark.parametrize("call", CALLS)
async def test_no_argument_shows_the_key(call: str) -> None:
    """The arguments of limin's functions are local variables of their frames, too."""

    async def refuse(_request: Request) -> bytes:
        return http(b"{}", "400 Bad Request")

    async with serve(refuse) as server:
        with pytest.raises(limin.LiminError) as caught:
            await CALLS[call](server.base_url)
    check_locals(caught.value)


BAD = f"{KEY}\u200bx"  # No header can hold it, and no URL.
WITH_KEY = {"api-key": KEY}

# Arguments of `Client` and of `Endpoint`, which both refuse.
REFUSED: list[dict[str, Any]] = [
    {"base_url": f"{URL} {QUERY}", "headers": {"x": KEY, "y": "\n \0"}},
    {"base_url": URL, "headers": {"x": KEY, "y": "\0"}},
    {"base_url": BAD, "api_key": KEY, "headers": WITH_KEY},
    {"base_url": KEY.encode(), "api_key": KEY, "headers": WITH_KEY},
    {"base_url": f"http://[::1{QUERY}"},
    {"base_url": URL, "api_key": BAD},
    {"base_url": URL, "api_key": f"Basic {KEY}"},
    {"base_url": URL, "api_key": f"Bearer 'Bearer {BAD}'"},
    {"base_url": URL, "api_key": KEY.encode()},
    {"base_url": URL, "api_key": [KEY]},
    {"base_url": URL, "headers": {"api-key": BAD}},
    {"base_url": URL, "headers": {"api-key": KEY.encode()}},
    {"base_url": URL, "headers": {f"api-key: {KEY}": ""}},
    {"base_url": URL, "headers": {"content-length": KEY}},
    {"base_url": URL, "headers": [("api-key", KEY)]},
    {"base_url": URL, "headers": f"api-key: {KEY}"},
]


def refuse(make: Callable[..., object], *arguments: object, **options: object) -> None:
    """Check that *make* refuses the arguments, and shows no key."""
    with pytest.raises((limin.ConfigurationError, TypeError)) as caught:
        make(*arguments, **options)
    check_locals(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        *REFUSED,
        {"api_key": KEY, "timeout": -1},
        {"base_url": [URL + QUERY, "b"], "api_key": KEY},
        {"base_url": [URL + QUERY] * 2, "headers": WITH_KEY},
        {"base_url": f"http://256.1.1.1/v1{QUERY}"},
        {"base_url": URL + "/a" * 40_000 + QUERY},
    ],
)
def test_refused_client_shows_no_key(options: dict[str, Any]) -> None:
    """What is wrong with one argument shows nothing of it, and nothing of the others."""
    refuse(Client, **options)


@pytest.mark.parametrize("options", REFUSED)
def test_refused_endpoint_shows_no_key(options: dict[str, Any]) -> None:
    """Neither does an endpoint that a program makes itself, in whatever way."""
    refuse(limin.Endpoint, **options)
    refuse(limin.Endpoint.resolve, **options)


def test_refused_headers_of_an_endpoint_show_no_key() -> None:
    """Headers that are added, and the key of a client, are as secret."""
    endpoint = limin.Endpoint(URL)
    refuse(endpoint.with_headers, {"api-key": BAD})
    refuse(endpoint.completed_by, BAD, WITH_KEY)
    refuse(endpoint.completed_by, KEY, {"api-key": BAD})


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "OPENAI_BASE_URL"])
def test_refused_variable_shows_no_key(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment holds is as secret as an argument."""
    monkeypatch.setenv("OPENAI_BASE_URL", URL)
    monkeypatch.setenv(name, BAD)
    refuse(Client)


@pytest.mark.parametrize("headers", [{"api-key": BAD}, {"api-key": KEY.encode()}])
async def test_refused_headers_of_a_call_show_no_key(headers: dict[str, Any]) -> None:
    """A call with a header that cannot be sent is refused without showing it."""
    async with Client(URL) as client:
        with pytest.raises(limin.ConfigurationError) as caught:
            await client.generate_text_completion("hello", headers=headers)
    check_locals(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": KEY},
        {"apikey": KEY},
        {"headers": {"x-api-key": KEY}},
        {"headers": {"x-foo": BAD}},
        {"headers": {"x-foo": KEY}, "n_parallel": -1},
        {"base_url": URL + QUERY},
        {"base_url": [URL, URL + QUERY]},
        {"base_url": BAD},
        {"base_url": KEY.encode()},
        {"base_url": {"url": URL + QUERY}},
    ],
)
def test_refused_actor_of_ray_shows_no_key(options: dict[str, Any]) -> None:
    """What is refused since it holds a key is not shown on that occasion."""
    refuse(TextCompletions, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"openai_api_key": KEY, "extra_headers": {"x": KEY}},
        {"apikey": KEY},
        {"token": [KEY], "auth": KEY.encode(), "default_query": {"key": KEY}},
        {"Headers": {"x": KEY}},
    ],
)
def test_refused_options_show_no_key(options: dict[str, Any]) -> None:
    """An option of another name may hold a key as well: of another library, or a slip."""
    verb: Any = limin.generate_text_completion
    refuse(lambda: next(iter(verb("hello", **options).__await__())))


# What each function is asked beside its options, and whether it streams.
VERBS: dict[str, tuple[object, ...]] = {
    "generate_text_completion": ("hello",),
    "generate_text_completions": (["hello"],),
    "stream_text_completion": ("hello",),
    "iter_text_completions": (["hello"],),
    "generate_decision": ("hello", ["a", "b"]),
    "generate_decisions": (["hello"], ["a", "b"]),
    "run_tools": ("hello", []),
}


async def fail(verb: Callable[..., Any], *arguments: object, **options: object) -> None:
    """Check that the verb refuses its options, and shows no key."""
    with pytest.raises((limin.LiminError, TypeError)) as caught:
        await finish(verb(*arguments, **options))
    check_locals(caught.value)


async def finish(asked: Any) -> None:
    """Wait for an answer, or open a stream."""
    if hasattr(asked, "__aenter__"):
        async with asked:
            return
    await asked


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"api-key": BAD}},
        {"headers": WITH_KEY, "temperature": "hot"},
        {"headers": WITH_KEY, "timeout": -1},
        {"headers": [KEY]},
        {"apikey": KEY},
    ],
)
@pytest.mark.parametrize("verb", VERBS)
async def test_refused_options_of_any_verb_show_no_key(
    verb: str, options: dict[str, Any]
) -> None:
    """Of a method of the client as of the function of the same name."""
    async with Client(URL, "") as client:
        await fail(getattr(client, verb), *VERBS[verb], **options)
    where = {"base_url": URL + QUERY, "api_key": KEY}
    await fail(getattr(limin, verb), *VERBS[verb], **where, **options)


@pytest.mark.parametrize("verb", VERBS)
async def test_refused_endpoint_of_any_function_shows_no_key(verb: str) -> None:
    """A client beside a key is refused, and so is a key that no header can hold."""
    function = getattr(limin, verb)
    async with Client(URL, "") as client:
        await fail(function, *VERBS[verb], client=client, api_key=KEY)
    await fail(function, *VERBS[verb], base_url=URL, api_key=BAD)
    await fail(function, *VERBS[verb], base_url=BAD)


@pytest.mark.parametrize(
    "options",
    [{"api_key": BAD}, {"base_url": BAD}, {"headers": {"x": BAD}}, {"missing": "?"}],
)
async def test_refused_recording_shows_no_key(options: dict[str, Any]) -> None:
    """An endpoint that records is given the key of the real one."""
    options = {"base_url": URL + QUERY, "api_key": KEY, "missing": "record"} | options
    await fail(replay_endpoint, "nowhere", **options)
