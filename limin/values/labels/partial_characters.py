"""What a character can be of which only the first bytes have come.

Tokens end inside characters, of emoji and of Chinese above all.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Case has been given to letters below this code point only (Adlam, U+1E943, is the last).
# Source: CaseFolding.txt of Unicode 16.
_END_OF_CASE = 0x1F000
_SURROGATES = range(0xD800, 0xE000)


def could_begin(first_bytes: bytes, characters: Iterable[str]) -> bool:
    """Return whether *first_bytes*, at least one, begin one of *characters*."""
    return bool(first_bytes) and any(
        character.encode().startswith(first_bytes) for character in characters
    )


def could_fold_to(first_bytes: bytes, folded: str, *, folds: bool) -> bool:
    """Return whether *first_bytes* begin a character that is *folded*, or begins with it.

    Args:
        first_bytes: The bytes that have come.
        folded: One character.
        folds: Whether the case of the character does not matter.
    """
    others = _unfolded().get(folded, ()) if folds else ()
    return could_begin(first_bytes, (folded, *others))


@cache
def _unfolded() -> Mapping[str, list[str]]:
    """Return the characters whose folded text begins with each character."""
    characters: defaultdict[str, list[str]] = defaultdict(list)
    for code in range(_END_OF_CASE):
        folded = chr(code).casefold()
        if folded != chr(code) and code not in _SURROGATES:
            characters[folded[0]].append(chr(code))
    return characters
