"""vcrpy: it records what a real server answers, and replays it without a server.

The variant is its record mode: `once` to record, `none` to replay.
"""

# Tools are imported at the moment that the case is about.
# ruff: noqa: PLC0415

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecosystem.answers import FROM_SERVER, text_of_body
from ecosystem.subject import Case, Report, main, open_client_with

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def cassette(case: Case) -> Generator[Any]:
    """Switch vcrpy on, with a cassette in the folder of *case*."""
    import vcr

    path = Path(case.folder) / "cassette.yaml"
    with vcr.use_cassette(path, record_mode=case.variant) as tape:
        yield tape


async def program(case: Case) -> Report:
    """Ask, and see what is on the tape."""
    async with open_client_with(case, cassette(case)) as (client, tape):
        text = await client.ask()
        requests = [(request.method, request.uri) for request in tape.requests]
        bodies = [response["body"]["string"] for response in tape.responses]
        played = tape.play_count
    replays = 1 if case.variant == "none" else 0
    seen = (
        requests == [("POST", case.url)]
        and [text_of_body(case.mode, body) for body in bodies] == [FROM_SERVER]
        and played == replays
    )
    return Report(seen, f"{requests}, {bodies}, played {played}", text)


if __name__ == "__main__":
    main(program)
