"""The figures as Markdown."""

from __future__ import annotations

import datetime as dt
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from clients import CASES, SECONDS_MEASURED
from first_token import RAW
from observing import N_PARALLEL, PLAIN
from parallelism import PROMPTS, SLOTS
from program import LINES
from runs import FIRST_TOKENS, MODULES, PARALLEL
from streams import LOG_PROBS, MEMORY, ONE_BY_ONE, STREAMS, TEXT
from targets import cpu_ratio, reading_ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runs import Figures, Load, Loads, Parsings, Reading, Readings
    from targets import Target

# What a client was measured under: a number in parallel, or a kind of stream.
_Case = TypeVar("_Case")

_PACKAGES = (
    "limin",
    "anyio",
    "trio",
    "httptools",
    "msgspec",
    "aiohttp",
    "httpx",
    "httpcore",
    "openai",
    "httpx2",
    "pydantic",
)

_HEADER = """\
<!-- Written by `python tests/benchmarks`; not by hand. -->

# Benchmarks

`python tests/benchmarks`, which `nox -s bench` runs, wrote this page on {date}.

- Machine: {processor}, {cores} cores, {system}
- Python {python}
- {packages}

Ratios matter; the figures themselves change with the machine and its other load.
"""

_REQUESTS = """\
## Requests

Clients ask one server over the loopback. It runs in another process and answers every
request with the same short chat completion. Each client under each load runs in a process
of its own, on asyncio unless the row says otherwise. A warm-up opens the connections;
then as many requests as fit into {seconds} s are counted, but at least one for each
connection. Figures are the best of {rounds} interleaved rounds.

- **limin** is `limin.generate_text_completions`, which returns all completions; the
  others keep the texts.
- **limin, three replicas** is the same with a list of three endpoints, which are one
  server under three headers: what choosing among them costs, and their three pools.
- **limin's transport, by hand** is a loop over an `httpx.AsyncClient` with
  `limin.AsyncHTTPTransport`; **aiohttp, by hand** is one over `aiohttp.ClientSession`.
- **httpx** is `httpx.AsyncClient` with its defaults: 100 connections, and 5 s at most to
  wait for one.
- **openai** is `AsyncOpenAI` with its defaults, all requests over one client.

"CPU" is microseconds of the client's CPU for each request, "first" the same during the
warm-up, which opens the connections. "Ratio" is the CPU relative to limin's at the same
number in parallel, "growth" relative to the same client's at 16. A client failed if any
request raised an exception.
"""

_IMPORTS = """\
## Import

Milliseconds in a fresh interpreter, the best of several; all modules were compiled
before, as an installer does it.
"""

_PARSING_TIME = """\
## Parsing: time

Milliseconds from the bytes of an answer to an object; the best of several, garbage
collection on. The answers have OpenAI's shape, random tokens, and log probabilities at
each position, with so many alternatives.

- **limin** is `limin.wire.response.read_completion`, which leaves the log probabilities
  as bytes. The next two columns are the additional cost of reading them for the first
  time.
- **openai** is `OpenAI._process_response`, by which its client parses a response: it
  calls `json.loads` and `openai._models.construct_type`.
"""

_PARSING_MEMORY = """\
## Parsing: memory

Kilobytes that the result keeps alive, by `tracemalloc`. limin's results hold the body.
The second and third column are a completion together with its list of log probabilities,
once that was read.
"""

_TYPED = """\
## Typed answers

Milliseconds from the bytes of a JSON answer, of about so many positions, to an instance;
the best of several, garbage collection on. The answer is a list of cities with three
scalars each, one of which is a Literal.

- **limin** parses the answer without `response_type`, **with `value`** as it does with it.
  The next two columns are the additional cost of reading `fields` for the first time,
  which decodes the log probabilities, and then the distribution of each Literal.
- **openai** parses as its `create` does, **with a model** as its `parse` does with a model
  of pydantic.
"""

