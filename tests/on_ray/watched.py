"""Completions for blocks whose processes can be found and measured; actors import it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from limin.ray import TextCompletions

PAGE = os.sysconf("SC_PAGE_SIZE")


class Watched(TextCompletions):
    """Notes the id of its process, and its memory after each block."""

    def __init__(self, *, notes: str, **options: Any) -> None:
        super().__init__(**options)
        self._notes = Path(notes) / f"{os.getpid()}.txt"
        self._notes.write_text("")

    async def __call__(self, block: object) -> Any:
        out = await super().__call__(block)
        self._note_memory()
        return out

    def _note_memory(self) -> None:
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
        with self._notes.open("a") as notes:
            notes.write(f"{resident}\n")
