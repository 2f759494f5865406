import pytest
from builders import response

from limin.wire.http import HttpResponse


@pytest.mark.parametrize("name", ["x-request-id", "apim-request-id", "request-id"])
def test_request_id(name: str) -> None:
    """The request id is found under each vendor's header."""
    assert response("", headers={name: "req-1"}).request_id == "req-1"


def test_first_request_id_wins() -> None:
    """Of several names the most usual one counts, unless it is empty."""
    headers = {"request-id": "c", "apim-request-id": "b", "x-request-id": "a"}
    assert response("", headers=headers).request_id == "a"
    assert response("", headers=headers | {"x-request-id": ""}).request_id == "b"


@pytest.mark.parametrize("headers", [{}, {"x-request-id": ""}, {"content-type": "a/b"}])
def test_no_request_id(headers: dict[str, str]) -> None:
    """A request without an id has None."""
    assert response("", headers=headers).request_id is None


def test_request_id_is_shown_not_obeyed() -> None:
    """A request id ends up in messages, so it is short and cannot act there."""
    request_id = response("", headers={"x-request-id": "\x1b[2J" + "x" * 300}).request_id
    assert request_id is not None
    assert request_id.startswith("␛[2Jxxx")
    assert len(request_id) == 200


def test_repr_shows_the_status_alone() -> None:
    """Headers and body, which may hold keys and prompts, stay out of the repr."""
    assert (
        repr(HttpResponse(200, {"set-cookie": "a"}, b"secret"))
        == "HttpResponse(status=200)"
    )
