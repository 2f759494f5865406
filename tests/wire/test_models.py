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
    with pytest.raises(ResponseError) as caught:
        read_models(response(body), (), 0.0)
    assert str(caught.value).startswith("expected a list of models, found none at `$.data`")


def test_error_does_not_repeat_the_key() -> None:
    """A server that quotes the key does not bring it into a message."""
    body = {"error": {"message": "wrong key sk-secret-key"}}
    with pytest.raises(AuthenticationError) as caught:
        read_models(response(body, 401), ("sk-secret-key",), 0.0)
    assert "sk-secret" not in str(caught.value)
    with pytest.raises(ResponseError) as found:
        read_models(response(b"sk-secret-key"), ("sk-secret-key",), 0.0)
    assert "sk-secret" not in str(found.value)
