"""Pages and fragments in a real browser."""

from __future__ import annotations

import json
import math
import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from builders import TIMING
from IPython.core.formatters import DisplayFormatter

from limin.values.choice import Choice
from limin.values.completion import TextCompletion
from limin.values.conversation import Conversation
from limin.values.log_probs import Entry, LogProbs, Position
from limin.values.messages import Message
from limin.values.usage import Usage

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Show
    from playwright.sync_api import Page

TOKENS = ".limin-tokens span"
WORDS = ("The", " capital", " of", " France", " is", " Paris", ".", "\n\n", " It", " lies")


def position(token: str, prob: float, others: int = 5) -> Position:
    """Return a token and alternatives that share the rest of the probability."""
    entries = [Entry(token, math.log(prob), list(token.encode()))]
    for index in range(others):
        share = (1 - prob) / 2 ** (index + 1)
        entries.append(Entry(f" other-{index}", math.log(share)))
    entries.sort(key=_order)
    return Position(token, math.log(prob), list(token.encode()), top_logprobs=entries)


def _order(entry: Entry) -> float:
    return -(entry.logprob or 0.0)


def make_completion(count: int, others: int = 5) -> TextCompletion:
    """Return an answer of *count* tokens, with all parts of a completion."""
    positions = [
        position(WORDS[index % len(WORDS)], 0.02 + 0.97 * (index * 37 % 101) / 100, others)
        for index in range(count)
    ]
    tower = "🗼".encode()
    positions[-2] = Position("", -0.5, list(tower[:2]))
    positions[-1] = Position("", -0.1, list(tower[2:]))
    log_probs = LogProbs(lambda: (positions, ()))
    choice = Choice(
        message=log_probs.text(),
        finish_reason="stop",
        reasoning="The user asks about France.",
        log_probs=log_probs,
    )
    return TextCompletion(
        conversation=Conversation(
            [
                Message("system", "Answer briefly."),
                Message("user", f"What is the capital of France? {'x' * 200}"),
            ]
        ),
        model="model-1",
        choices=(choice,),
        timing=TIMING,
        usage=Usage(prompt_tokens=14, completion_tokens=count),
    )


def find_box(page: Page, index: int) -> list[float] | None:
    """Return left, top, right and bottom of the box at a token; None if there is none."""
    devtools = page.context.new_cdp_session(page)
    element = devtools.send(
        "Runtime.evaluate",
        {"expression": f"document.querySelectorAll({TOKENS!r})[{index}]"},
    )
    node = devtools.send("DOM.describeNode", element["result"])["node"]
    for pseudo in node.get("pseudoElements", []):
        if pseudo["pseudoType"] == "after":
            key = {"backendNodeId": pseudo["backendNodeId"]}
            quad = devtools.send("DOM.getBoxModel", key)["model"]["border"]
            return [min(quad[::2]), min(quad[1::2]), max(quad[::2]), max(quad[1::2])]
    return None


def find_rectangles(page: Page) -> Any:
    """Return the rectangle of each token."""
    return page.evaluate(
        "selector => [...document.querySelectorAll(selector)]"
        ".map(token => JSON.stringify(token.getBoundingClientRect()))",
        TOKENS,
    )


@pytest.mark.parametrize("palette", ["red-green", "viridis"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 900, 1400])
def test_page_is_shown(
    show: Show, screenshots: Path, *, scheme: str, width: int, palette: Any
) -> None:
    """The page fits its window, follows the screen's scheme, and requests nothing."""
    page = show(make_completion(40).to_html(palette=palette), scheme=scheme, width=width)
    page.screenshot(path=screenshots / f"{palette}-{scheme}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.compatMode") == "CSS1Compat"
    ink = page.evaluate("getComputedStyle(document.querySelector('.limin')).color")
    assert ink == ("rgb(29, 33, 39)" if scheme == "light" else "rgb(232, 235, 239)")


@pytest.mark.parametrize("device", ["mouse", "keyboard"])
def test_token_shows_its_alternatives(show: Show, screenshots: Path, device: str) -> None:
    """The alternatives are shown under the mouse, and at the keyboard's focus."""
    page = show(make_completion(40).to_html())
    before = find_rectangles(page)
    assert find_box(page, 5) is None
    if device == "mouse":
        page.locator(TOKENS).nth(5).hover()
    else:
        page.locator(TOKENS).nth(4).focus()
        page.keyboard.press("Tab")
    page.screenshot(path=screenshots / f"{device}.png")
    content = page.evaluate(
        "selector => getComputedStyle("
        "document.querySelectorAll(selector)[5], '::after').content",
        TOKENS,
    )
    assert "attr(aria-description)" in content or "other-0" in content
    assert find_box(page, 5) is not None
    assert find_box(page, 4) is None
    assert find_rectangles(page) == before, "nothing moves"


