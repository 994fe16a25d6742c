"""Nonsense, as much as one likes, from a seed: lines that nobody meant to type, and bytes that are nearly a message."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from rondo.commands import seam

# Commands that do what they are asked to: a server that a line has stopped answers no other.
STOPPING = {"shutdown", "restart"}
WORDS = (
    "server", "client", "all", "a", "bb", "study", "0", "1", "-1", "2", "65536", "9" * 40, "1e309", "nan", "-n", "-f",
    "-al", "--", "-", "--when-busy", "queue", "refuse", "-c", "log.txt", "../../etc/passwd", "/etc/passwd", "run_1",
    ".", "..", "", "startup/server.key", "*", "(a+)+$", "[", "\\", "a\x00b", "\x1b[2J", "%s%n", "{}", "$(reboot)",
    "`id`", ";", "|", "é", "\u202e", "'", '"', "null", "true", "admin@x.org", "x" * 5000,
)  # fmt: skip


def text(of: Random) -> str:
    """A word: a likely one, one with a letter changed, or none at all."""
    word = of.choice(WORDS)
    if of.random() < 0.2:
        place = of.randrange(len(word) + 1)
        word = (
            word[:place]
            + chr(of.choice([0, 10, 34, 39, 92, of.randrange(1, 0xD800), of.randrange(0xE000, 0x110000)]))
            + word[place:]
        )
    return word


def command(of: Random) -> list[str]:
    """A command that there is (or nearly) and what may be its arguments."""
    names = sorted(
        {*seam.listed(), *(alias for module in seam.listed().values() for alias in getattr(module, "ALIASES", ()))}
        - STOPPING
    )
    name = of.choice(names) if of.random() < 0.9 else text(of)
    module = seam.listed().get(name)
    likely = module.EXAMPLE.split() if module is not None and of.random() < 0.7 else []
    words = [text(of) if of.random() < 0.2 else word for word in likely]
    return [name, *words, *(text(of) for _ in range(of.choice([0, 0, 1, 2, 3])))]


def line(of: Random) -> str:
    """A typed line, well quoted or not."""
    return of.choice((" ", "  ", "\t", " \\ ", ' "')).join(command(of))


def broken(of: Random, good: bytes) -> bytes:
    """``good`` with some bytes changed, lost, doubled or put in; now and then nothing of it is left."""
    data = bytearray(good)
    for _ in range(of.randrange(1, 4)):
        place, length = of.randrange(len(data) + 1), of.randrange(1, 9)
        match of.randrange(5):
            case 0:
                data[place : place + 1] = of.randbytes(1)
            case 1:
                del data[place : place + length]
            case 2:
                data[place:place] = data[place : place + length]
            case 3:
                data[place:place] = of.randbytes(length)
            case 4:
                data = bytearray(of.randbytes(of.randrange(64)))
    return bytes(data)


def message(of: Random, kind: Callable[[], Any], depth: int = 0) -> Any:
    """A message of this kind whose fields are filled with anything that fits their types, or with nothing."""
    made = kind()
    for field in made.DESCRIPTOR.fields:
        if of.random() < 0.5 or depth > 2:
            continue
        count = of.randrange(3) if field.is_repeated else 1
        values = [_value(of, made, field, depth) for _ in range(count)]
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.is_repeated:
            getattr(made, field.name).extend(values)
        elif field.message_type is not None:
            getattr(made, field.name).CopyFrom(values[0])
        else:
            setattr(made, field.name, values[0])
    return made


def _value(of: Random, made: Any, field: Any, depth: int) -> Any:
    if field.message_type is not None:
        return message(of, field.message_type._concrete_class, depth + 1)
    whole = of.choice([0, 1, 2, 2**31 - 1, of.randrange(2**31)])
    return {
        field.CPPTYPE_STRING: (lambda: text(of).encode() if field.type == field.TYPE_BYTES else text(of)),
        field.CPPTYPE_BOOL: (lambda: of.random() < 0.5),
        field.CPPTYPE_DOUBLE: (lambda: of.choice([0.0, -1.0, 1e308, float("nan"), float("inf")])),
    }.get(field.cpp_type, lambda: whole)()
