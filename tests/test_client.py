"""One prompt, one completion, as a user of `Client` sees them."""

from __future__ import annotations

import copy
import gc
import json
import pickle
from typing import TYPE_CHECKING, Any, Literal, cast

import anyio
import httpx
import numpy as np
import pandas as pd
import pytest
from builders import body_of
from loopback import Request, completion, http, serve, serve_streams

import limin
from limin import Client, Conversation, Message, ModelConfiguration

if TYPE_CHECKING:
    from pytest_httpx import HTTPXMock

URL = "http://model.test/v1"
KEY = "sk-very-secret-key-0123456789"


async def test_prompt_is_answered(httpx_mock: HTTPXMock) -> None:
    """A prompt goes out as a user message, and its answer comes back."""
    body = completion("Paris.", model="m-1", usage={"prompt_tokens": 3})
    httpx_mock.add_response(content=body, headers={"x-request-id": "req-1"})
    async with Client(URL, KEY) as client:
        answer = await client.generate_text_completion("Capital of France?", model="m")
    assert (answer.message, answer.content) == ("Paris.", "Paris.")
    assert (answer.model, answer.served_model) == ("m", "m-1")
    assert (answer.finish_reason, answer.request_id) == ("stop", "req-1")
    assert answer.usage == limin.Usage(prompt_tokens=3)
    assert answer.conversation == Conversation.from_prompts("Capital of France?")
    sent = httpx_mock.get_request()
    assert sent is not None
    assert sent.url == f"{URL}/chat/completions"
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(sent.content) == {
        "model": "m",
        "temperature": 0.7,
        "messages": [{"role": "user", "content": "Capital of France?"}],
    }


async def test_no_key_sends_no_authorization(httpx_mock: HTTPXMock) -> None:
    """A local server gets no header that it did not ask for."""
    httpx_mock.add_response(content=completion("hi"))
    async with Client(URL) as client:
        await client.generate_text_completion("hello")
    sent = httpx_mock.get_request()
    assert sent is not None
    assert "authorization" not in sent.headers


async def test_headers_of_the_user_are_sent_and_win(httpx_mock: HTTPXMock) -> None:
    """Azure's `api-key`, for example, or another kind of authorization."""
    httpx_mock.add_response(content=completion("hi"))
    headers = {"api-key": KEY, "Authorization": "Basic abc"}
    async with Client(URL, "other", headers=headers) as client:
        await client.generate_text_completion("hello")
    sent = httpx_mock.get_request()
    assert sent is not None
    assert sent.headers["api-key"] == KEY
    assert sent.headers.get_list("authorization") == ["Basic abc"]


async def test_system_prompt_comes_first(httpx_mock: HTTPXMock) -> None:
    """The system's message stands before the user's."""
    httpx_mock.add_response(content=completion("hi"))
    async with Client(URL) as client:
        answer = await client.generate_text_completion("hello", system_prompt="Be kind.")
    assert answer.conversation.messages == [
        Message("system", "Be kind."),
        Message("user", "hello"),
    ]


async def test_conversation_as_it_was_asked_is_kept(httpx_mock: HTTPXMock) -> None:
    """A conversation that goes on does not change the completions that it has."""
    httpx_mock.add_response(content=completion("hi"))
    conversation = Conversation.from_prompts("hello")
    async with Client(URL) as client:
        answer = await client.generate_text_completion_for_conversation(conversation)
    conversation.add_message(answer.to_message())
    assert conversation.messages[-1] == Message("assistant", "hi")
    assert answer.conversation == Conversation.from_prompts("hello")


async def test_explicit_argument_wins_over_configuration(httpx_mock: HTTPXMock) -> None:
    """An explicit None wins, too: it leaves the field out."""
    httpx_mock.add_response(content=completion("hi"))
    configuration = ModelConfiguration(model="m", temperature=0.1, max_tokens=5, seed=7)
    async with Client(URL) as client:
        await client.generate_text_completion(
            "hello", model_configuration=configuration, temperature=0, seed=None
        )
    sent = httpx_mock.get_request()
    assert sent is not None
    fields = json.loads(sent.content)
    assert fields.keys() == {"model", "temperature", "max_tokens", "messages"}
    assert (fields["temperature"], fields["max_tokens"]) == (0, 5)


