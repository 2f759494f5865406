"""The map of the package: which module may import which, read from the source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path

import attrs
import pytest

import limin

PACKAGE = Path(limin.__file__).parent

# From the ground up; a module imports only from floors below its own, and from its room.
# Three rooms of the values import nothing above, so that the errors can stand on them; the
# checks of arguments import the errors alone, so that the schemas can.
FLOORS = (
    ("limin.values.masking", "limin.values.display"),
    ("limin.values.safe_text",),
    ("limin.errors",),
    ("limin.values.checks",),
    ("limin.json_text",),  # A text, its errors, and nothing of what it is the text of.
    ("limin.schemas",),
    ("limin.values",),
    ("limin.wire", "limin.policy"),
    ("limin.recipes",),
    ("limin.transport",),
    ("limin.calls",),
    ("limin.batch", "limin.checkpoint"),
    ("limin.asking",),
    ("limin.parallel",),
    ("limin.deciding",),
    ("limin.client",),
    ("limin.functions",),
    ("limin",),
    ("limin.local", "limin.local_server", "limin.telemetry", "limin.testing"),
    ("limin.files",),  # Of prompts and of answers, which the program reads and writes.
    ("limin.blocks",),  # Of a data set: rows as prompts, answers as columns.
    ("limin.ray",),
    ("limin.cli",),
    ("limin.__main__",),
)
GROUND, VALUES = tuple(chain.from_iterable(FLOORS[:6])), FLOORS[6]
RENDERING = "limin.rendering"

# The one edge from values to rendering: module, function, imported module. It is the
# only one that goes up, and the only one in a cycle.
DOOR = ("limin.values.display", "rendering", RENDERING + ".show")

# Imports inside functions. hashlib loads OpenSSL, which only checkpoints need, the
# transport loads httpx, which is needed by the first client and loads logging, few clients
# have replicas, which are chosen by hashes, and Windows has no fcntl.
# importlib.metadata loads email and zipfile, and few programs ask for the version. The
# tables of errors, and difflib, are slow to load and needed where something is wrong.
# Schemas are for programs that ask for a type.
# Labels are read by few programs. Tables need csv or polars, and few inputs are tables.
# readline writes to a terminal as soon as it is loaded, and Windows has none.
LATE_IMPORTS = {
    DOOR,
    ("limin.checkpoint.request", "ShortBody.digest", "hashlib"),
    ("limin.checkpoint.line", "identify", "hashlib"),
    ("limin.values.media_files", "sha256_of", "hashlib"),
    ("limin.client.connected", "ConnectedClient.__init__", "limin.transport.http"),
    ("limin.client.connected", "ConnectedClient.__init__", "limin.calls.log"),
    ("limin.calls.observer", "_warn", "logging"),
    ("limin.client.connected", "ConnectedClient.__init__", "limin.calls.replicas"),
    ("limin", "__getattr__", "limin.transport.async_http"),
    ("limin.local_server", "kill_at_end_of_input", "fcntl"),
    ("limin", "_find_version", "importlib"),
    ("limin.calls.call", "Call._note_question", "limin.wire.refused_defaults"),
    ("limin", "__getattr__", "limin.schemas.json_schema"),
    ("limin", "__getattr__", "limin.values.labels.probs"),
    ("limin.wire.error_response", "status_error", "limin.wire.error_classes"),
    ("limin.wire.error_response", "status_error", "limin.wire.retry_after"),
    ("limin.values.option_names", "_hint", "difflib"),
    ("limin.client.decisions", "DecisionVerbs.generate_decision", "limin.deciding"),
    ("limin.client.decisions", "DecisionVerbs.generate_decisions", "limin.deciding"),
    ("limin.asking", "AnswerType.of", "limin.values.typed_answers"),
    ("limin.asking", "AnswerType.typed_ask", "limin.recipes.structured"),
    ("limin.asking", "AnswerType.typed_stream", "limin.recipes.structured"),
    ("limin.values.completion", "TextCompletion.fields", "limin.values.field_reader"),
    ("limin.values.completion", "TextCompletion.parse", "limin.values.typed_answers"),
    ("limin.values.tools", "Tool.from_function", "limin.values.tool_arguments"),
    ("limin.values.tools", "Tool.read_arguments", "limin.values.tool_arguments"),
    ("limin.values.tools", "ToolCall.parse", "limin.values.tool_arguments"),
    ("limin.values.safe_text", "excerpt", "limin.values.masking"),
    ("limin.files.inputs", "_is_header", "limin.files.tables"),
    ("limin.files.inputs", "_reader", "limin.files.tables"),
    ("limin.files.tables", "load_polars", "polars"),
    ("limin.cli.running", "RunClient.start_decisions", "limin.deciding"),
    ("limin.cli.arguments", "read_schema", "limin.schemas.json_schema"),
    ("limin.cli.chat_terminal", "ChatTerminal.talk", "readline"),
    ("limin.testing.replay", "_Recorder._open", "limin.transport.http"),
}

# Types from a floor above, only for annotations.
TYPES_FROM_ABOVE = {
    ("limin.errors", "limin.values.completion"),
    ("limin.errors", "limin.values.conversation"),
    ("limin.errors", "limin.values.decisions"),
    ("limin.errors", "limin.values.timing"),
    ("limin.errors", "limin.values.tool_runs"),
    ("limin.errors", "limin.values.warnings"),
    ("limin.values.display", "limin.values.log_probs"),
    ("limin.values.display", "limin.values.progress"),
    ("limin.values.display", "limin.values.run_records"),
    ("limin.values.display", "limin.values.summary"),
}

# Types of a library outside its own room, only for annotations.
FOREIGN_TYPES = {
    ("limin.values.display", "rich"),
    ("limin.values.log_probs", "rich"),
}

MOST_MODULES_AT_TOP_LEVEL = 12


@attrs.frozen
class Import:
    """One import: its module, its target, the function around it, and whether for types."""

    importer: str
    imported: str
    function: str
    for_types: bool


def module_name(path: Path) -> str:
    """The dotted name of the module at *path*."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}


