"""Shards: each item of a source for one of several processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from loopback import serve

import limin
from limin import shard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


async def numbers(n: int) -> AsyncIterator[int]:
    """Yield the first *n* numbers."""
    for number in range(n):
        yield number


@given(n=st.integers(0, 30), count=st.integers(1, 9))
@example(n=7, count=3)
def test_shards_cover_each_item_once(n: int, count: int) -> None:
    """Together they are the source, whatever kind of source it is."""
    whole = list(range(n))
    for source in (whole, range(n), tuple(whole), dict.fromkeys(whole).keys()):
        shards = [list(shard(source, index, count)) for index in range(count)]
        assert sorted(number for part in shards for number in part) == whole
        assert shards == [list(range(index, n, count)) for index in range(count)]


@pytest.mark.parametrize(("n", "count"), [(0, 2), (1, 2), (7, 3), (6, 3), (5, 1)])
async def test_shards_of_an_async_source(n: int, count: int) -> None:
    """An async source is sharded as any other."""
    for index in range(count):
        found = [number async for number in shard(numbers(n), index, count)]
        assert found == list(range(index, n, count))


def test_lazy_source_is_read_one_by_one() -> None:
    """No item is taken before it is needed."""
    taken: list[int] = []

    def source() -> Iterator[int]:
        for number in range(10**9):
            taken.append(number)
            yield number

    items = iter(shard(source(), 1, 3))
    assert taken == []
    assert [next(items), next(items)] == [1, 4]
    assert taken == [0, 1, 2, 3, 4]


async def test_failure_of_a_source_in_the_middle() -> None:
    """An exception between two items is raised, and the place is not lost."""

    class Source:
        """Fails once, at its second item."""

        number = -1

        def __aiter__(self) -> Source:
            return self

        async def __anext__(self) -> int:
            self.number += 1
            if self.number == 1:
                raise LookupError
            return self.number

    items = aiter(shard(Source(), 1, 2))
    with pytest.raises(LookupError):
        await anext(items)
    assert await anext(items) == 2


def test_number_of_shards_has_no_limit() -> None:
    """A shard beyond all items is empty, and the first has the first item."""
    huge = 10**30
    assert list(shard(iter([1, 2]), 0, huge)) == list(shard([1, 2], 0, huge)) == [1]
    assert list(shard(iter([1, 2]), huge - 1, huge)) == []


def test_size_of_a_list_stays_known() -> None:
    """The progress of a shard has an end."""
    part = shard(["a", "b", "c"], np.int64(0), np.int64(2))
    assert part == ["a", "c"]


@pytest.mark.parametrize(
    ("items", "index", "count", "problem"),
    [
        ("abc", 0, 2, "expected an iterable of items, found a str"),
        ({"a": 1}, 0, 2, "expected an iterable of items, found a dict"),
        ([1], 2, 2, "index: expected a number below the count of 2, found 2"),
        ([1], -1, 2, "index: expected an integer of at least 0, found -1"),
        ([1], 0, 0, "count: expected an integer of at least 1, found 0"),
        ([1], 0, 1.5, "count: expected an integer of at least 1, found 1.5"),
    ],
)
def test_wrong_arguments(items: Any, index: Any, count: Any, problem: str) -> None:
    """They are refused at the call, and not at the first item."""
    with pytest.raises(limin.ConfigurationError) as caught:
        shard(items, index, count)
    assert problem in str(caught.value)


async def test_checkpoints_of_shards_are_joined(tmp_path: Path) -> None:
    """Their lines in one file are the checkpoint of the whole run."""
    prompts = [str(number) for number in range(7)]
    options: Any = {"show_progress": False}
    paths = [tmp_path / f"{index}.jsonl" for index in range(3)]
    joined = tmp_path / "all.jsonl"
    async with serve() as server:
        options["base_url"] = server.base_url
        for index, path in enumerate(paths):
            part = shard(prompts, index, 3)
            await limin.generate_text_completions(part, checkpoint=path, **options)
        assert len(server.requests) == 7
        joined.write_bytes(b"".join(path.read_bytes() for path in paths))
        results = await limin.generate_text_completions(
            prompts, checkpoint=joined, **options
        )
        assert len(server.requests) == 7
    assert [result.message for result in results] == prompts
    read = [completion.message for completion in limin.read_checkpoint(*paths)]
    assert sorted(read) == prompts
