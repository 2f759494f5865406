"""Real llama.cpp servers under a batch: one is killed, stopped, or started anew.

`nox -s replicas` runs them; they take minutes.
"""

from __future__ import annotations

import math
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import attrs

import limin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replicas.conftest import ReplicaProcess

STAGES = ("before", "during", "after")
N_PARALLEL, N_ANSWERS = 12, 30


@attrs.define
class Run:
    """A batch over replicas, in stages of so many answers each.

    Attributes:
        urls: The replicas; the first one gets into trouble.
        answers: The answers, by the index of their prompts.
        began: When each stage began, in Unix seconds.
        n_prompts: Prompts that were taken.
    """

    urls: list[str]
    answers: dict[int, limin.TextCompletion] = attrs.field(factory=dict)
    began: list[float] = attrs.field(factory=lambda: [0.0])
    n_prompts: int = 0
    is_over: bool = False
    _due: float = N_ANSWERS
    _event_over: float = math.inf
    _is_back: anyio.Event = attrs.field(factory=anyio.Event)

    def prompts(self) -> Iterator[str]:
        """Yield prompts, each another one, as long as the run goes on."""
        while not self.is_over:
            self.n_prompts += 1
            yield prompt(self.n_prompts - 1)

    async def go(self, *events: Callable[[], None]) -> None:
        """Answer prompts; between two stages the next of the *events* happens."""
        left = [*events]
        async with (
            limin.Client(self.urls) as client,
            anyio.create_task_group() as tasks,
            client.iter_text_completions(
                self.prompts(), N_PARALLEL, max_tokens=2, temperature=0
            ) as results,
        ):
            async for index, result in results:
                assert isinstance(result, limin.TextCompletion), result
                assert index not in self.answers
                self.answers[index] = result
                is_first = result.endpoint == self.urls[0]
                if is_first and result.timing.attempts[-1].start_time > self._event_over:
                    self._is_back.set()
                if len(self.answers) < self._due:
                    continue
                self._due = math.inf
                if left:
                    tasks.start_soon(self._happen, left.pop(0), not left)
                else:
                    self.is_over = True

    async def _happen(self, event: Callable[[], None], is_last: bool) -> None:  # noqa: FBT001 (passed on)
        """Begin the next stage; the last one when the first replica is back."""
        await anyio.to_thread.run_sync(event)
        if is_last:
            self._event_over = time.time()
            await self._is_back.wait()
        self.began.append(time.time())
        self._due = len(self.answers) + N_ANSWERS

    def check(self) -> None:
        """Check that every prompt was answered, and none twice."""
        assert sorted(self.answers) == list(range(self.n_prompts))
        for index, answer in self.answers.items():
            assert answer.conversation.messages[0].text == prompt(index)
        assert len({answer.id for answer in self.answers.values()}) == self.n_prompts

    def table(self) -> dict[str, Counter[str]]:
        """Return how many requests each replica got in each stage, and how many failed."""
        rows: dict[str, Counter[str]] = {url: Counter() for url in self.urls}
        for answer in self.answers.values():
            for attempt in answer.timing.attempts:
                stage = sum(attempt.start_time >= began for began in self.began) - 1
                row = rows[str(attempt.endpoint)]
                row[STAGES[stage]] += 1
                if attempt.error is not None:
                    row[type(attempt.error).__name__] += 1
        return rows

    def describe(self, title: str, tables: list[str]) -> dict[str, Counter[str]]:
        """Return the table, and add it as text to *tables*."""
        rows = self.table()
        names = sorted({name for row in rows.values() for name in row} - {*STAGES})
        columns = [*STAGES[: len(self.began)], *names]
        lines = [title, f"{'replica':<12}" + "".join(f"{name:>15}" for name in columns)]
        for number, row in enumerate(rows.values()):
            cells = "".join(f"{row[name]:>15}" for name in columns)
            lines.append(f"{number:<12}{cells}")
        attempts = Counter(len(a.timing.attempts) for a in self.answers.values())
        counts = ", ".join(f"{n} after {number}" for number, n in sorted(attempts.items()))
        lines.append(f"{self.n_prompts} prompts: {counts} attempts")
        tables.append("\n".join(lines))
        return rows


def prompt(index: int) -> str:
    """Return the prompt with this index."""
    return f"What is {index} and one?"


def are_even(counts: list[int]) -> bool:
    """Return whether each has at least half of its fair share, and some at all."""
    return min(counts) > 0 and min(counts) >= sum(counts) / len(counts) / 2


async def test_killed(
    processes: list[ReplicaProcess],
    anyio_backend: str,
    tables: list[str],
) -> None:
    """The others take over, and get its share evenly; it is started anew, and back."""
    first, *_ = processes
    run = Run([each.base_url for each in processes])
    await run.go(first.end, first.start)
    run.check()
    title = f"one of three killed, then started anew ({anyio_backend})"
    rows = run.describe(title, tables)
    dead, *others = rows.values()
    assert are_even([row["before"] for row in rows.values()])
    assert are_even([row["during"] for row in others])
    assert are_even([row["after"] for row in rows.values()])
    assert dead["before"] > 0


async def test_stopped(
    processes: list[ReplicaProcess],
    anyio_backend: str,
    tables: list[str],
) -> None:
    """What it has waits for it, and all else goes to the others until it goes on."""
    first, second, _ = processes
    run = Run([first.base_url, second.base_url])
    await run.go(
        lambda: first.send_signal(signal.SIGSTOP), lambda: first.send_signal(signal.SIGCONT)
    )
    run.check()
    title = f"one of two stopped, then continued ({anyio_backend})"
    rows = run.describe(title, tables)
    stopped, other = rows.values()
    assert are_even([row["before"] for row in rows.values()])
    assert stopped["during"] <= N_PARALLEL < other["during"]
    assert are_even([row["after"] for row in rows.values()])