def is_type_checking(node: ast.AST) -> bool:
    """Whether *node* is an `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in {
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
    }


def imported_modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    """The modules that *node* imports; a module of a package by its own name."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert node.level == 0, "imports are absolute"
    assert node.module is not None
    names = [f"{node.module}.{alias.name}" for alias in node.names]
    return [name if name in MODULES else node.module for name in names]


def walk(
    name: str, node: ast.AST, function: str = "", *, for_types: bool = False
) -> Iterator[Import]:
    """Every import under *node*, with the function around it."""
    for child in ast.iter_child_nodes(node):
        types = for_types or (is_type_checking(node) and child in node.body)  # type: ignore[attr-defined]  # an If has a body
        if isinstance(child, ast.Import | ast.ImportFrom):
            for imported in imported_modules(child):
                yield Import(name, imported, function, types)
        inside = function
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = f"{function}.{child.name}".lstrip(".")
        yield from walk(name, child, inside, for_types=types)


@cache
def all_imports() -> list[Import]:
    """Every import in the package."""
    return [
        edge
        for name, path in MODULES.items()
        for edge in walk(name, ast.parse(path.read_text(encoding="utf-8")))
    ]


@cache
def own_imports() -> list[Import]:
    """Those of limin's own modules."""
    return [edge for edge in all_imports() if edge.imported.split(".")[0] == "limin"]


def within(name: str, room: str) -> bool:
    """Whether the module *name* is *room*, or in it."""
    return name == room or (room != "limin" and name.startswith(f"{room}."))


def floor(name: str) -> int:
    """The number of the floor that the module *name* is on."""
    return next(
        number
        for number, rooms in enumerate(FLOORS)
        if any(within(name, room) for room in rooms)
    )


def room(name: str) -> str:
    """The room that the module *name* is in: its package, or itself."""
    return ".".join(name.split(".")[:2])


def may_import(importer: str, imported: str) -> bool:
    """Whether the map has a way down from *importer* to *imported*."""
    if within(importer, RENDERING):
        allowed = (*GROUND, *VALUES, RENDERING)
        return any(within(imported, target) for target in allowed)
    if within(imported, RENDERING):
        return False
    if floor(importer) == floor(imported):
        return room(importer) == room(imported)
    return floor(imported) < floor(importer)


def describe(edge: Import) -> str:
    """*edge* as a line of a failed assertion."""
    return f"{edge.importer} imports {edge.imported}"


def is_module(name: str, library: str) -> bool:
    """Whether *name* is *library*, or in it."""
    return name.split(".", maxsplit=1)[0] == library


def test_every_module_has_a_floor() -> None:
    """A new module has a floor on the map before its imports can be judged."""
    assert len(MODULES) > 15
    for name in MODULES:
        assert within(name, RENDERING) or floor(name) >= 0


def test_imports_go_down() -> None:
    """No module imports from its own floor or from one above, except through the door."""
    up = [
        describe(edge)
        for edge in own_imports()
        if not may_import(edge.importer, edge.imported)
        and (edge.importer, edge.function, edge.imported) != DOOR
        and not (edge.for_types and (edge.importer, edge.imported) in TYPES_FROM_ABOVE)
    ]
    assert up == []


def test_types_from_above() -> None:
    """Only the named annotations come from above, and no name is stale."""
    up = {
        (edge.importer, edge.imported)
        for edge in own_imports()
        if edge.for_types and not may_import(edge.importer, edge.imported)
    }
    assert up == TYPES_FROM_ABOVE


def test_late_imports() -> None:
    """Functions import only what is named here; of limin, the rendering at its door."""
    late = {
        (edge.importer, edge.function, edge.imported)
        for edge in all_imports()
        if edge.function and not edge.for_types
    }
    assert late == LATE_IMPORTS


