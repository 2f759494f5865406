"""Write the pictures of the documentation: rich's own exports of real output.

`nox -s screenshots` runs it, on the embedded model. The pictures of the README have two
variants, for readers with a dark screen and with a light one.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import anyio
import attrs
from rich.console import Console, Group
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from limin import BatchError, Client, Conversation, Message, ToolCall
from limin.local import local_endpoint

if TYPE_CHECKING:
    from rich.console import RenderableType

IMAGES = Path(__file__).parent / "images"

# GitHub's own colors of a dark screen and of a light one: background, text, and the
# eight colors of a terminal.
DARK = TerminalTheme(
    (13, 17, 23),
    (230, 237, 243),
    [
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
)
LIGHT = TerminalTheme(
    (255, 255, 255),
    (31, 35, 40),
    [
        (36, 41, 47),
        (207, 34, 46),
        (17, 99, 41),
        (77, 45, 0),
        (9, 105, 218),
        (130, 80, 223),
        (27, 124, 131),
        (110, 119, 129),
    ],
)

IN_README = {"log-probabilities", "tool-call"}

# rich draws the window's edge in white alone, which a light page does not show.
EDGE = "rgba(255,255,255,0.35)"
EDGE_ON_LIGHT = "rgba(31,35,40,0.25)"

# rich names fonts on another server; the monospace font of the reader is enough.
FOREIGN_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


async def main() -> None:
    """Ask the model, and write a picture of each kind of output."""
    IMAGES.mkdir(exist_ok=True)
    async with local_endpoint() as endpoint, Client(endpoint.base_url) as client:
        await log_probabilities(client, endpoint.model)
        await conversation(client, endpoint.model)
        await tool_call(client, endpoint.model)
        await batch(client, endpoint.model)
        await calibration(endpoint.base_url)


async def log_probabilities(client: Client, model: str) -> None:
    """Write an answer with colored tokens, and a table of the least probable ones."""
    completion = await client.generate_text_completion(
        "Why is the sky blue?",
        model=model,
        temperature=0.8,
        seed=4,
        max_tokens=48,
        log_probs=True,
        top_log_probs=3,
    )
    if completion.log_probs is not None:
        table = completion.log_probs.to_table(lowest=6)
        write_picture("log-probabilities", Group(completion, Text(), table))


async def conversation(client: Client, model: str) -> None:
    """Write a conversation with its roles."""
    messages = Conversation(
        [
            Message("system", "You are a helpful assistant."),
            Message("user", "What is the capital of France?"),
            Message("assistant", "The capital of France is Paris."),
            Message("user", "What is the capital of Germany?"),
        ]
    )
    completion = await client.generate_text_completion_for_conversation(
        messages, model=model, temperature=0, max_tokens=16
    )
    messages.add_message(completion.to_message())
    write_picture("conversation", messages)


@attrs.frozen
class Place:
    """The arguments of the tool."""

    city: str


@attrs.frozen
class Weather:
    """The type of the answer."""

    sky: Literal["sunny", "rainy", "snowy"]
    celsius: int


async def tool_call(client: Client, model: str) -> None:
    """Write a conversation with the call of a tool, and the typed answer behind it.

    A model of this size calls no tool by itself, so it is asked for the arguments by
    their type, and these are put into the call.
    """
    question = Message("user", "Do I need an umbrella in Paris?")
    place = await client.generate_text_completion_for_conversation(
        Conversation([question]),
        response_type=Place,
        model=model,
        temperature=0,
        max_tokens=24,
    )
    call = ToolCall("call00001", "get_weather", place.message)
    messages = Conversation(
        [
            question,
            Message("assistant", None, tool_calls=[call]),
            Message("tool", '{"sky": "sunny", "celsius": 21}', tool_call_id=call.id),
        ]
    )
    answer = await client.generate_text_completion_for_conversation(
        messages,
        response_type=Weather,
        model=model,
        temperature=0,
        max_tokens=48,
        log_probs=True,
        top_log_probs=5,
    )
    write_picture("tool-call", Group(messages, Text(), answer, Text(), repr(answer.value)))


async def batch(client: Client, model: str) -> None:
    """Write the error of a batch in which two prompts are too long."""
    prompts = [f"What is {n} + {n}?" for n in range(6)]
    prompts[2] = prompts[4] = "word " * 3000
    try:
        await client.generate_text_completions(
            prompts, model=model, max_tokens=8, show_progress=False
        )
    except BatchError as error:
        write_picture("batch-error", error)


async def calibration(base_url: str) -> None:
    """Run the program of the recipes that draws a plot, word for word."""
    page = (IMAGES.parent / "guides" / "recipes.md").read_text(encoding="utf-8")
    programs = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (program,) = (program for program in programs if "matplotlib" in program)
    environment = os.environ | {"OPENAI_BASE_URL": base_url, "MPLBACKEND": "svg"}
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-c", program]
        await anyio.run_process(command, cwd=folder, env=environment, stderr=None)
        shutil.copy(Path(folder) / "calibration.svg", IMAGES)


def write_picture(name: str, value: RenderableType) -> None:
    """Write *value*, as a terminal shows it, to each variant of the picture *name*."""
    for theme, suffix in ((DARK, ""), (LIGHT, "-light")):
        if theme is LIGHT and name not in IN_README:
            continue
        console = Console(
            file=StringIO(),
            record=True,
            width=86,
            force_terminal=True,
            color_system="truecolor",
        )
        console.print(value)
        picture = console.export_svg(title="limin", theme=theme, unique_id=name)
        if theme is LIGHT:
            picture = picture.replace(EDGE, EDGE_ON_LIGHT)
        path = IMAGES / f"{name}{suffix}.svg"
        path.write_text(FOREIGN_FONTS.sub("", picture), encoding="utf-8")


if __name__ == "__main__":
    anyio.run(main)
