"""The verb that lists the models of an endpoint."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from limin.client.connected import ConnectedClient
from limin.errors import LiminError, RequestTimeoutError
from limin.values.request_note import note_question_for_models
from limin.wire.models import read_models

if TYPE_CHECKING:
    from limin.calls.server import Server


class ModelVerbs(ConnectedClient):
    """A client that knows which models there are."""

    async def models(self) -> list[str]:
        """Return the names of the endpoint's models, in its order.

        The endpoint is asked once, by `GET` of `/models` behind its base URL, within the
        client's `timeout`. Of several replicas each is asked, the healthy ones first,
        until one answers; each has its share of the time.

        Raises:
            LiminError: If it does not tell; of several replicas, the last.
        """
        *others, last = self._servers.healthy_first()
        for server in others:
            with suppress(LiminError):
                return await self._list_models(server)
        return await self._list_models(last)

    async def _list_models(self, server: Server) -> list[str]:
        """Return the names of the models at *server*.

        Raises:
            LiminError: If it does not tell.
        """
        n_servers = len(self._servers.all)
        seconds = None if self._timeout is None else self._timeout / n_servers
        try:
            with anyio.fail_after(seconds):
                response = await (await server.transport.open(None)).read()
            models = read_models(response, server.endpoint.secrets(), time.time())
            if isinstance(models, LiminError):
                raise models
        except TimeoutError:
            reason = f"no list of models within {seconds:g} seconds"
            error = RequestTimeoutError(reason, seconds)
            note_question_for_models(error, server.endpoint)
            raise error from None
        except LiminError as error:
            note_question_for_models(error, server.endpoint)
            raise
        return models
