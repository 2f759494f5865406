"""Real Ray: every row once, whatever dies; throughput beside others; memory."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from on_ray.conftest import KEY
from on_ray.llama_servers import Balancer, LlamaServer
from on_ray.watched import Watched

from limin import generate_text_completions, read_checkpoint
from limin.ray import TextCompletions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from on_ray.conftest import FakeServer

    StartServer = Callable[[float], AbstractContextManager[FakeServer]]
    Report = Callable[[str, str], None]

ray = pytest.importorskip("ray")


def rows(n: int, n_blocks: int) -> Any:
    """Return a data set of *n* rows in *n_blocks* blocks."""
    return ray.data.range(n, override_num_blocks=n_blocks)


def with_prompts(data: Any, make: Callable[[int], str]) -> Any:
    """Return *data* with a column of prompts, in its blocks."""

    def add(table: Any) -> Any:
        import pyarrow as pa  # noqa: PLC0415 (where Ray runs it)

        prompts = [make(row) for row in table.column("id").to_pylist()]
        return table.append_column("prompt", pa.array(prompts))

    return data.map_batches(add, batch_format="pyarrow").materialize()


def asked(data: Any, kind: type[TextCompletions], n_actors: int = 2, **options: Any) -> Any:
    """Return *data* with its answers, by actors that work on two blocks at once."""
    strategy = ray.data.ActorPoolStrategy(size=n_actors, max_concurrent_calls_per_actor=2)
    return data.map_batches(
        kind,
        fn_constructor_kwargs=options,
        batch_format="pyarrow",
        batch_size=options.pop("batch_size", None),
        compute=strategy,
        num_cpus=0.5,
    )


def lines_in(folder: Path) -> int:
    """Return how many answers the checkpoints in *folder* hold so far."""
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl"))


@pytest.fixture(scope="module")
def servers() -> Iterator[Balancer]:
    """Two real servers behind one address."""
    balancer = Balancer(LlamaServer(), LlamaServer())
    yield balancer
    balancer.close()
    for server in balancer.servers:
        server.kill()


def wait_until(is_so: Callable[[], bool], seconds: float = 240.0) -> None:
    """Wait until *is_so*."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def break_things(folder: Path, notes: Path, servers: Balancer, done: list[str]) -> None:
    """Kill an actor after 80 answers, and restart a server after 160."""
    wait_until(lambda: lines_in(folder) >= 80)
    victim = int(min(notes.glob("*.txt")).stem)
    with suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
        done.append("actor")
    wait_until(lambda: lines_in(folder) >= 160)
    servers.servers[0].kill()
    done.append("server")
    servers.servers[0] = LlamaServer()


def test_every_row_once(
    cluster: Path, servers: Balancer, tmp_path: Path, report: Report
) -> None:
    """Every row has an answer or an error, once, and answers are paid once."""
    folder, notes, done = tmp_path / "run", tmp_path / "notes", list[str]()
    folder.mkdir()
    notes.mkdir()

    def make(row: int) -> str:
        return "many words " * 200 if row % 100 == 7 else f"What is {row} + {row}?"

    data = with_prompts(rows(400, 20), make)
    breaker = threading.Thread(target=break_things, args=(folder, notes, servers, done))
    breaker.start()
    began = time.monotonic()
    out = asked(
        data,
        Watched,
        notes=str(notes),
        base_url=servers.base_url,
        checkpoint=str(folder),
        n_parallel=4,
        max_tokens=3,
        temperature=0.0,
        max_retries=8,
    ).take_all()
    seconds = time.monotonic() - began
    breaker.join()
    kinds = Counter(row["error_kind"] for row in out)
    assert sorted(row["id"] for row in out) == list(range(400))
    assert kinds == {None: 396, "ContextLengthError": 4}
    assert all((row["answer"] is None) == (row["error"] is not None) for row in out)
    assert done == ["actor", "server"]
    n_paid = lines_in(folder)
    assert len({c.conversation.messages[-1].text for c in read_checkpoint(folder)}) == 396
    n_actors = len(list(notes.glob("*.txt")))
    assert n_actors >= 3
    report(
        "400 rows, an actor killed, a server restarted", f"{kinds[None]} answers, 4 errors"
    )
    report("  answers that were paid for", f"{n_paid} for 396 rows, {n_actors} actors")
    report("  seconds", f"{seconds:.1f}")

    again = asked(
        data,
        Watched,
        notes=str(notes),
        base_url="http://127.0.0.1:9/v1",
        checkpoint=str(folder),
        max_tokens=3,
        temperature=0.0,
        max_retries=0,
    ).take_all()
    kinds = Counter(row["error_kind"] for row in again)
    assert kinds == {None: 396, "ConnectError": 4}
    report("  run again, without a server", "396 answers out of the checkpoints")
    _check_that_no_file_has_the_key(cluster, folder)