_STREAMS = f"""\
## Streams

One streamed answer, read to its end. The chunks are those of a recorded stream of vLLM
0.32.0, `tests/data/vllm-0.32.0-stream.json`, each with words of its own: one with the role,
one for each token, one with the finish reason, one with the usage; then `[DONE]`. The
server, in another process, sends each event as a chunk of HTTP's.

- **{TEXT}** and **{LOG_PROBS}** are {STREAMS[TEXT].chunks} chunks, as many at once as the
  socket takes, so they show what the reading costs. With log probabilities, each token
  has {STREAMS[LOG_PROBS].alternatives} alternatives.
- **{ONE_BY_ONE}** is {STREAMS[ONE_BY_ONE].chunks} chunks, each in a packet of its own, at
  least 1 ms apart, as a model sends them. So the client wakes up for each, which costs
  more than the reading, and the server sets the rate.

Each client runs in a process of its own. Figures are the best of several readings in
several interleaved rounds.

- **limin** is `Client.stream_text_completion`: each delta, and then `completion`. Log
  probabilities stay bytes until they are read, which the next row does.
- **aiohttp, by hand** and **httpx, by hand** are loops over the lines of the body with
  `json.loads`.
- **openai** is `AsyncOpenAI.chat.completions.create` with `stream=True`: each chunk.
- **from memory** is the same body in pieces of 64 kB that are there already: by
  `Client.stream_text_completion` over a transport of httpx that returns them; by
  `bytes.split` and `json.loads`; and by the decoder of openai's client, with a
  `ChatCompletionChunk` for each event.

"CPU" is microseconds of the client's CPU for each chunk; MB are of the body. "Ratio" is
the CPU relative to limin's on the same stream, from memory if the row is.
"""

_FIRST_TOKENS = f"""\
## Streams: the first token

Microseconds from the call to the first text, over a connection that is open. The server,
in another process, sends its first token at once, in a packet of its own. Figures are
medians of {FIRST_TOKENS} requests, the best of several interleaved rounds.

- **a socket, by hand** sends limin's bytes on asyncio, and searches the response for the
  key of the text; the last column is the difference to it.
- **limin** is the time around the whole call; its own `time_to_first_token` counts from
  the moment when the request leaves.
"""

_OBSERVING = f"""\
## Observers

Microseconds of CPU for each request, {N_PARALLEL} in parallel, as above; figures are
the best of several interleaved rounds. "Longer" is the difference to a client without.
"""

_LONG_RUN = """\
## A long run: memory

Peak megabytes of the process after that many prompts of one generator, taken from
`limin.iter_text_completions` as they finish, 64 in parallel.
"""

_FILE_RUN = """\
The same of the program: `limin run` over a file of so many prompts, with `-n 64`.
"""

_PROGRAM = f"""\
## The program

`limin run` answers {LINES} JSON lines by the server above, and the other commands read its
output; their own output is thrown away. Each is a process, its start included. "CPU" is
microseconds of its CPU for each line, "peak" its peak memory in megabytes.
"""

_PARALLELISM = f"""\
## Parallelism

Seconds that {PROMPTS} prompts of a real model take on llama.cpp's server, which works on
{SLOTS} at once on this machine and queues the rest; and the mean number of requests in
flight during the last quarter of the run.
"""

_BESIDE = """\
## Beside another commit

The same loads and streams by {name}, in the same rounds. "Ratio" is limin's CPU
relative to that.
"""

_TARGETS = """\
## Targets

A ratio at or below its limit is met.
"""


def page(figures: Figures, targets: Sequence[Target]) -> str:
    """Return the whole page."""
    rounds = _rounds(figures.loads)
    sections = [
        _header(),
        _TARGETS,
        _target_table(targets),
        _REQUESTS.format(seconds=SECONDS_MEASURED, rounds=rounds),
        _load_table(figures.loads),
        _IMPORTS,
        _import_table(figures.imports),
        _PARSING_TIME,
        _time_table(figures.parsings),
        _PARSING_MEMORY,
        _memory_table(figures.parsings),
        _TYPED,
        _typed_table(figures.typed),
        _STREAMS,
        _stream_table(figures.readings),
        _FIRST_TOKENS,
        _first_token_table(figures.first_tokens),
        _OBSERVING,
        _observing_table(figures.observing),
        _LONG_RUN,
        _long_run_table(figures.memory),
        _FILE_RUN,
        _long_run_table(figures.file_memory),
        _PROGRAM,
        _program_table(figures.program),
        _PARALLELISM,
        _parallelism_table(figures.parallelism),
    ]
    if figures.beside is not None:
        sections += [_BESIDE.format(name=figures.beside), _beside_table(figures)]
    return "\n".join(sections)


