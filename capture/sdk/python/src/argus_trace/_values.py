"""What a call was given and gave back, as bounded values that every JSON reader takes."""

import math
from itertools import islice
from typing import Any, Dict, List

#: How much of a call's arguments, or of its result, is kept, in characters; a capture is no place for whole documents.
VALUE_MAX = 16 * 1024
#: How deeply values may nest: the capture's JSON reader refuses a line beyond 128.
DEPTH_MAX = 32
#: Longer integers are texts: the capture's reader holds 64 bits.
INTEGERS = range(-(2**63), 2**64)


def kept(value: Any) -> Any:
    """A copy that JSON can hold: what it cannot, as its repr; what is too long or too deep, cut, with a word of it."""
    try:
        return _Copy().of(value, 0)
    except Exception:
        # Such as a dictionary of one's own whose items() raises.
        return f"<{type(value).__name__} that could not be read>"


def text_of(value: Any) -> str:
    """A name, or what an exception says, in words; never raises, as the author's own __str__ may."""
    try:
        return _cut(str(value), VALUE_MAX)
    except Exception:
        return f"<{type(value).__name__} without a text>"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}... (cut; {len(text)} characters)"


class _Copy:
    """One walk through a value, which ends when its room is used up: circles end there too."""

    __slots__ = ("_room",)

    def __init__(self) -> None:
        self._room = VALUE_MAX

    def of(self, value: Any, depth: int) -> Any:
        if value is None or value is True or value is False:
            self._room -= 4
            return value
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, int) and value in INTEGERS:
            self._room -= 8
            return int(value)
        if isinstance(value, float) and math.isfinite(value):
            self._room -= 8
            return float(value)
        if isinstance(value, (dict, list, tuple, set, frozenset)):
            if depth == DEPTH_MAX:
                return self._text(f"<{type(value).__name__} nested too deeply>")
            return self._members(value, depth + 1)
        if isinstance(value, (bytes, bytearray)):
            # Not the repr of all of it, which for a file's content costs four times its size.
            shown = repr(bytes(value[: max(self._room, 0)]))
            return self._text(shown if len(value) <= self._room else f"{shown}... (cut; {len(value)} bytes)")
        return self._text(self._repr(value))

    def _members(self, value: Any, depth: int) -> Any:
        # The slice is taken at once, so that another thread that changes the value meanwhile does no harm.
        if isinstance(value, dict):
            copy: Dict[str, Any] = {}
            for name, member in list(islice(value.items(), self._fit())):
                if self._room <= 0:
                    break
                # The name first, so that a long member does not use up its room.
                key = self._text(str.__str__(name) if isinstance(name, str) else self._repr(name))
                copy[key] = self.of(member, depth)
            if len(copy) < len(value):
                copy["..."] = f"(cut; {len(value)} members)"
            return copy
        copies: List[Any] = []
        for member in list(islice(value, self._fit())):
            if self._room <= 0:
                break
            copies.append(self.of(member, depth))
        if len(copies) < len(value):
            copies.append(f"... (cut; {len(value)} members)")
        return copies

    def _fit(self) -> int:
        # Every member takes room, so that no more than this can be looked at; an empty list takes one.
        self._room -= 1
        return max(self._room, 0)

    def _text(self, text: str) -> str:
        text = _cut(text, max(self._room, 0))
        self._room -= len(text) + 2
        return text

    def _repr(self, value: Any) -> str:
        try:
            return repr(value)
        except Exception:
            return f"<{type(value).__name__} without a repr>"
