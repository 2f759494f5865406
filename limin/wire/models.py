"""A list of models, to their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limin.errors import ResponseError
from limin.values.safe_text import excerpt
from limin.wire import error_response, untyped

if TYPE_CHECKING:
    from collections.abc import Collection

    from limin.wire.http import HttpResponse

# OpenAI and most others; Ollama's own API, which some gateways pass on.
_LISTS = ("data", "models")
_NAMES = ("id", "name", "model")


def read_models(response: HttpResponse, secrets: Collection[str], now: float) -> list[str]:
    """Return the names of the models in *response*, in its order.

    Args:
        response: The response, whole.
        secrets: Keys, which no error message may repeat.
        now: When the response came, in Unix seconds.

    Raises:
        StatusError: If the response is an error.
        ResponseError: If it is no list of models.
    """
    if not response.is_success:
        raise error_response.status_error(response, secrets, now)
    try:
        value = untyped.parse(response.body)
    except ValueError:
        value = None
    fields = untyped.as_object(value) or {}
    lists = (untyped.as_list(each) for each in (value, *map(fields.get, _LISTS)))
    models = next((each for each in lists if each is not None), None)
    if models is None:
        problem = "expected a list of models, found none"
        start = excerpt(response.body.decode(errors="replace"), secrets)
        raise ResponseError(
            problem, "$.data", start, response.status, response.request_id, response.body
        )
    return [name for name in map(_name_of, models) if name is not None]


def _name_of(model: object) -> str | None:
    if isinstance(model, str):
        return model
    fields = untyped.as_object(model) or {}
    names = (untyped.as_text(fields.get(name)) for name in _NAMES)
    return next((name for name in names if name), None)