async def test_extra_body_is_merged_over_the_rest(httpx_mock: HTTPXMock) -> None:
    """Any vendor's field reaches its vendor."""
    httpx_mock.add_response(content=completion("hi"))
    extra = {"top_k": 4, "temperature": 0.2, "nested": {"a": [1]}}
    async with Client(URL) as client:
        await client.generate_text_completion("hello", extra_body=extra)
    sent = httpx_mock.get_request()
    assert sent is not None
    assert json.loads(sent.content).items() >= extra.items()


async def test_missing_log_probs_are_a_warning(httpx_mock: HTTPXMock) -> None:
    """Log probabilities that did not come are None, and the completion says so."""
    httpx_mock.add_response(content=completion("hi"))
    async with Client(URL) as client:
        answer = await client.generate_text_completion("hello", log_probs=True)
    assert answer.token_log_probs is None
    assert answer.full_token_log_probs is None
    assert [warning.code for warning in answer.warnings] == ["log-probs-missing"]


ODD = completion("hi", id=7)  # an id that is no text
ODD_MESSAGE = "log probabilities were asked for, and none came"


async def test_warnings_are_recorded_in_silence(httpx_mock: HTTPXMock) -> None:
    """By default, and with "ignore", only the completion holds the warnings."""
    httpx_mock.add_response(content=completion("hi"), is_reusable=True)
    async with Client(URL) as client:
        silent = await client.generate_text_completion("hello", log_probs=True)
        ignored = await client.generate_text_completion(
            "hello", log_probs=True, on_warning="ignore"
        )
    assert silent.warnings == ignored.warnings
    assert [warning.code for warning in silent.warnings] == ["log-probs-missing"]
    sent = httpx_mock.get_requests()
    assert sent[0].content == sent[1].content
    assert b"warning" not in sent[1].content


async def test_warnings_are_issued(httpx_mock: HTTPXMock) -> None:
    """With "warn" each is a warning of Python's, and the completion comes back."""
    httpx_mock.add_response(content=ODD)
    async with Client(URL) as client:
        with pytest.warns(limin.LiminWarning) as caught:
            answer = await client.generate_text_completion(
                "hello", log_probs=True, on_warning="warn"
            )
    assert answer.message == "hi"
    assert len(answer.warnings) == 2
    assert [str(warning.message) for warning in caught] == [
        str(warning) for warning in answer.warnings
    ]
    assert f"{ODD_MESSAGE} (at `$.choices[0].logprobs`; log-probs-missing)" in [
        str(warning.message) for warning in caught
    ]


async def test_warnings_are_raised(httpx_mock: HTTPXMock) -> None:
    """With "raise" the first one is the error, which still carries the completion."""
    httpx_mock.add_response(content=ODD, headers={"x-request-id": "req-1"})
    async with Client(URL) as client:
        with pytest.raises(limin.AnswerWarningError) as caught:
            await client.generate_text_completion(
                "hello", log_probs=True, on_warning="raise"
            )
    error = caught.value
    assert isinstance(error, limin.LiminError)
    assert (error.completion.message, error.completion.request_id) == ("hi", "req-1")
    assert error.warnings == error.completion.warnings
    assert len(error.warnings) == 2
    assert str(error).endswith("body-mended), and 1 more")


@pytest.mark.parametrize("on_warning", ["warn", "raise"])
async def test_nothing_odd_is_nothing_heard(
    httpx_mock: HTTPXMock, on_warning: Literal["warn", "raise"]
) -> None:
    """An answer without warnings comes back as it is."""
    httpx_mock.add_response(content=completion("hi"))
    async with Client(URL) as client:
        answer = await client.generate_text_completion("hello", on_warning=on_warning)
    assert answer.warnings == ()


@pytest.mark.parametrize("on_warning", ["error", None, True])
async def test_nothing_is_sent_if_on_warning_makes_no_sense(on_warning: Any) -> None:
    """A wrong option is refused before anything is sent."""
    async with Client(URL) as client:
        with pytest.raises(limin.ConfigurationError, match="on_warning: expected ignore"):
            await client.generate_text_completion("hello", on_warning=on_warning)
        with pytest.raises(limin.ConfigurationError, match="on_warning: expected ignore"):
            await client.generate_text_completions(["hello"], on_warning=on_warning)


