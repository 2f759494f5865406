"""Lists of models, in the shapes of several servers."""

from __future__ import annotations

import pytest
from builders import response

from limin.errors import AuthenticationError, ResponseError
from limin.wire.models import read_models


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"object": "list", "data": [{"id": "a"}, {"id": "b"}]}, ["a", "b"]),
        ([{"id": "a"}], ["a"]),
        ({"models": [{"name": "a:latest", "model": "b"}]}, ["a:latest"]),
        ({"data": ["a", {"id": None, "name": "b"}, {"id": ""}, 3, None, {}]}, ["a", "b"]),
        ({"data": None, "models": [{"model": "b"}]}, ["b"]),
        ({"data": []}, []),
    ],
)
def test_names_are_read(body: object, names: list[str]) -> None:
    """Whatever the shape, the names come in the server's order."""
    assert read_models(response(body), (), 0.0) == names


@pytest.mark.parametrize(
    "body", [b"<html>", {}, {"data": {}}, "null", b"\xff", b"[" * 9_999]
)
def test_body_without_a_list(body: object) -> None:
    """What is no list of models is told, with its start."""
    error = read_models(response(body), (), 0.0)
    assert isinstance(error, ResponseError)
    assert str(error).startswith("expected a list of models, found none at `$.data`")


@pytest.mark.parametrize("more", [{}, {"data": []}, {"models": None}])
def test_error_in_a_success(more: dict[str, object]) -> None:
    """An error that comes with status 200 is the error that it means."""
    body = {"error": {"message": "Invalid API key", "code": 401}} | more
    assert isinstance(read_models(response(body), (), 0.0), AuthenticationError)


def test_list_beside_words() -> None:
    """A message beside models is no error."""
    body = {"data": [{"id": "a"}], "message": "one model", "error": None}
    assert read_models(response(body), (), 0.0) == ["a"]


def test_error_does_not_repeat_the_key() -> None:
    """A server that quotes the key does not bring it into a message."""
    key = "sk-secret-key"
    body = {"error": {"message": f"wrong key {key}"}}
    refused = read_models(response(body, 401), (key,), 0.0)
    assert isinstance(refused, AuthenticationError)
    headers = {"x-request-id": key}
    odd = read_models(response(key.encode(), headers=headers), (key,), 0.0)
    assert isinstance(odd, ResponseError)
    assert "sk-secret" not in f"{refused} {odd}"
    assert odd.request_id == "***"
