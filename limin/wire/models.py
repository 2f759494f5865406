"""A list of models, to their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.wire import error_response, untyped
from limin.wire.error_signs import is_error
from limin.wire.response import response_error

if TYPE_CHECKING:
    from collections.abc import Collection

    from limin.errors import ResponseError, StatusError
    from limin.wire.http import HttpResponse

# OpenAI and most others; Ollama's own API, which some gateways pass on.
_LISTS = ("data", "models")
_NAMES = ("id", "name", "model")


def read_models(
    response: HttpResponse, secrets: Collection[str], now: float
) -> list[str] | StatusError | ResponseError:
    """Return the names of the models in *response*, in its order, or the error that it is.

    The error is for the caller to raise: a traceback shows the local variables of this
    function, and so the secrets and the server's words.

    Args:
        response: The response, whole.
        secrets: Keys, which no error message may repeat.
        now: When the response came, in Unix seconds.
    """
    if not response.is_success:
        return error_response.status_error(response, secrets, now)
    try:
        value = untyped.parse(response.body)
    except ValueError:
        value = None
    fields = untyped.as_object(value) or {}
    lists = (untyped.as_list(each) for each in (value, *map(fields.get, _LISTS)))
    models = next((each for each in lists if each is not None), None)
    if not models and is_error(response.body):
        return error_response.status_error(response, secrets, now)
    if models is None:
        problem = "expected a list of models, found none"
        return response_error(problem, "$.data", secrets, response)
    return [name for name in map(_name_of, models) if name is not None]


def _name_of(model: object) -> str | None:
    if isinstance(model, str):
        return model
    fields = untyped.as_object(model) or {}
    names = (untyped.as_text(fields.get(name)) for name in _NAMES)
    return next((name for name in names if name), None)