async def test_odd_answer_in_a_batch_costs_no_other(httpx_mock: HTTPXMock) -> None:
    """With "raise" an odd answer is an error in its place, and the others are kept."""
    httpx_mock.add_response(content=ODD)
    httpx_mock.add_response(content=completion("fine"))
    async with Client(URL) as client:
        with pytest.raises(limin.BatchError) as caught:
            await client.generate_text_completions(
                ["a", "b"], 1, show_progress=False, on_warning="raise"
            )
    odd, fine = caught.value.results
    assert isinstance(odd, limin.AnswerWarningError)
    assert isinstance(fine, limin.TextCompletion)
    assert (odd.completion.message, fine.message) == ("hi", "fine")


async def test_option_of_the_function_reaches_the_client(
    httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function of the module has the option, too."""
    monkeypatch.setenv("OPENAI_BASE_URL", URL)
    httpx_mock.add_response(content=ODD)
    with pytest.raises(limin.AnswerWarningError, match="body-mended"):
        await limin.generate_text_completion("hello", on_warning="raise")


LISTED: dict[str, Any] = {
    "id": 5,
    "token": "hi",
    "bytes": [104, 105],
    "logprob": -0.5,
    "top_logprobs": [
        {"id": 5, "token": "hi", "bytes": [104, 105], "logprob": -0.5},
        {"id": 6, "token": "ho", "bytes": [104, 111], "logprob": -1.5},
    ],
}


@pytest.mark.parametrize("options", [{}, {"top_log_probs": None}, {"top_log_probs": 0}])
async def test_alternatives_that_were_not_asked_for_are_left_out(
    httpx_mock: HTTPXMock, options: dict[str, Any]
) -> None:
    """Alternatives that llama.cpp sends unasked are only in the raw body."""
    body = body_of("hi", logprobs={"content": [LISTED]})
    httpx_mock.add_response(json=body)
    async with Client(URL) as client:
        answer = await client.generate_text_completion("hello", log_probs=True, **options)
    assert answer.token_log_probs == [limin.TokenLogProb("hi", -0.5, b"hi", 5)]
    assert answer.full_token_log_probs == [[]]
    assert answer.log_probs is not None
    assert answer.log_probs[0].alternatives == ()
    assert answer.warnings == ()
    assert answer.raw == body
    assert b'"ho"' in answer.raw_bytes


async def test_alternatives_that_were_asked_for_are_kept(httpx_mock: HTTPXMock) -> None:
    """All that came are kept, and a warning says if they are fewer."""
    httpx_mock.add_response(json=body_of("hi", logprobs={"content": [LISTED]}))
    async with Client(URL) as client:
        answer = await client.generate_text_completion(
            "hello", log_probs=True, top_log_probs=3
        )
    assert answer.full_token_log_probs == [
        [
            limin.TokenLogProb("hi", -0.5, b"hi", 5),
            limin.TokenLogProb("ho", -1.5, b"ho", 6),
        ]
    ]
    assert [warning.code for warning in answer.warnings] == ["fewer-alternatives"]


async def test_log_probs_of_the_prompt(httpx_mock: HTTPXMock) -> None:
    """VLLM's answer to `prompt_logprobs` is kept, and its first position is empty."""
    positions = [None, {"7": {"logprob": -2.5, "rank": 4, "decoded_token": "llo"}}]
    httpx_mock.add_response(content=completion("hi", prompt_logprobs=positions))
    async with Client(URL) as client:
        answer = await client.generate_text_completion(
            "hello", extra_body={"prompt_logprobs": 0}
        )
    assert answer.prompt_log_probs is not None
    first, second = answer.prompt_log_probs
    assert first is None
    assert second is not None
    assert second.sampled == limin.TokenLogProb("llo", -2.5, None, 7)
    sent = httpx_mock.get_request()
    assert sent is not None
    assert json.loads(sent.content)["prompt_logprobs"] == 0


async def test_deadline_ends_a_silent_server() -> None:
    """The error says how long limin waited."""

    async def silent(_request: Request) -> bytes:
        await anyio.sleep_forever()
        raise AssertionError

    async with serve(silent) as server, Client(server.base_url) as client:
        with pytest.raises(limin.RequestTimeoutError) as caught:
            await client.generate_text_completion("hello", timeout=0.05)
    assert caught.value.timeout == 0.05
    url = f"{server.base_url}/chat/completions"
    assert str(caught.value) == f"no complete answer within 0.05 seconds; asked: POST {url}"


async def test_no_deadline_when_none_is_wanted() -> None:
    """`timeout=None` waits for as long as it takes."""
    async with serve() as server, Client(server.base_url, timeout=0.001) as client:
        answer = await client.generate_text_completion("hello", timeout=None)
    assert answer.message == "hello"


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "5", True])
def test_timeout_that_makes_no_sense(timeout: float) -> None:
    """A wrong deadline is refused before anything is sent."""
    with pytest.raises(limin.ConfigurationError, match="timeout: expected seconds above 0"):
        Client(URL, timeout=timeout)


