"""The verb that lists the models of an endpoint."""

from __future__ import annotations

import time

import anyio

from limin.client.connected import ConnectedClient
from limin.errors import LiminError, RequestTimeoutError
from limin.values.request_note import note_question_for_models
from limin.wire.models import read_models


class ModelVerbs(ConnectedClient):
    """A client that knows which models there are."""

    async def models(self) -> list[str]:
        """Return the names of the endpoint's models, in its order.

        The endpoint is asked once, by `GET` of `/models` behind its base URL, within the
        client's `timeout`.

        Raises:
            LiminError: If it does not tell.
        """
        try:
            with anyio.fail_after(self._timeout):
                response = await (await self._transport.open(None)).read()
            return read_models(response, self._endpoint.secrets(), time.time())
        except TimeoutError:
            reason = f"no list of models within {self._timeout:g} seconds"
            error = RequestTimeoutError(reason, self._timeout)
            note_question_for_models(error, self._endpoint)
            raise error from None
        except LiminError as error:
            note_question_for_models(error, self._endpoint)
            raise