@pytest.mark.parametrize(("width", "height"), [(360, 640), (900, 480), (1400, 900)])
def test_details_stay_on_the_screen(
    show: Show, screenshots: Path, width: int, height: int
) -> None:
    """Each token's 20 alternatives are completely on the screen."""
    page = show(make_completion(400, 20).to_html(), width=width, height=height)
    for index in range(0, 399, 19):
        page.locator(TOKENS).nth(index).scroll_into_view_if_needed()
        page.locator(TOKENS).nth(index).hover()
        box = find_box(page, index)
        assert box is not None
        left, top, right, bottom = box
        if min(left, top, width - right, height - bottom) < 0:
            page.screenshot(path=screenshots / f"beyond-{width}-{index}.png")
        assert min(left, top, width - right, height - bottom) >= 0, (index, box)


def test_screen_reader_hears_the_alternatives(show: Show) -> None:
    """A token is in the accessibility tree, with its alternatives as description."""
    page = show(make_completion(40).to_html())
    devtools = page.context.new_cdp_session(page)
    devtools.send("Accessibility.enable")
    page.wait_for_timeout(500)  # Until the browser has built the tree.
    tree = devtools.send("Accessibility.getFullAXTree")
    nodes = {node["nodeId"]: node for node in tree["nodes"] if not node["ignored"]}
    described = [
        (nodes.get(node["childIds"][0]), node["description"]["value"])
        for node in nodes.values()
        if node.get("description", {}).get("value")
    ]
    assert len(described) == 39
    assert [text["name"]["value"] for text, _ in described[:3] if text] == [*WORDS[:3]]
    assert all("other-0" in description for _, description in described[:38])
    headings = [
        node["name"]["value"]
        for node in nodes.values()
        if node["role"]["value"] == "heading"
    ]
    assert headings == ["Answer"]


def test_answer_is_copied_as_it_was_written(show: Show) -> None:
    """Selected text holds neither the marks of lines nor the alternatives."""
    completion = make_completion(40)
    page = show(completion.to_html())
    page.evaluate(
        "getSelection().selectAllChildren(document.querySelector('.limin-tokens'))"
    )
    assert page.evaluate("getSelection().toString()") == completion.message


def test_policy_holds(show: Show) -> None:
    """Foreign markup in a page could neither load nor run anything."""
    page = show(Conversation().to_html())
    refused = page.evaluate(
        """() => new Promise(resolve => {
            const refused = [];
            document.addEventListener('securitypolicyviolation', event =>
                refused.push(`${event.disposition} ${event.effectiveDirective}`));
            document.body.insertAdjacentHTML('beforeend',
                '<p style="color:red"></p><img src="https://example.invalid/">');
            setTimeout(() => resolve(refused), 500);
        })"""
    )
    show.problems.clear()  # The console reports both, and the request before it fails.
    assert set(refused) == {"enforce img-src", "enforce style-src-attr"}


def test_notebook_shows_a_completion(show: Show, screenshots: Path) -> None:
    """IPython shows the fragment, and several fragments change nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # IPython's own.
        data, _ = DisplayFormatter().format(make_completion(40))
    fragment = data["text/html"]
    page = show(f"<!doctype html><meta charset=utf-8><h1>A notebook</h1>{fragment * 2}")
    page.screenshot(path=screenshots / "notebook.png", full_page=True)
    assert (
        page.locator("h1").evaluate("heading => getComputedStyle(heading).color")
        == "rgb(0, 0, 0)"
    )
    assert page.locator(TOKENS).count() == 2 * 39


def test_long_answer_scrolls(show: Show, screenshots: Path) -> None:
    """An answer of 10,000 tokens with 20 alternatives each can be scrolled to its end."""
    completion = make_completion(10_000, 20)
    start = time.perf_counter()
    html = completion.to_html()
    rendered = time.perf_counter()
    page = show(html)
    loaded = time.perf_counter()
    frames = page.evaluate(
        """() => new Promise(resolve => {
            const frames = [];
            let last = performance.now();
            requestAnimationFrame(function step(now) {
                frames.push(now - last);
                last = now;
                scrollBy(0, 120);
                const end = document.documentElement.scrollHeight - innerHeight;
                if (scrollY < end - 1 && frames.length < 3000) requestAnimationFrame(step);
                else resolve(frames);
            });
        })"""
    )
    measured = {
        "megabytes": len(html.encode()) / 1e6,
        "seconds_to_render": rendered - start,
        "seconds_to_load": loaded - rendered,
        "frames": len(frames),
        "median_milliseconds": sorted(frames)[len(frames) // 2],
        "frames_over_50_milliseconds": sum(frame > 50 for frame in frames),
        "longest_milliseconds": max(frames),
    }
    (screenshots / "scrolling.json").write_text(json.dumps(measured, indent=1))
    page.screenshot(path=screenshots / "end.png")
    assert page.locator(TOKENS).count() == 9_999
    assert (
        page.locator("footer").evaluate("footer => footer.getBoundingClientRect().top")
        < 700
    )
