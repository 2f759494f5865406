"""Every n-th item of a source, so that several processes share the work."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Generic, Self, TypeVar, overload

from limin.batch.results import check_batch
from limin.errors import ConfigurationError
from limin.values.checks import check_integer

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


@overload
def shard(items: AsyncIterable[T], index: int, count: int) -> AsyncIterable[T]: ...


@overload
def shard(items: Iterable[T], index: int, count: int) -> Iterable[T]: ...


def shard(
    items: Iterable[T] | AsyncIterable[T], index: int, count: int
) -> Iterable[T] | AsyncIterable[T]:
    """Return every *count*-th of *items*, beginning with the one at *index*.

    So *count* processes that read the same source, each with an index of its own, have
    each item once. Other items are read and dropped, one by one; of a sequence, such as
    a list, they are not even read, and the length of the shard is known.

    Args:
        items: Any iterable or async iterable, in the same order in each process.
        index: The number of this shard, from 0.
        count: The number of shards.

    Raises:
        ConfigurationError: If *items* cannot be iterated, or there is no shard with this
            number.
    """
    check_batch(items, 1, items="items")
    count = check_integer("count", count, at_least=1)
    index = check_integer("index", index, at_least=0)
    if index >= count:
        problem = f"index: expected a number below the count of {count}, found {index}"
        raise ConfigurationError(problem)
    if isinstance(items, AsyncIterable):
        return _EveryNth(items, index, count)
    if isinstance(items, Sequence):
        return items[index::count]
    # No source has more items, and `islice` takes no larger numbers.
    return islice(items, min(index, sys.maxsize), None, min(count, sys.maxsize))


class _EveryNth(Generic[T]):
    """The items of an async source at an index, and at each *count*-th after it.

    It is no generator, which would have to be closed.
    """

    def __init__(self, items: AsyncIterable[T], index: int, count: int) -> None:
        self._items, self._to_skip, self._between = aiter(items), index, count - 1

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while self._to_skip:
            await anext(self._items)
            self._to_skip -= 1
        item = await anext(self._items)
        self._to_skip = self._between
        return item
