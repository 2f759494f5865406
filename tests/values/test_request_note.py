from typing import Any

import pytest
from builders import body_of, read

from limin.errors import (
    AuthenticationError,
    BadRequestError,
    CheckpointError,
    ConnectError,
    LiminError,
    NotFoundError,
    NotSentError,
    ProtocolError,
    RequestTimeoutError,
    ResponseError,
    ServerError,
    StatusError,
    StreamError,
    TransportError,
)
from limin.values.endpoint import Endpoint
from limin.values.request_note import note_request
from limin.values.timing import Attempt

KEY = "sk-this-opens-nothing"
HTTP, HTTPS = "http://model.test/v1", "https://model.test/v1"


def asked(error: LiminError, base_url: str = HTTP, **arguments: Any) -> str | None:
    """The note in *error*, the only one of a request to *base_url*."""
    error.attempts = (Attempt(start_time=0.0, duration=1.0, error=error),)
    note_request(error, Endpoint.resolve(base_url, **arguments))
    return error.asked


@pytest.mark.parametrize(
    "error",
    [
        ConnectError("Connection refused"),
        ProtocolError("bang"),
        RequestTimeoutError("late", 1.0),
        StatusError(302, "moved"),
        BadRequestError(400, "no"),
        ServerError(500, "no"),
        ResponseError("no JSON"),
        StreamError("bang", read(body_of("4"))),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("base_url", [HTTP, HTTPS])
def test_request_is_noted(error: LiminError, base_url: str) -> None:
    """Method, host and path stand in the field, and at the end of the message."""
    text = f"POST {base_url}/chat/completions"
    assert asked(error, base_url, api_key=KEY) == text
    assert str(error).endswith(f"; asked: {text}")


@pytest.mark.parametrize("error", [NotSentError("no"), CheckpointError("no", "run.jsonl")])
def test_error_of_no_request(error: LiminError) -> None:
    """An error that concerns no request has no such note."""
    before = str(error)
    assert asked(error) is None
    assert str(error) == before


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError(401, "no"),
        StatusError(401, "no"),
        StatusError(200, "no", code="401"),
        StreamError("no", read(body_of("4")), AuthenticationError(401, "no")),
    ],
)
def test_every_401_names_the_key(error: LiminError) -> None:
    """Wherever the refusal stands, in a status, a body or a stream, the key is named."""
    text = asked(error, api_key=KEY)
    assert text == f"POST {HTTP}/chat/completions, with the key of api_key"


def test_secrets_are_not_in_the_url() -> None:
    """Neither the query nor a secret in the path is in a message."""
    error = ServerError(500, "no")
    url = f"http://model.test/{KEY}/v1?key={KEY}"
    assert (
        asked(error, url, api_key=KEY) == "POST http://model.test/***/v1/chat/completions"
    )


def test_header_too_short_to_be_a_secret() -> None:
    """A short value of a header does not cut the URL to pieces."""
    text = asked(ServerError(500, "no"), headers={"x-version": "v1"})
    assert text == f"POST {HTTP}/chat/completions"


PLAIN = ", where the server speaks http, not https"
TLS = ", where the server speaks https, not http"
PERHAPS = ", where the server perhaps speaks https, not http"

# URL, error, and the end of the note.
SCHEMES: list[tuple[str, LiminError, str]] = [
    (HTTPS, ConnectError("[SSL: WRONG_VERSION_NUMBER] wrong version number"), PLAIN),
    (HTTPS, ConnectError("[SSL: HTTP_REQUEST] http request (_ssl.c:1006)"), PLAIN),
    (HTTPS, ConnectError("[SSL: RECORD_LAYER_FAILURE] record layer failure"), PLAIN),
    (HTTPS, ConnectError("[SSL: PACKET_LENGTH_TOO_LONG] packet length too long"), PLAIN),
    (HTTPS, ConnectError("[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred"), ""),
    (HTTPS, ProtocolError("the server closed the connection without an answer"), ""),
    (HTTPS, BadRequestError(400, "WRONG_VERSION_NUMBER"), ""),
    (
        HTTP,
        BadRequestError(400, "The plain HTTP request was sent to HTTPS port"),
        TLS,
    ),
    (HTTP, BadRequestError(400, "Client sent an HTTP request to an HTTPS server."), TLS),
    (
        HTTP,
        BadRequestError(400, "You're speaking plain HTTP to an SSL-enabled server port."),
        TLS,
    ),
    (
        HTTP,
        BadRequestError(400, "This combination of host and port requires TLS."),
        TLS,
    ),
    (HTTP, ProtocolError(r"illegal status line: bytearray(b'\x15\x03\x03\x00')"), TLS),
    (HTTP, ProtocolError("the server closed the connection without an answer"), PERHAPS),
    (HTTP, ProtocolError("Server disconnected without sending a response."), PERHAPS),
    (HTTP, TransportError("the connection broke: Connection reset by peer"), PERHAPS),
    (HTTP, ProtocolError("the server closed the connection in the middle of its"), ""),
    (HTTP, StreamError("the connection broke", read(body_of("4"))), ""),
    (HTTP, NotFoundError(404, "no"), ""),
]


@pytest.mark.parametrize(("base_url", "error", "ending"), SCHEMES)
def test_scheme_of_the_server(base_url: str, error: LiminError, ending: str) -> None:
    """A server that speaks the other one of http and https is recognized."""
    text = asked(error, base_url, api_key=KEY)
    assert text == f"POST {base_url}/chat/completions{ending}"


def test_scheme_of_a_server_that_once_answered() -> None:
    """A server that gave another error before speaks the scheme of its URL."""
    error = ProtocolError("the server closed the connection without an answer")
    attempts = (ServerError(500, "no"), error)
    error.attempts = tuple(
        Attempt(start_time=0.0, duration=1.0, error=failure) for failure in attempts
    )
    note_request(error, Endpoint.resolve(HTTP))
    assert error.asked == f"POST {HTTP}/chat/completions"


def test_error_that_is_its_own_cause() -> None:
    """Causes that go round in a circle come to an end."""
    error, other = ConnectError("no connection"), OSError("broken")
    error.__cause__, other.__cause__ = other, error
    assert asked(error, HTTPS, api_key=KEY) == f"POST {HTTPS}/chat/completions"
