"""The scripts of the documentation for SLURM and Kubernetes, with their variables set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from loopback import Request, echo, http
from programs import run_shell, serving

RECIPES = Path(__file__).parent.parent / "docs" / "recipes"
N_PROMPTS = 5


def slurm(number: int) -> tuple[str, dict[str, str]]:
    """Return the script, and the variables of the task *number* of two, from 1."""
    variables = {"SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_COUNT": "2"}
    return (RECIPES / "slurm.sh").read_text(), variables


def kubernetes(number: int) -> tuple[str, dict[str, str]]:
    """Return the container's script, and the variables of the same task of a job."""
    _, _, rest = (RECIPES / "indexed-job.yaml").read_text().partition("- |\n")
    script = "".join(
        line for line in rest.splitlines(keepends=True) if line.startswith(" " * 14)
    )
    variables = {"JOB_COMPLETION_INDEX": str(number - 1), "SHARDS": "2"}
    return f"set -eu\n{script}", variables


async def fail_once(request: Request) -> bytes:
    """Refuse the prompt `p2` the first time."""
    if request.prompt == "p2" and not REFUSED:
        REFUSED.append(request.prompt)
        return http(b"{}", "400 Bad Request")
    return await echo(request)


REFUSED: list[str] = []


@pytest.mark.parametrize("task", [slurm, kubernetes])
def test_tasks_share_the_lines(task: type, tmp_path: Path) -> None:
    """Each line is answered by one task, and a task that is run again asks the rest."""
    lines = [json.dumps({"prompt": f"p{n}"}) + "\n" for n in range(N_PROMPTS)]
    (tmp_path / "prompts.jsonl").write_text("".join(lines))
    REFUSED.clear()
    with serving(fail_once) as server:
        statuses = []
        for number in (1, 2, 1):
            script, variables = task(number)
            done = run_shell(script, base_url=server.base_url, folder=tmp_path, **variables)
            statuses.append(done.returncode)
    assert statuses == [1, 0, 0]
    assert sorted(r.prompt for r in server.requests) == ["p0", "p1", "p2", "p2", "p3", "p4"]
    answers = {
        number: [json.loads(line)["answer"] for line in file.read_text().splitlines()]
        for number, file in enumerate(sorted(tmp_path.glob("answers-*.jsonl")), start=1)
    }
    assert sorted(map(str, answers[1])) == ["None", "p0", "p2", "p4"]
    assert sorted(answers[2]) == ["p1", "p3"]


@pytest.mark.parametrize("name", ["with_dask.py", "with_spark.py", "with_ray.py"])
def test_recipes_are_short(name: str) -> None:
    """A recipe is read at one glance; the session `ray` runs it."""
    assert len((RECIPES / name).read_text().splitlines()) <= 31