async def test_unknown_option_is_a_type_error() -> None:
    """A misspelt option is a mistake of the caller, as in any Python function."""
    async with Client(URL) as client:
        with pytest.raises(
            TypeError,
            match=r"^Client\.generate_text_completion\(\) .*'temprature' \(did you mean",
        ):
            await client.generate_text_completion("hello", temprature=1)  # type: ignore[call-arg]


async def test_connection_refused_is_a_connect_error() -> None:
    """If nobody listens, the error is one of limin's."""
    async with serve() as server:
        pass
    async with Client(server.base_url) as client:
        with pytest.raises(limin.ConnectError):
            await client.generate_text_completion("hello")


async def test_server_that_hangs_up_is_a_transport_error() -> None:
    """A connection closed without a response has an error of its own kind."""

    async def hang_up(_request: Request) -> None:
        """Close without a response."""

    async with serve(hang_up) as server, Client(server.base_url) as client:
        with pytest.raises(limin.TransportError):
            await client.generate_text_completion("hello")


async def test_error_of_the_server_repeats_its_message() -> None:
    """The error has the status, message and request id, and neither key nor prompt."""
    body = {"error": {"message": f"bad key {KEY} for: Tell me my secret", "code": "no"}}

    async def refuse(_request: Request) -> bytes:
        return http(json.dumps(body).encode(), "401 Unauthorized", "X-Request-Id: r7\r\n")

    async with serve(refuse) as server, Client(server.base_url, KEY) as client:
        with pytest.raises(limin.AuthenticationError) as caught:
            await client.generate_text_completion("Tell me my secret")
    error = caught.value
    assert (error.status, error.request_id, error.code) == (401, "r7", "no")
    assert str(error) == (
        "the server answered 401: bad key *** for: *** (request r7); asked: POST "
        f"{server.base_url}/chat/completions, with the key of api_key"
    )
    assert KEY not in repr(error)
    assert "secret" not in repr(error)


async def test_redirect_is_not_followed() -> None:
    """No other server is asked, least of all with the key."""

    async def elsewhere(_request: Request) -> bytes:
        return http(b"", "307 Temporary Redirect", "Location: http://127.0.0.1:1/\r\n")

    async with serve(elsewhere) as server, Client(server.base_url, KEY) as client:
        with pytest.raises(limin.StatusError) as caught:
            await client.generate_text_completion("hello")
    assert caught.value.status == 307
    assert "not followed, and this one leads to 127.0.0.1; asked" in str(caught.value)


async def test_client_of_the_user_is_used_and_left_open() -> None:
    """A client of the user's is the user's to close."""
    async with serve() as server, httpx.AsyncClient(headers={"x-mine": "1"}) as mine:
        async with Client(server.base_url, http_client=mine) as client:
            await client.generate_text_completion("hello")
        assert not mine.is_closed
        assert b"x-mine: 1" in server.requests[0].head.lower()


