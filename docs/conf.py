"""How Sphinx builds the documentation."""

import sys
from pathlib import Path

import limin.values.choice

# The signature of a msgspec struct is read with its annotations, and this name of them
# is there for type checkers alone.
limin.values.choice.LogProbs = limin.LogProbs

project = "limin"
copyright = "2026, the limin authors"  # noqa: A001 (Sphinx's name)
sys.path.insert(0, str(Path(__file__).parent))  # For `option_tables`.
extensions = [
    *("myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"),
    *("sphinx_copybutton", "notfound.extension"),
    "option_tables",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "limin"
# The page for addresses that do not exist, `404.md`, links from the root of the site.
notfound_urls_prefix = "/"
# What is copied is what one types: no prompt, and no output.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
# A name in single backticks in a docstring is a link if it can be; see `option_tables`.
default_role = "py:obj"
autodoc_default_options = {"members": True, "exclude-members": "__init__, __new__"}
autodoc_member_order = "bysource"
autodoc_typehints = "none"
# Headings are the targets of links as GitHub names them, and a target that is not
# there is a warning. The README's links are read from the root: see `index.md`.
myst_heading_anchors = 3
# Names for types, which are no classes to link to, and a class of Python's own.
nitpick_ignore = [
    ("py:class", "ReasoningSource"),
    ("py:class", "OnWarning"),
    ("py:class", "os.PathLike"),
    *(("py:class", name) for name in ("Content", "Call", "EndedBy", "MisfitReason")),
    *(("py:class", name) for name in ("BaseUrl", "limin.values.headers.ApiKey")),
    *(("py:class", name) for name in ("ToolSource", "OnToolError", "V_co", "LabelT")),
    *(("py:class", name) for name in ("ScriptedToken", "PrivateHeaders", "Response")),
    ("py:class", "collections.abc.Mapping"),
]
