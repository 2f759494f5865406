"""What the traceback of an error may hold of a server's bytes: nothing."""

from __future__ import annotations


def forget_frames(error: BaseException) -> None:
    """Drop the tracebacks of *error*, and of all that it came from.

    Their frames hold bytes of the server, which may echo a key, and tools that report
    errors send the local variables of each frame.
    """
    for each in chain_of(error):
        each.__traceback__ = None


def chain_of(error: BaseException) -> list[BaseException]:
    """Return *error*, and all that it came from."""
    chain: dict[int, BaseException] = {}
    rest: list[BaseException | None] = [error]
    while rest:
        each = rest.pop()
        if each is not None and id(each) not in chain:
            chain[id(each)] = each
            rest += [each.__cause__, each.__context__]
    return list(chain.values())
