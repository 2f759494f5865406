"""respx: its mock answers, and counts the call.

The variant is the library that it patches: httpcore by default, or httpx.
"""

# Tools are imported at the moment that the case is about.
# ruff: noqa: PLC0415

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ecosystem.answers import FROM_MOCK, body, content_type
from ecosystem.subject import Case, Report, main, open_client_with

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def mock(case: Case) -> Generator[Any]:
    """Switch respx on, with one answer."""
    import respx

    with respx.mock(using=case.variant, assert_all_called=False) as router:
        router.post(case.url).respond(
            content=body(case.mode, FROM_MOCK), content_type=content_type(case.mode)
        )
        yield router


async def program(case: Case) -> Report:
    """Ask, and see who answered."""
    async with open_client_with(case, mock(case)) as (client, router):
        text = await client.ask()
        calls = [(call.request.method, str(call.request.url)) for call in router.calls]
    seen = calls == [("POST", case.url)] and text == FROM_MOCK
    return Report(seen, str(calls), text)


if __name__ == "__main__":
    main(program)
