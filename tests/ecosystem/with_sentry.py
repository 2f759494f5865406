"""Sentry: a span and a breadcrumb for the request, and a transport that keeps them."""

# Tools are imported at the moment that the case is about.
# ruff: noqa: PLC0415

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ecosystem.subject import Case, Report, main, open_client_with

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def sentry() -> Generator[list[dict[str, Any]]]:
    """Switch Sentry on; the events are kept in the list."""
    import sentry_sdk
    from sentry_sdk.transport import Transport

    events: list[dict[str, Any]] = []

    class Kept(Transport):
        """Keeps each event."""

        def capture_envelope(self, envelope: Any) -> None:
            """Keep what is in *envelope*."""
            events.extend(item.payload.json for item in envelope.items)

    sentry_sdk.init("http://key@127.0.0.1:9/1", transport=Kept(), traces_sample_rate=1.0)
    yield events
    sentry_sdk.get_client().close()


async def program(case: Case) -> Report:
    """Ask, and see what the events hold."""
    async with open_client_with(case, sentry()) as (client, events):
        import sentry_sdk

        with sentry_sdk.start_transaction(name="a test"):
            text = await client.ask()
        sentry_sdk.capture_message("a message, which carries the breadcrumbs")
    spans = [
        (span["op"], span["description"], span["data"].get("http.response.status_code"))
        for event in events
        for span in event.get("spans", ())
    ]
    crumbs = [
        (crumb["type"], crumb["data"].get("url"))
        for event in events
        if "message" in event
        for crumb in event["breadcrumbs"]["values"]
    ]
    seen = spans == [("http.client", f"POST {case.url}", 200)]
    return Report(
        seen and crumbs == [("http", case.url)], f"spans {spans}, crumbs {crumbs}", text
    )


if __name__ == "__main__":
    main(program)