def test_no_cycle() -> None:
    """No module needs itself, at import or when called, except through the door."""
    graph = {
        name: {
            edge.imported
            for edge in own_imports()
            if edge.importer == name
            and not edge.for_types
            and (edge.importer, edge.function, edge.imported) != DOOR
        }
        for name in MODULES
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


def test_top_level_is_small() -> None:
    """Whoever opens the package sees a few modules, and rooms with names."""
    modules = [name for name, path in MODULES.items() if path.parent == PACKAGE]
    assert len(modules) <= MOST_MODULES_AT_TOP_LEVEL


def test_batch_is_generic() -> None:
    """A batch knows no completion but as the default of a type variable."""
    rooms = ("limin.batch", "limin.policy", "limin.errors", "limin.values.checks")
    beyond = {
        (edge.importer, edge.imported, edge.for_types)
        for edge in own_imports()
        if within(edge.importer, "limin.batch")
        and not any(within(edge.imported, target) for target in rooms)
    }
    assert beyond == {
        ("limin.batch.results", "limin.values.completion", True),
        ("limin.batch.results", "limin.values.progress", True),
    }


@pytest.mark.parametrize("library", ["asyncio", "trio", "sniffio"])
def test_no_event_loop_of_its_own(library: str) -> None:
    """The package runs on every event loop, so it names none."""
    assert [
        describe(edge) for edge in all_imports() if is_module(edge.imported, library)
    ] == []


@pytest.mark.parametrize(
    ("library", "home"),
    [
        ("httpx", "limin.transport"),
        ("httpcore", "limin.transport"),
        ("rich", RENDERING),
        ("opentelemetry", "limin.telemetry"),
        ("ray", "limin.ray"),  # Which is called by Ray, and does without it so far.
    ],
)
def test_library_stays_in_its_room(library: str, home: str) -> None:
    """A library is imported in one room, and elsewhere only for named annotations."""
    outside = [
        describe(edge)
        for edge in all_imports()
        if is_module(edge.imported, library)
        and not within(edge.importer, home)
        and not (edge.for_types and (edge.importer, library) in FOREIGN_TYPES)
    ]
    assert outside == []


@pytest.mark.parametrize("library", ["time", "random", "datetime", "secrets", "uuid"])
@pytest.mark.parametrize("pure", ["limin.wire", "limin.policy"])
def test_no_clock_and_no_chance(library: str, pure: str) -> None:
    """The code between values and bytes reads no clock and draws no random number."""
    edges = [
        describe(edge)
        for edge in all_imports()
        if is_module(edge.imported, library) and within(edge.importer, pure)
    ]
    assert edges == []


def test_environment_is_read_in_five_places() -> None:
    """It names endpoints and models, and decides on colors and telemetry; no more."""
    readers = set()
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            attribute = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            if attribute in {"os.environ", "os.environb", "os.getenv"}:
                readers.add(name)
            if isinstance(node, ast.ImportFrom) and node.module == "os":
                names = {alias.name for alias in node.names}
                if names & {"environ", "environb", "getenv"}:
                    readers.add(name)
    assert readers == {
        "limin.values.endpoint",
        "limin.local",
        "limin.cli.environment",
        "limin.rendering.terminal",
        "limin.telemetry.settings",
    }


def test_import_is_light() -> None:
    """`import limin` loads no httpx, no event loop, no terminal, and no local model.

    What anyio loads, in one version or another, is anyio's own choice.
    """
    program = (
        "import sys, anyio.abc, anyio.from_thread; before = set(sys.modules); "
        "import limin; print(*sorted(set(sys.modules) - before), sep='\\n')"
    )
    done = subprocess.run(  # noqa: S603 (our own Python, and our own program)
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "limin.client" in loaded
    heavy = {"httpx", "rich", RENDERING, "limin.local", "xllamacpp", "trio", "asyncio"}
    heavy |= {"limin.schemas", "pydantic", "logging", "opentelemetry", "limin.testing"}
    heavy |= {"limin.ray", "pyarrow", "ray"}
    assert heavy & loaded == set()


def test_map_distinguishes_up_and_down() -> None:
    """The map allows the ways down, and no way up."""
    assert may_import("limin.wire.request", "limin.values.conversation")
    assert may_import("limin.wire.request", "limin.wire.schema")
    assert may_import("limin.errors", "limin.values.safe_text")
    assert may_import("limin.values.field_reader", "limin.json_text.scanner")
    assert may_import("limin.values.completion", "limin.values.conversation")
    assert may_import("limin.rendering.terminal", "limin.values.safe_text")
    assert may_import("limin.rendering.progress", "limin.errors")
    assert not may_import("limin.values.conversation", "limin.wire.schema")
    assert not may_import("limin.values.safe_text", "limin.errors")
    assert not may_import("limin.json_text.scanner", "limin.values.log_probs")
    assert not may_import("limin.wire.request", "limin.transport.http")
    assert not may_import("limin.rendering.terminal", "limin.wire")
    assert not may_import("limin.batch.results", "limin.rendering.progress")
    assert not may_import("limin.client", "limin")
