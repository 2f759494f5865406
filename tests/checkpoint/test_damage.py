"""A damaged checkpoint is refused as it is, or goes on with the lines that were written."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeAlias

import attrs
import pytest
from builders import body_of, capture, captures
from recorded import RETRIED, STREAMED, completed, request, same

from limin.checkpoint.file import Checkpoint, read_checkpoint
from limin.errors import CheckpointError
from limin.values.conversation import Conversation
from limin.values.warnings import WarningCode
from limin.wire.response import ReadingContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from limin.values.completion import TextCompletion

SEED = 20_261_126
ANSWERS = 15
ROUNDS = 30

# Each takes the bytes of a checkpoint, and random numbers, and returns other bytes.
Damage: TypeAlias = "Callable[[bytes, random.Random], bytes]"


def flip_bit(data: bytes, chance: random.Random) -> bytes:
    """Flip one bit, as memory without error correction does."""
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def change_byte(data: bytes, chance: random.Random) -> bytes:
    """Change one byte into any other."""
    at = chance.randrange(len(data))
    return data[:at] + bytes([(data[at] + chance.randrange(1, 256)) % 256]) + data[at + 1 :]


def change_letter(data: bytes, chance: random.Random) -> bytes:
    """Change a digit or a letter into another, so that the JSON stays JSON."""
    at = chance.choice([at for at, byte in enumerate(data) if bytes([byte]).isalnum()])
    return data[:at] + chance.choice(b"0123456789abcxyz").to_bytes() + data[at + 1 :]


def delete_bytes(data: bytes, chance: random.Random) -> bytes:
    """Delete up to 50 bytes."""
    at = chance.randrange(len(data))
    return data[:at] + data[at + chance.randint(1, 50) :]


def insert_bytes(data: bytes, chance: random.Random) -> bytes:
    """Insert up to 10 bytes."""
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.randbytes(chance.randint(1, 10)) + data[at:]


def zero_bytes(data: bytes, chance: random.Random) -> bytes:
    """Overwrite up to 512 bytes by zeros, as a lost block of a disk."""
    at, size = chance.randrange(len(data)), chance.randint(1, 512)
    return data[:at] + bytes(len(data[at : at + size])) + data[at + size :]


def cut_end(data: bytes, chance: random.Random) -> bytes:
    """Keep only the first bytes."""
    return data[: chance.randrange(len(data))]


def cut_start(data: bytes, chance: random.Random) -> bytes:
    """Keep only the last bytes."""
    return data[chance.randrange(1, len(data)) :]


def repeat_line(data: bytes, chance: random.Random) -> bytes:
    """Write one line a second time, anywhere."""
    lines = data.splitlines(keepends=True)
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
    return b"".join(lines)


def shuffle_lines(data: bytes, chance: random.Random) -> bytes:
    """Bring the lines into another order."""
    lines = data.splitlines(keepends=True)
    chance.shuffle(lines)
    return b"".join(lines)


def drop_line(data: bytes, chance: random.Random) -> bytes:
    """Leave one line out."""
    lines = data.splitlines(keepends=True)
    del lines[chance.randrange(len(lines))]
    return b"".join(lines)


def mix_lines(data: bytes, chance: random.Random) -> bytes:
    """Put the start of one line before the end of another."""
    lines = data.splitlines(keepends=True)
    first, second = chance.sample(range(len(lines)), 2)
    at = chance.randrange(100, len(lines[first]))
    lines[first] = lines[first][:at] + lines[second][at - len(lines[first]) :]
    return b"".join(lines)


def add_foreign_line(data: bytes, chance: random.Random) -> bytes:
    """Write a line of another program anywhere."""
    lines = data.splitlines(keepends=True)
    foreign = [b"{}\n", b'{"level":"info"}\n', b"\n", b"Dear diary\n", b'{"body":"{}"}\n']
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(foreign))
    return b"".join(lines)


def add_half_line(data: bytes, chance: random.Random) -> bytes:
    """Write a part of a line once more at the end."""
    line = chance.choice(data.splitlines())
    return data + line[: chance.randrange(1, len(line))]


def use_crlf(data: bytes, _chance: random.Random) -> bytes:
    """Save the file with an editor of Windows."""
    return data.replace(b"\n", b"\r\n")


def add_byte_order_mark(data: bytes, _chance: random.Random) -> bytes:
    """Save the file with another editor of Windows."""
    return b"\xef\xbb\xbf" + data


def add_zeros(data: bytes, chance: random.Random) -> bytes:
    """Lose power while the file grows."""
    return data + bytes(chance.randint(1, 5000))


DAMAGES = [
    flip_bit,
    change_byte,
    change_letter,
    delete_bytes,
    insert_bytes,
    zero_bytes,
    cut_end,
    cut_start,
    repeat_line,
    shuffle_lines,
    drop_line,
    mix_lines,
    add_foreign_line,
    add_half_line,
    use_crlf,
    add_byte_order_mark,
    add_zeros,
]


def originals() -> Iterator[tuple[str, TextCompletion]]:
    """Yield prompts and their completions: short, streamed, and with log probabilities.

    Every third prompt is the same one, with another answer each time.
    """
    log_probs = [name for name in captures() if "-logprobs_" in name]
    for number in range(ANSWERS):
        prompt = "sample" if number % 3 == 0 else f"prompt {number}"
        body = body_of(f"Paris {number}")
        if number % 5 == 4:
            body = capture(log_probs[number % len(log_probs)])["body"]
        timing = attrs.evolve([RETRIED, STREAMED][number % 2], start_time=1e9 + number)
        completion = completed(
            prompt, body, timing=timing, request_id=f"r-{number}", asks_log_probs=True
        )
        yield prompt, completion


def resume(path: Path, prompt: str) -> TextCompletion | None:
    """Return the answer to *prompt* in the checkpoint, which is opened for it."""
    with Checkpoint.open(path) as checkpoint:
        recorded = checkpoint.take(request(prompt, log_probs=True))
    conversation = Conversation.from_prompts(prompt)
    context = ReadingContext(conversation=conversation, model="m", asks_log_probs=True)
    return None if recorded is None else recorded.completion(context)


def of_its_line(completion: TextCompletion) -> TextCompletion:
    """Return *completion* without the warning that depends on the lines before it."""
    kept = [
        warning
        for warning in completion.body_warnings
        if warning.code != WarningCode.SERVED_MODEL_CHANGED
    ]
    return attrs.evolve(completion, body_warnings=tuple(kept))


def are_written(read: list[TextCompletion], written: list[TextCompletion]) -> bool:
    """Return whether each completion was written, and none is there twice."""
    rest = list(written)
    for completion in read:
        index = next((i for i, each in enumerate(rest) if same(each, completion)), None)
        if index is None:
            return False
        del rest[index]
    return True


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_refused_or_harmless(path: Path, damage: Damage) -> None:
    """No wrong text, number, time or id, and no error but a `CheckpointError`."""
    written = list(originals())
    with Checkpoint.open(path) as checkpoint:
        for prompt, completion in written:
            checkpoint.add(request(prompt, log_probs=True), completion)
    whole = path.read_bytes()
    completions = [completion for _, completion in written]
    outcomes = {"refused": 0, "as it was": 0}
    for seed in range(ROUNDS):
        damaged = damage(whole, random.Random(f"{SEED} {seed}"))  # noqa: S311 (no secret)
        path.write_bytes(damaged)
        try:
            read = list(read_checkpoint(path))
        except CheckpointError:
            outcomes["refused"] += 1
            with pytest.raises(CheckpointError):
                Checkpoint.open(path)
            assert path.read_bytes() == damaged
            continue
        outcomes["as it was"] += 1
        assert are_written(list(map(of_its_line, read)), completions)
        resumed = [resume(path, prompt) for prompt, _ in written[1:3]]
        assert are_written([each for each in resumed if each], completions)
        assert same_lines(path.read_bytes(), whole)
    print(f"\n{damage.__name__}: {outcomes}")  # noqa: T201 (pytest -s shows it)


def same_lines(resumed: bytes, whole: bytes) -> bool:
    """Return whether each line of *resumed* is one of *whole*."""
    return set(resumed.splitlines(keepends=True)) <= set(whole.splitlines(keepends=True))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a checkpoint."""
    return tmp_path / "run.jsonl"