def test_repr_names_the_host_alone() -> None:
    """A log that holds the client holds no key."""
    client = Client("http://model.test:8000/v1", KEY, headers={"api-key": KEY})
    assert repr(client) == "<limin.Client of model.test:8000: 0 in flight, 0 idle>"


def test_repr_of_a_client_that_was_refused() -> None:
    """Tools that report errors show it as a local variable of the traceback."""
    with pytest.raises(limin.ConfigurationError) as caught:
        Client(timeout=-1)
    frames = [entry.frame.f_locals for entry in caught.traceback]
    (refused,) = {id(f["self"]): f["self"] for f in frames if "timeout" in f}.values()
    assert repr(refused) == "<limin.Client, not ready>"


@pytest.mark.filterwarnings("error")
async def test_warning_that_is_an_error_loses_no_answer(httpx_mock: HTTPXMock) -> None:
    """With Python's warnings as errors, the answer is still there."""
    httpx_mock.add_response(content=completion("hi"))
    async with Client(URL) as client:
        with pytest.raises(limin.AnswerWarningError) as caught:
            await client.generate_text_completion(
                "hello", log_probs=True, on_warning="warn"
            )
    assert caught.value.completion.message == "hi"


async def test_repr_shows_the_state() -> None:
    """Requests in flight, idle connections, the pause that the server wants, the end."""
    shown: list[str] = []

    async def answer(request: Request) -> bytes:
        shown.append(repr(client).partition(": ")[2])
        if request.prompt == "busy":
            return http(b"{}", "429 Too Many Requests", "Retry-After: 90\r\n")
        return http(completion(request.prompt))

    async with serve(answer) as server:
        client = Client(server.base_url, max_retries=0)
        await client.generate_text_completion("a")
        shown.append(repr(client).partition(": ")[2])
        with pytest.raises(limin.RateLimitError):
            await client.generate_text_completion("busy")
        shown.append(repr(client).partition(": ")[2])
        await client.aclose()
        shown.append(repr(client).partition(": ")[2])
    assert shown == [
        "1 in flight, 0 idle>",
        "0 in flight, 1 idle>",
        "1 in flight, 0 idle>",
        "0 in flight, 1 idle, resting 90 s>",
        "closed>",
    ]


async def test_repr_over_a_client_of_the_users() -> None:
    """Its connections are its own; requests that are cancelled are in flight no more."""

    async def silent(_request: Request) -> bytes:
        assert repr(client).endswith(": 1 in flight>")
        scope.cancel()
        await anyio.sleep_forever()
        raise AssertionError

    async with serve(silent) as server, httpx.AsyncClient() as mine:
        client = Client(server.base_url, http_client=mine)
        with anyio.CancelScope() as scope:
            await client.generate_text_completion("a")
        assert repr(client).endswith(": 0 in flight>")


async def test_numbers_of_numpy_are_sent_as_plain_json(httpx_mock: HTTPXMock) -> None:
    """Numbers, flags, texts and arrays of numpy and pandas are sent as what they are."""
    httpx_mock.add_response(content=completion("hi"))
    options: Any = {
        "temperature": np.float32(0.5),
        "top_p": np.float32(1),
        "max_tokens": np.int64(8),
        "seed": np.int64(1),
        "stop": np.array(["a", "b"]),
        "log_probs": np.bool_(True),  # noqa: FBT003 (numpy's flag)
        "top_log_probs": np.uint8(2),
        "model": np.str_("m"),
        "extra_body": {
            "logit_bias": {np.int64(7): np.float64(-1)},
            "ids": pd.Series([1, 2]),
        },
    }
    async with Client(URL, KEY) as client:
        await client.generate_text_completion(np.str_("hello"), **options)
    sent = httpx_mock.get_request()
    assert sent is not None
    assert json.loads(sent.content) == {
        "model": "m",
        "temperature": 0.5,
        "max_tokens": 8,
        "top_p": 1.0,
        "stop": ["a", "b"],
        "seed": 1,
        "logprobs": True,
        "top_logprobs": 2,
        "logit_bias": {"7": -1.0},
        "ids": [1, 2],
        "messages": [{"role": "user", "content": "hello"}],
    }


