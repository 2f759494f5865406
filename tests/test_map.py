"""The map of the package: which module may import which, read from the source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import attrs
import pytest

import limin

PACKAGE = Path(limin.__file__).parent

# From the ground up; a module imports only from floors below its own, and from its room.
# Two rooms of the values import nothing, so that the errors can stand on them.
FLOORS = (
    ("limin.values.safe_text", "limin.values.display"),
    ("limin.errors",),
    ("limin.values",),
    ("limin.wire", "limin.policy"),
    ("limin.transport",),
    ("limin.calls",),
    ("limin.batch", "limin.checkpoint"),
    ("limin.parallel",),
    ("limin.client",),
    ("limin.functions",),
    ("limin",),
    ("limin.local",),
    ("limin.cli",),
    ("limin.__main__",),
)
GROUND, VALUES = (*FLOORS[0], *FLOORS[1]), FLOORS[2]
RENDERING = "limin.rendering"

# The places that load what shows values when they are called, and not before; and OpenSSL.
LATE_IMPORTS = {
    ("limin.checkpoint.line", "digest", "hashlib"),
    ("limin.errors", "LiminError.__rich_console__", RENDERING + ".failures"),
    ("limin.values.conversation", "Message.__rich_console__", RENDERING + ".conversations"),
    (
        "limin.values.conversation",
        "Conversation.__rich_console__",
        RENDERING + ".conversations",
    ),
    ("limin.values.conversation", "Conversation.to_pretty_string", RENDERING + ".terminal"),
    ("limin.values.log_probs", "LogProbs.__rich_console__", RENDERING + ".tokens"),
    ("limin.values.log_probs", "LogProbs.to_pretty_string", RENDERING + ".terminal"),
    ("limin.values.log_probs", "LogProbs.to_pretty_string", RENDERING + ".tokens"),
    ("limin.values.log_probs", "LogProbs.to_table", RENDERING + ".tables"),
    (
        "limin.values.completion",
        "TextCompletion.__rich_console__",
        RENDERING + ".completions",
    ),
    ("limin.values.completion", "TextCompletion.to_pretty_string", RENDERING + ".terminal"),
    ("limin.parallel", "_open_progress", RENDERING + ".progress"),
    ("limin.values.conversation", "Conversation.to_html", RENDERING + ".html"),
    ("limin.values.conversation", "Conversation._repr_html_", RENDERING + ".html"),
    ("limin.values.completion", "TextCompletion.to_html", RENDERING + ".html"),
    ("limin.values.completion", "TextCompletion._repr_html_", RENDERING + ".html"),
    ("limin.values.log_probs", "LogProbs.to_html", RENDERING + ".html"),
    ("limin.values.log_probs", "LogProbs._repr_html_", RENDERING + ".html"),
}

# Types from a floor above, for annotations alone.
TYPES_FROM_ABOVE = {
    ("limin.errors", "limin.values.completion"),
    ("limin.errors", "limin.values.timing"),
    ("limin.errors", "limin.values.warnings"),
    ("limin.values.log_probs", "limin.rendering.palette"),
    ("limin.values.completion", "limin.rendering.palette"),
}

# Types of a library outside its own room, for annotations alone.
FOREIGN_TYPES = {
    ("limin.errors", "rich"),
    ("limin.values.conversation", "rich"),
    ("limin.values.log_probs", "rich"),
    ("limin.values.completion", "rich"),
}


@attrs.frozen
class Import:
    """One import: who, what, inside which function, for type checkers only or not."""

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
    """The modules that *node* imports, a name inside a package as its module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert node.level == 0, "imports are absolute"
    assert node.module is not None
    names = [f"{node.module}.{alias.name}" for alias in node.names]
    return [name if name in MODULES else node.module for name in names]


def walk(
    name: str, node: ast.AST, function: str = "", *, for_types: bool = False
) -> Iterator[Import]:
    """Every import under *node*, with where it stands."""
    for child in ast.iter_child_nodes(node):
        types = for_types or (is_type_checking(node) and child in node.body)  # type: ignore[attr-defined]  # an If has a body
        if isinstance(child, ast.Import | ast.ImportFrom):
            for imported in imported_modules(child):
                yield Import(name, imported, function, types)
        inside = function
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = f"{function}.{child.name}".lstrip(".")
        yield from walk(name, child, inside, for_types=types)


def all_imports() -> list[Import]:
    """Every import in the package."""
    return [
        found
        for name, path in MODULES.items()
        for found in walk(name, ast.parse(path.read_text(encoding="utf-8")))
    ]


IMPORTS = all_imports()
OWN = [one for one in IMPORTS if one.imported.split(".")[0] == "limin"]


def within(name: str, room: str) -> bool:
    """Whether the module *name* is *room*, or in it."""
    return name == room or (room != "limin" and name.startswith(f"{room}."))


def floor(name: str) -> int:
    """The number of the floor that the module *name* is on."""
    floors = (n for n, rooms in enumerate(FLOORS) if any(within(name, r) for r in rooms))
    return next(floors)


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


