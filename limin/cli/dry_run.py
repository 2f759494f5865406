"""`limin run --dry-run`: what would be sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from limin.cli import console
from limin.values.endpoint import Endpoint
from limin.values.request_note import public_url
from limin.values.safe_text import escape_controls

if TYPE_CHECKING:
    from limin.files.plan import Plan


def show_plan(plan: Plan, base_url: str | None) -> None:
    """Write the numbers of *plan*, which was checked, and its first request to stdout."""
    part = "" if plan.shard.count == 1 else f" in part {plan.shard}"
    n_left = plan.n_lines - plan.n_answered
    size = f"{plan.n_lines} lines ({plan.source.format}){part}"
    lines = [f"{size}, {plan.n_answered} answered, {n_left} to ask"]
    question = next(plan.questions(), None)
    if question is not None:
        # No key is shown, and none is needed to see this.
        url = public_url(Endpoint.resolve(base_url, "none"))
        body = json.loads(question.body)
        lines += [
            "",
            f"line {question.line.number}: POST {url}",
            json.dumps(body, indent=2, ensure_ascii=False),
        ]
    console.write_styled(escape_controls("\n".join(lines)) + "\n")