def _check_that_no_file_has_the_key(*folders: Path) -> None:
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                assert KEY.encode() not in path.read_bytes(), path


N_PARALLEL = 16
N_ROWS = N_PARALLEL * 150


def throughput(server: FakeServer, expected: int) -> float:
    """Return the requests per second, from the first that came to the last answer."""
    counts = server.counts()
    assert counts["requests"] == expected
    assert counts["most"] <= N_PARALLEL
    return float(expected / (counts["last"] - counts["first"]))


@pytest.mark.usefixtures("cluster")
async def test_throughput(fake_server: StartServer, report: Report) -> None:
    """Once Ray has started, it costs little; its own stage asks one by one."""
    with fake_server(0.05) as server:
        await generate_text_completions(
            (str(n) for n in range(N_ROWS)),
            N_PARALLEL,
            base_url=server.base_url,
            show_progress=False,
        )
        alone = throughput(server, N_ROWS)
        data = with_prompts(rows(N_ROWS, 10), str)
        out = asked(
            data, TextCompletions, 1, base_url=server.base_url, n_parallel=N_PARALLEL
        )
        assert out.materialize().count() == N_ROWS
        in_ray = throughput(server, N_ROWS)
        report("rows/s at 16 in parallel, 50 ms each: limin alone", f"{alone:.0f}")
        report("  limin in one actor of Ray", f"{in_ray:.0f}, {in_ray / alone:.2f} of it")
        own = _rate_of_rays_own_stage(server, 128)
    report("  Ray's HttpRequestProcessorConfig in one actor", f"{own:.0f}")
    assert in_ray >= 0.9 * alone


def _rate_of_rays_own_stage(server: FakeServer, n_rows: int) -> float:
    from ray.data.llm import (  # noqa: PLC0415 (loads much)
        HttpRequestProcessorConfig,
        build_processor,
    )

    def ask(row: dict[str, Any]) -> dict[str, Any]:
        messages = [{"role": "user", "content": str(row["id"])}]
        return {"payload": {"model": "m", "messages": messages}}

    config = HttpRequestProcessorConfig(
        url=f"{server.base_url}/chat/completions", concurrency=1, batch_size=64
    )
    processor = build_processor(config, preprocess=ask, postprocess=lambda row: row)
    assert processor(rows(n_rows, 2)).materialize().count() == n_rows
    return throughput(server, n_rows)


@pytest.mark.usefixtures("cluster")
def test_memory_of_an_actor(
    fake_server: StartServer, tmp_path: Path, report: Report
) -> None:
    """It does not grow with the rows that it has answered."""
    with fake_server(0.0) as server:
        data = with_prompts(rows(50_000, 100), str)
        out = asked(
            data,
            Watched,
            1,
            notes=str(tmp_path),
            base_url=server.base_url,
            n_parallel=N_PARALLEL,
        )
        assert (
            sum(batch.num_rows for batch in out.iter_batches(batch_format="pyarrow"))
            == 50_000
        )
        rate = throughput(server, 50_000)
    (notes,) = tmp_path.glob("*.txt")
    sizes = [int(line) / 1e6 for line in notes.read_text().split()]
    assert len(sizes) == 100
    early, late = max(sizes[:20]), max(sizes[80:])
    report(
        "50,000 rows in one actor: MB in the first and the last fifth",
        f"{early:.0f}, {late:.0f}",
    )
    report("  rows/s, answers without delay", f"{rate:.0f}")
    assert late < early * 1.1


@pytest.mark.usefixtures("cluster")
def test_two_replicas(fake_server: StartServer, report: Report) -> None:
    """Ten thousand rows are shared by two replicas, each row once."""
    with fake_server(0.01) as one, fake_server(0.01) as other:
        urls = [one.base_url, other.base_url]
        data = with_prompts(rows(10_000, 20), str)
        out = asked(data, TextCompletions, base_url=urls, n_parallel=N_PARALLEL)
        assert out.materialize().count() == 10_000
        shares = [server.counts()["requests"] for server in (one, other)]
    assert sum(shares) == 10_000
    assert min(shares) > 3000
    report("10,000 rows over two replicas", f"{shares[0]} and {shares[1]} requests")