def describe(found: Import) -> str:
    """*found* as a line of a failed assertion."""
    return f"{found.importer} imports {found.imported}"


def is_module(name: str, library: str) -> bool:
    """Whether *name* is *library*, or in it."""
    return name.split(".", maxsplit=1)[0] == library


def test_every_module_has_a_floor() -> None:
    """A new module has its place on the map before it has its imports."""
    assert len(MODULES) > 15
    for name in MODULES:
        assert within(name, RENDERING) or floor(name) >= 0


def test_imports_go_down() -> None:
    """No module imports from its own floor or from one above."""
    up = [
        describe(one)
        for one in OWN
        if not one.function
        and not may_import(one.importer, one.imported)
        and not (one.for_types and (one.importer, one.imported) in TYPES_FROM_ABOVE)
    ]
    assert up == []


def test_types_from_above() -> None:
    """The exceptions for annotations are those that are named, and none is stale."""
    up = {
        (one.importer, one.imported)
        for one in OWN
        if one.for_types and not may_import(one.importer, one.imported)
    }
    assert up == TYPES_FROM_ABOVE


def test_late_imports() -> None:
    """Inside functions only the rendering is imported, in the places that are named."""
    late = {
        (one.importer, one.function, one.imported)
        for one in IMPORTS
        if one.function and not one.for_types
    }
    assert late == LATE_IMPORTS


def test_no_cycle() -> None:
    """Each module can be read after those that it imports."""
    graph = {
        name: {
            one.imported
            for one in OWN
            if one.importer == name and not one.for_types and not one.function
        }
        for name in MODULES
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


def test_batch_is_generic() -> None:
    """A batch knows no completion but as the default of a type variable."""
    rooms = ("limin.batch", "limin.policy", "limin.errors", "limin.values.checks")
    beyond = {
        (one.importer, one.imported, one.for_types)
        for one in OWN
        if within(one.importer, "limin.batch")
        and not any(within(one.imported, target) for target in rooms)
    }
    assert beyond == {("limin.batch.results", "limin.values.completion", True)}


@pytest.mark.parametrize("library", ["asyncio", "trio", "sniffio"])
def test_no_event_loop_of_its_own(library: str) -> None:
    """The package runs on every event loop, so it names none."""
    assert [describe(one) for one in IMPORTS if is_module(one.imported, library)] == []


@pytest.mark.parametrize(
    ("library", "home"),
    [
        ("httpx", "limin.transport"),
        ("httpcore", "limin.transport"),
        ("rich", RENDERING),
    ],
)
def test_library_stays_in_its_room(library: str, home: str) -> None:
    """A library is imported in one room, and elsewhere for named annotations only."""
    outside = [
        describe(one)
        for one in IMPORTS
        if is_module(one.imported, library)
        and not within(one.importer, home)
        and not (one.for_types and (one.importer, library) in FOREIGN_TYPES)
    ]
    assert outside == []


@pytest.mark.parametrize("library", ["time", "random", "datetime", "secrets", "uuid"])
@pytest.mark.parametrize("pure", ["limin.wire", "limin.policy"])
def test_no_clock_and_no_chance(library: str, pure: str) -> None:
    """What turns values into bytes and back needs neither a clock nor a die."""
    found = [
        describe(one)
        for one in IMPORTS
        if is_module(one.imported, library) and within(one.importer, pure)
    ]
    assert found == []


def test_environment_is_read_in_three_places() -> None:
    """The environment names the endpoints, and says whether to colour, and no more."""
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
    assert readers == {"limin.values.endpoint", "limin.local", "limin.rendering.terminal"}


def test_import_is_light() -> None:
    """`import limin` loads no event loop, no terminal, and no local model."""
    program = "import sys, limin; print(*sorted(sys.modules), sep='\\n')"
    done = subprocess.run(  # noqa: S603 (our own Python, and our own program)
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "limin.client" in loaded
    heavy = {"rich", RENDERING, "limin.local", "xllamacpp", "trio", "asyncio"}
    assert heavy & loaded == set()


def test_map_tells_up_from_down() -> None:
    """The map itself refuses what it is there to refuse."""
    assert may_import("limin.wire.request", "limin.values.conversation")
    assert may_import("limin.wire.request", "limin.wire.schema")
    assert may_import("limin.errors", "limin.values.safe_text")
    assert may_import("limin.values.completion", "limin.values.conversation")
    assert may_import("limin.rendering.terminal", "limin.values.safe_text")
    assert may_import("limin.rendering.progress", "limin.errors")
    assert not may_import("limin.values.conversation", "limin.wire.schema")
    assert not may_import("limin.values.safe_text", "limin.errors")
    assert not may_import("limin.wire.request", "limin.transport.http")
    assert not may_import("limin.rendering.terminal", "limin.wire")
    assert not may_import("limin.batch.results", "limin.rendering.progress")
    assert not may_import("limin.client", "limin")