@pytest.mark.parametrize("value", [np.float32("nan"), {1}, pd.NA, np.array([np.inf])])
async def test_extra_body_that_json_cannot_hold(value: object) -> None:
    """What is no JSON is refused by the option's name before anything is sent."""
    async with Client(URL) as client:
        with pytest.raises(limin.ConfigurationError, match=r"^extra_body: expected values"):
            await client.generate_text_completion("hello", extra_body={"a": value})


async def test_arguments_of_numpy() -> None:
    """Numbers of numpy are taken by every argument of the client."""
    arguments: Any = {
        "timeout": np.float32(60),
        "idle_timeout": np.int64(60),
        "max_retries": np.int64(1),
        "requests_per_minute": np.float32(6e6),
        "tokens_per_minute": np.int64(10**9),
        "limits": limin.Limits(body_bytes=cast("Any", np.float64(1e6))),
    }
    async with serve() as server, Client(server.base_url, **arguments) as client:
        answer = await client.generate_text_completion("hello")
    assert answer.message == "hello"


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("limits", {"body_bytes": 5}, "expected a limin.Limits or None, found a dict"),
        ("limits", 0, "expected a limin.Limits or None, found 0"),
        (
            "requests_per_minute",
            pd.NA,
            "expected a number above 0 or None, found an NAType",
        ),
        ("max_retries", np.float32(2), "expected an integer of at least 0, found 2.0"),
    ],
)
def test_argument_that_makes_no_sense(name: str, value: Any, found: str) -> None:
    """A wrong argument of the client is refused by its name."""
    arguments: Any = {name: value}
    with pytest.raises(limin.ConfigurationError) as caught:
        Client(URL, **arguments)
    assert str(caught.value) == f"{name}: {found}"


@pytest.mark.parametrize(
    "duplicate", [pickle.dumps, copy.copy, copy.deepcopy, lambda it: copy.deepcopy([it])]
)
async def test_client_is_not_copied(
    duplicate: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """A client refuses to be copied, after its first request, too, and prints nothing."""
    async with serve() as server, Client(server.base_url, KEY) as client:
        await client.generate_text_completion("hello")
        with pytest.raises(TypeError) as caught:
            duplicate(client)
    gc.collect()
    assert str(caught.value) == (
        "a limin.Client cannot be pickled or copied: it holds a key, and connections of "
        "this process; share it within the process, and make one in each other process, "
        "with the same arguments"
    )
    assert capfd.readouterr() == ("", "")


# Keyword arguments of the client, and the end of the message of a 401.
KEYS: list[tuple[dict[str, Any], str]] = [
    ({}, ", with the key of OPENAI_API_KEY"),
    ({"api_key": KEY}, ", with the key of api_key"),
    ({"api_key": ""}, ", without a key"),
    ({"api_key": "", "headers": {"X-B": KEY, "api-key": KEY}}, "headers api-key, x-b"),
    ({"headers": {"Authorization": KEY}}, ", with the header authorization of headers"),
]


@pytest.mark.parametrize(("arguments", "ending"), KEYS)
@pytest.mark.parametrize("stream", [True, False])
async def test_refused_key_is_named_by_its_source(
    monkeypatch: pytest.MonkeyPatch,
    arguments: dict[str, Any],
    ending: str,
    *,
    stream: bool,
) -> None:
    """A 401 says whether a key was sent, and where it came from, and never the key."""

    async def refuse(_request: Request) -> bytes:
        return http(b'{"error":{"message":"bad key"}}', "401 Unauthorized")

    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}-of-the-environment")
    async with serve(refuse) as server, Client(server.base_url, **arguments) as client:
        with pytest.raises(limin.AuthenticationError) as caught:
            await client.generate_text_completion("hello", stream=stream)
    asked = caught.value.asked
    assert asked is not None
    assert asked.startswith(f"POST {server.base_url}/chat/completions, with")
    assert asked.endswith(ending)
    assert str(caught.value).endswith(f"bad key; asked: {asked}")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "ending"),
    [
        ("", "/chat/completions, where base_url has no /v1"),
        ("/api", "/api/chat/completions, where base_url has no /v1"),
        ("/v1", "/v1/chat/completions"),
        ("/v1beta/openai", "/v1beta/openai/chat/completions"),
        (f"?api-version=1&key={KEY}", "/chat/completions"),
    ],
)
async def test_path_that_does_not_exist(path: str, ending: str) -> None:
    """A 404 says which path was asked, and where the usual one is missing."""

    async def refuse(_request: Request) -> bytes:
        return http(b"404 page not found", "404 Not Found")

    async with serve(refuse) as server:
        root = server.base_url.removesuffix("/v1")
        async with Client(root + path) as client:
            with pytest.raises(limin.NotFoundError) as caught:
                await client.generate_text_completion("hello")
    assert caught.value.asked == f"POST {root}{ending}"


