"""The tints of tokens, and the contrast of text on them."""

import base64
import hashlib
import re
from itertools import pairwise

import pytest

from limin.rendering.html_tints import STEPS, tint_class, tint_rules
from limin.rendering.palette import PALETTES
from limin.values.conversation import Conversation
from limin.values.display import Palette
from limin.values.log_probs import LogProbs, Position

PAIR = r"light-dark\((#\w{6}), ?(#\w{6})\)"


def read_stylesheet(page: str) -> str:
    """Return the stylesheet in *page*."""
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    return str(style)


STYLE = read_stylesheet(Conversation().to_html())


def read_variable(name: str) -> tuple[str, str]:
    """Return the colours of a variable of the stylesheet, for light and for dark."""
    (pair,) = re.findall(rf"--limin-{name}: {PAIR};", STYLE)
    return pair


def read_tints(palette: Palette) -> list[tuple[str, str]]:
    """Return the tints in the stylesheet, from improbable to certain."""
    page = LogProbs(lambda: ((Position("x", -0.1),), ())).to_html(palette=palette)
    matches = re.findall(rf"\.limin-p(\d+){{background:{PAIR}}}", read_stylesheet(page))
    assert [int(step) for step, _, _ in matches] == list(range(STEPS))
    return [(light, dark) for _, light, dark in matches]


def luminance(color: str) -> float:
    """Return the relative luminance, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    low, high = sorted([luminance(first), luminance(second)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("palette", PALETTES)
def test_text_can_be_read_on_every_tint(palette: Palette, scheme: int) -> None:
    """Text on every tint has the contrast that WCAG asks for, in light and in dark."""
    ink = read_variable("ink")[scheme]
    assert min(contrast(ink, tint[scheme]) for tint in read_tints(palette)) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("text", ["ink", "quiet", "accent", "alarm"])
@pytest.mark.parametrize("ground", ["paper", "raised"])
def test_text_can_be_read(text: str, ground: str, scheme: int) -> None:
    """All other text has the contrast that WCAG asks for, in light and in dark."""
    assert contrast(read_variable(text)[scheme], read_variable(ground)[scheme]) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_viridis_grows_lighter(scheme: int) -> None:
    """A likelier token has a lighter tint, also for readers who see no hues."""
    lightness = [luminance(tint[scheme]) for tint in read_tints("viridis")]
    assert all(low < high for low, high in pairwise(lightness))


@pytest.mark.parametrize("palette", PALETTES)
def test_no_step_is_seen(palette: Palette) -> None:
    """Neighbouring tints differ by a few of 255 levels, so the scale looks continuous."""
    for scheme in (0, 1):
        for tint, next_tint in pairwise(pair[scheme] for pair in read_tints(palette)):
            steps = zip(bytes.fromhex(tint[1:]), bytes.fromhex(next_tint[1:]), strict=True)
            assert max(abs(low - high) for low, high in steps) <= 8


@pytest.mark.parametrize(
    ("prob", "name"),
    [
        (0.0, "limin-p0"),
        (0.5, "limin-p32"),
        (1.0, "limin-p63"),
        (1.001, "limin-p63"),
        (float("inf"), "limin-p63"),
        (float("nan"), "limin-unknown"),
        (None, "limin-unknown"),
    ],
)
def test_class_of_a_probability(prob: float | None, name: str) -> None:
    """Each probability has its tint, and an unknown one has a look of its own."""
    assert tint_class(prob) == name


def test_legend_spans_the_scale() -> None:
    """The scale in the legend starts with the first tint and ends with the last."""
    *rules, legend = tint_rules("red-green").splitlines()
    first, last = (re.findall(PAIR, rule)[0] for rule in (rules[0], rules[-1]))
    matches = re.findall(PAIR, legend)
    assert (matches[0], matches[-1]) == (first, last)


def test_policy_names_the_style() -> None:
    """The page's policy allows its own stylesheet, by its hash, and nothing else."""
    page = Conversation().to_html()
    digest = hashlib.sha256(read_stylesheet(page).encode()).digest()
    policy = (
        f"default-src 'none'; style-src 'sha256-{base64.b64encode(digest).decode()}';"
        " base-uri 'none'; form-action 'none'"
    )
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in page
