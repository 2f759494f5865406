"""The recipes of the documentation run on the engines that are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from limin import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from on_ray.conftest import FakeServer

    StartServer = Callable[[float], AbstractContextManager[FakeServer]]

RECIPES = Path(__file__).parent.parent.parent / "docs" / "recipes"


@pytest.mark.usefixtures("cluster")
def test_recipe_for_ray(fake_server: StartServer, tmp_path: Path) -> None:
    """It answers each row once, as it stands but for the places of server and files."""
    program = (RECIPES / "with_ray.py").read_text()
    with fake_server(0.0) as server:
        program = program.replace("/shared/", f"{tmp_path}/")
        program = program.replace("{", f'{{"base_url": "{server.base_url}", ', 1)
        exec(compile(program, "with_ray.py", "exec"), {})  # noqa: S102 (our own)
        assert server.counts()["requests"] == 20
    assert len(list(read_checkpoint(tmp_path / "capitals"))) == 20


def run_recipe(name: str, server: FakeServer, folder: Path) -> str:
    """Run the recipe *name* in *folder*, and return its output."""
    program = (RECIPES / name).read_text().replace("/shared/", f"{folder}/")
    (folder / name).write_text(program)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY")}
    environment = kept | {
        "OPENAI_BASE_URL": server.base_url,
        "PYSPARK_PYTHON": sys.executable,
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    done = subprocess.run(  # noqa: S603 (our own program)
        [sys.executable, name],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("engine", ["dask", "pyspark"])
def test_recipe(engine: str, fake_server: StartServer, tmp_path: Path) -> None:
    """Each row is asked once, and a second run asks nothing."""
    pytest.importorskip(engine)
    if engine == "pyspark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    name = {"dask": "with_dask.py", "pyspark": "with_spark.py"}[engine]
    with fake_server(0.0) as server:
        assert "What is 7" in run_recipe(name, server, tmp_path)
        assert server.counts()["requests"] == 20
        assert "What is 7" in run_recipe(name, server, tmp_path)
        assert server.counts()["requests"] == 0