async def test_errors_of_a_request_say_where_it_went() -> None:
    """Whatever goes wrong with a request, the error says where it was sent."""

    async def odd(request: Request) -> bytes | None:
        answers = {
            "nothing": None,
            "garbage": b"SSH-2.0-OpenSSH\r\n\r\n",
            "no answer": http(b"{}"),
            "broken": http(
                b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n',
                headers="content-type: text/event-stream\r\n",
            ),
        }
        return answers[request.prompt]

    kinds: dict[str, type[limin.LiminError]] = {
        "nothing": limin.ProtocolError,
        "garbage": limin.ProtocolError,
        "no answer": limin.ResponseError,
        "broken": limin.StreamError,
    }
    async with serve(odd) as server, Client(server.base_url, max_retries=0) as client:
        for prompt, kind in kinds.items():
            with pytest.raises(kind) as caught:
                await client.generate_text_completion(prompt, stream=prompt == "broken")
            hint = ", where the server perhaps speaks https, not http"
            place = f"POST {server.base_url}/chat/completions"
            assert caught.value.asked == place + (hint if prompt == "nothing" else "")
            assert str(caught.value).endswith(f"; asked: {caught.value.asked}")
            restored = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 (our own bytes)
            assert str(restored) == str(copy.copy(caught.value)) == str(caught.value)
            assert (type(restored), restored.asked) == (kind, caught.value.asked)


async def test_broken_stream_says_where_it_came_from() -> None:
    """A stream that breaks off in the user's hands says so, too."""
    event = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'

    async def break_off(_request: Request) -> bytes:
        return http(event, headers="content-type: text/event-stream\r\n")

    async with (
        serve(break_off) as server,
        Client(server.base_url) as client,
        client.stream_text_completion("hello") as stream,
    ):
        with pytest.raises(limin.StreamError) as caught:
            await stream.until_done()
    assert caught.value.asked == f"POST {server.base_url}/chat/completions"


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
async def test_stream_is_not_copied(
    duplicate: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """An open stream refuses to be copied, and its completion does not."""
    async with (
        serve() as server,
        Client(server.base_url) as client,
        client.stream_text_completion("hello") as stream,
    ):
        with pytest.raises(TypeError, match=r"limin\.CompletionStream cannot be pickled"):
            duplicate(stream)
        completion = await stream.until_done()
    gc.collect()
    assert pickle.loads(pickle.dumps(completion)) == copy.copy(completion) == completion  # noqa: S301
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("with_own_client", [True, False])
async def test_https_to_a_port_of_http(*, with_own_client: bool) -> None:
    """A server that speaks plain HTTP where its URL says https is recognized."""

    async def refuse(stream: anyio.abc.SocketStream) -> None:
        await stream.receive()
        await stream.send(http(b"", "400 Bad Request"))

    async with serve_streams(refuse) as port, httpx.AsyncClient() as mine:
        url, http_client = f"https://127.0.0.1:{port}/v1", None if with_own_client else mine
        async with Client(url, max_retries=0, http_client=http_client) as client:
            with pytest.raises(limin.ConnectError) as caught:
                await client.generate_text_completion("hello")
    assert str(caught.value).endswith(", where the server speaks http, not https")


async def test_error_before_a_request_says_no_place() -> None:
    """A refusal of limin's own concerns no server."""
    async with Client(URL) as client:
        with pytest.raises(limin.ConversationError) as caught:
            await client.generate_text_completion("\ud800")
    assert caught.value.asked is None
