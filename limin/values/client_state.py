"""What a client is doing at a moment."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class ClientState:
    """What a client is doing at the moment at which it was asked.

    Attributes:
        in_flight: Requests that were sent and are not answered to their end.
        idle: Connections that are open and not in use; None if they are not limin's own,
            because of a proxy or `http_client`.
        queued: Calls that wait for their turn under `requests_per_minute` and
            `tokens_per_minute`.
        seconds_of_rest: Seconds for which the server still wants a pause of all requests,
            or every replica does; 0 if it wants none.
        replicas_resting: How many replicas get no request because they failed; 0 if the
            client has one endpoint.
        requests_per_minute: The pace that the user has set, for each replica; None for no
            limit.
        tokens_per_minute: The same in tokens.
        is_closed: Whether the client was closed.
    """

    in_flight: int
    idle: int | None
    queued: int
    seconds_of_rest: float
    replicas_resting: int
    requests_per_minute: float | None
    tokens_per_minute: float | None
    is_closed: bool