def _header() -> str:
    today = dt.datetime.now(tz=dt.UTC).date()
    return _HEADER.format(
        date=today.isoformat(),
        processor=_processor(),
        cores=os.cpu_count(),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        packages=", ".join(f"{package} {version(package)}" for package in _PACKAGES),
    )


def _processor() -> str:
    """Return the processor's name, which Linux has in a file, others in `platform`."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


def _rounds(loads: Loads) -> str:
    """Return the number of rounds, and the smaller number of the slowest clients."""
    rounds = sorted({load.rounds for load in loads.values()}, reverse=True)
    most, *fewer = map(str, rounds)
    return f"{most} ({' or '.join(fewer)} of the slowest)" if fewer else most


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """Return a table; its first *words* columns are words, the others numbers."""
    rules = ["---"] * words + ["---:"] * (len(head) - words)
    lines = [head, rules, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _target_table(targets: Sequence[Target]) -> str:
    rows = [
        (target.promise, target.verdict, _ratio(target.ratio), f"{target.limit:.2f}")
        for target in targets
    ]
    return _table(("promise", "verdict", "ratio", "limit"), rows, words=2)


def _load_table(loads: Loads) -> str:
    head = "client", "in parallel", "CPU (µs)", "first (µs)", "requests/s"
    cases = [(name, n_parallel) for n_parallel in PARALLEL for name in CASES]
    rows = [_load_row(loads, *case) for case in cases]
    return _table((*head, "ratio", "growth"), rows)


def _load_row(loads: Loads, name: str, n_parallel: int) -> tuple[str, ...]:
    load = loads.get((name, n_parallel))
    if load is None:
        return name, str(n_parallel), "failed", "", "", "", ""
    case = name, n_parallel
    return (
        name,
        str(n_parallel),
        f"{load.cpu_us:.0f}",
        f"{load.first_cpu_us:.0f}",
        f"{load.per_second:.0f}",
        _ratio(cpu_ratio(loads, case, ("limin", n_parallel))),
        _ratio(cpu_ratio(loads, case, (name, 16))),
    )


def _import_table(imports: dict[str, float]) -> str:
    rows = [
        (f"`import {name}`", f"{imports[name] * 1e3:.0f}", f"{ratio:.2f}")
        for name in MODULES
        for ratio in [imports[name] / imports["httpx"]]
    ]
    return _table(("module", "ms", "relative to httpx"), rows)


def _time_table(parsings: Parsings) -> str:
    shape_head = "positions", "alternatives", "body (kB)"
    head = (
        "limin",
        "+ `token_log_probs`",
        "+ `full_token_log_probs`",
        "`json.loads`",
        "openai",
    )
    rows = []
    for shape, parsing in parsings.items():
        seconds = parsing["seconds"]
        names = "limin", "limin_tokens", "limin_all_tokens", "json", "openai"
        rows.append(
            (
                *map(str, shape),
                f"{parsing['body'] / 1e3:.0f}",
                *(f"{seconds[name] * 1e3:.3f}" for name in names),
                _ratio(seconds["json"] / seconds["limin"]),
                _ratio(seconds["openai"] / seconds["limin"]),
                _ratio(seconds["openai"] / (seconds["limin"] + seconds["limin_tokens"])),
            )
        )
    ratios = "json / limin", "openai / limin", "openai / (limin + `token_log_probs`)"
    return _table((*shape_head, *head, *ratios), rows, words=0)


def _memory_table(parsings: Parsings) -> str:
    shape_head = "positions", "alternatives"
    both = "with `token_log_probs`", "with `full_token_log_probs`"
    head = "limin", *both, "`json.loads`", "openai"
    rows = []
    for shape, parsing in parsings.items():
        kept = parsing["kept"]
        names = "limin", "limin_tokens", "limin_all_tokens", "json", "openai"
        rows.append(
            (
                *map(str, shape),
                *(f"{kept[name] / 1e3:.0f}" for name in names),
                _ratio(kept["limin"] / kept["openai"]),
                _ratio(kept["limin_tokens"] / kept["openai"]),
            )
        )
    ratios = "limin / openai", "with `token_log_probs` / openai"
    return _table((*shape_head, *head, *ratios), rows, words=0)


def _typed_table(typed: Parsings) -> str:
    columns = {
        "limin": "limin",
        "with `value`": "limin_value",
        "+ `fields`": "limin_fields",
        "+ distributions": "limin_distributions",
        "openai": "openai",
        "with a model": "openai_value",
    }
    rows = []
    for (positions, alternatives), parsing in typed.items():
        seconds = parsing["seconds"]
        rows.append(
            (
                str(positions),
                str(alternatives),
                f"{parsing['body'] / 1e3:.0f}",
                *(f"{seconds[name] * 1e3:.3f}" for name in columns.values()),
                _ratio(seconds["openai_value"] / seconds["limin_value"]),
                _ratio(
                    seconds["openai_value"]
                    / (seconds["limin_value"] + seconds["limin_fields"])
                ),
            )
        )
    shape_head = "positions", "alternatives", "body (kB)"
    ratios = "openai / limin, with values", "openai / (limin + `fields`)"
    return _table((*shape_head, *columns, *ratios), rows, words=0)


def _stream_table(readings: Readings) -> str:
    head = "client", "stream", "body (MB)", "CPU (µs)", "chunks/s", "MB/s", "ratio"
    rows = [
        _stream_row(readings, name, kind)
        for kind, stream in STREAMS.items()
        for name in stream.clients
    ]
    return _table(head, rows, words=2)


def _stream_row(readings: Readings, name: str, kind: str) -> tuple[str, ...]:
    reading = readings.get((name, kind))
    if reading is None:
        return name, kind, "failed", "", "", "", ""
    limin = f"limin{MEMORY}" if name.endswith(MEMORY) else "limin"
    return (
        name,
        kind,
        f"{reading.bytes / 1e6:.1f}",
        f"{reading.cpu_us:.2f}",
        f"{reading.per_second:.0f}",
        f"{reading.megabytes_per_second:.1f}",
        _ratio(reading_ratio(readings, kind, name, limin)),
    )


def _first_token_table(first_tokens: dict[str, float]) -> str:
    raw = first_tokens.get(RAW, float("nan"))
    rows = [
        (name, f"{seconds * 1e6:.0f}", f"{(seconds - raw) * 1e6:.0f}")
        for name, seconds in first_tokens.items()
    ]
    return _table(("client", "µs", "longer (µs)"), rows)


def _observing_table(observing: dict[str, float]) -> str:
    plain = observing.get(PLAIN, float("nan"))
    rows = [
        (name, f"{cpu_us:.0f}", f"{cpu_us - plain:.0f}")
        for name, cpu_us in observing.items()
    ]
    return _table(("observed by", "CPU (µs)", "longer (µs)"), rows)


def _long_run_table(memory: dict[str, int]) -> str:
    rows = [(number, f"{peak / 1e3:.2f}") for number, peak in memory.items()]
    return _table(("prompts", "peak (MB)"), rows, words=0)


def _program_table(program: dict[str, dict[str, float]]) -> str:
    rows = [
        (
            step,
            f"{figures['seconds']:.1f}",
            f"{figures['cpu'] / LINES * 1e6:.0f}",
            f"{figures['peak_kb'] / 1e3:.0f}",
        )
        for step, figures in program.items()
    ]
    return _table(("command", "seconds", "CPU (µs)", "peak (MB)"), rows)


def _parallelism_table(parallelism: dict[str, dict[str, float]]) -> str:
    rows = [
        (f"`{name}`", f"{figures['seconds']:.2f}", f"{figures['in_flight']:.1f}")
        for name, figures in parallelism.items()
    ]
    return _table(("n_parallel", "seconds", "in flight at the end"), rows)


def _beside_table(figures: Figures) -> str:
    name = str(figures.beside)
    rows = [
        (f"{n_parallel} in parallel", *_pair(figures.loads, n_parallel, name))
        for n_parallel in PARALLEL
    ]
    rows += [(f"stream: {kind}", *_pair(figures.readings, kind, name)) for kind in STREAMS]
    return _table(("load", "limin, CPU (µs)", f"{name}, CPU (µs)", "ratio"), rows)


def _pair(
    figures: Mapping[tuple[str, _Case], Load | Reading], case: _Case, name: str
) -> tuple[str, str, str]:
    """Return the CPU time of limin, that of *name*, and their ratio."""
    this, beside = figures.get(("limin", case)), figures.get((name, case))
    cells = ["failed" if each is None else f"{each.cpu_us:.2f}" for each in (this, beside)]
    if this is None or beside is None:
        return cells[0], cells[1], ""
    return cells[0], cells[1], _ratio(this.cpu_us / beside.cpu_us)
