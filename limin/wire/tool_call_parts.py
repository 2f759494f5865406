"""The fragments of tool calls in a stream, joined to the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from limin.values.tools import ToolCallDelta
from limin.wire import untyped
from limin.wire.fragments import FUNCTION, TEXTS, read_extra, read_function_call
from limin.wire.surrogates import TextJoiner, mend_text
from limin.wire.unknown_fields import MergedFields

if TYPE_CHECKING:
    import msgspec

    from limin.wire.fragments import Fragment

# How often the text of a call is checked for a whole object. Each check reads all of it.
_MOST_CHECKS = 16

Joined: TypeAlias = "dict[str, str | msgspec.Raw | dict[str, msgspec.Raw]]"


class _Call:
    """One call, as far as its fragments came."""

    def __init__(self) -> None:
        self.id: str | None = None
        self.index: int | None = None
        self._kind: str | None = None
        self._body_name: str | None = None
        self._names: list[str] = []
        self._texts: list[str] = []
        self._joiner = TextJoiner()
        self._inner = MergedFields(joins=True)
        self._others = MergedFields(joins=True)
        self._n_checks = 0

    def is_whole(self) -> bool:
        """Return whether the text is an object of JSON, to which nothing can be added.

        The text for a tool that is no function has no shape: any of it is whole.
        """
        if self._body_name != FUNCTION or not self._texts:
            return bool(self._texts)
        if not self._texts[-1].rstrip().endswith("}") or self._n_checks >= _MOST_CHECKS:
            return False
        self._n_checks += 1
        try:
            value = untyped.parse("".join(self._texts).encode("utf-8", "replace"))
        except ValueError:
            return False
        return untyped.as_object(value) is not None

    def is_all(self, text: str) -> bool:
        """Return whether *text* is all the text that came."""
        return self._joiner.is_all(text)

    def has_name(self, name: str) -> bool:
        """Return whether *name* is the whole name of the tool."""
        return name == "".join(self._names)

    def add(self, fragment: Fragment) -> str:
        """Add *fragment*, and return the text that can be handed over."""
        self.id = self.id or fragment.id
        self._kind = self._kind or fragment.kind
        self._body_name = self._body_name or fragment.body_name
        self.index = fragment.index if self.index is None else self.index
        name, text = fragment.name, fragment.text
        # Not the whole name once more.
        if name and (not self._names or (name != self._names[0] and not self._texts)):
            self._names.append(name)
        if fragment.inner:
            self._inner.add(fragment.inner)
        if fragment.others:
            self._others.add(fragment.others)
        if not text or (self._joiner.is_all(text) and self.is_whole()):
            return ""
        self._texts.append(text)
        return self._joiner.add(text)

    def end(self) -> str:
        """Return the text for half of a surrogate pair that is still held back."""
        return self._joiner.end()

    def body(self) -> dict[str, msgspec.Raw]:
        """Return the object with the name and the text."""
        text_name = TEXTS[self._body_name or FUNCTION]
        parts = (("name", self._names), (text_name, self._texts))
        texts = {name: untyped.encode("".join(texts)) for name, texts in parts if texts}
        return texts | self._inner.encoded()

    def as_sent(self) -> Joined:
        """Return the call as a whole answer has it."""
        fields: Joined = {**self._others.encoded()}
        if self.id:
            fields["id"] = self.id
        if self._kind:
            fields["type"] = self._kind
        if self._body_name:
            fields[self._body_name] = self.body()
        return fields


class JoinedCalls:
    """The calls of one choice, in the order in which they began.

    A fragment belongs to the call of its index. Where servers send no index, a new id
    begins a new call, and so does a name behind a whole object of arguments; Ollama sends
    whole calls so. Where they always send 0, a new id with a name begins one, and so does
    anything behind a whole object.
    """

    def __init__(self) -> None:
        """Start without a call."""
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._function_call: _Call | None = None

    def add(self, fragments: list[Fragment]) -> tuple[ToolCallDelta, ...]:
        """Add the *fragments* of one event, and return them as they are handed over."""
        are_several = len(fragments) > 1
        return tuple(
            self._add(fragment, position if are_several else None)
            for position, fragment in enumerate(fragments)
        )

    def add_function_call(self, call: msgspec.Raw) -> tuple[ToolCallDelta, ...]:
        """Add a part of a call of OpenAI's older interface, as `add` does."""
        self._function_call = self._function_call or _Call()
        joined = self._function_call
        return tuple(
            _as_delta(fragment, joined.add(fragment))
            for fragment in read_function_call(call)
        )

    def end(self) -> tuple[ToolCallDelta, ...]:
        """Return what was held back of the arguments."""
        calls = [*self._calls, *filter(None, [self._function_call])]
        ends = [(call.index, call.end()) for call in calls]
        return tuple(ToolCallDelta(index, arguments=end) for index, end in ends if end)

    def as_sent(self) -> dict[str, object]:
        """Return the fields with the calls, as the message of a whole answer has them."""
        fields: dict[str, object] = {}
        if self._calls:
            fields["tool_calls"] = [call.as_sent() for call in self._calls]
        if self._function_call is not None:
            fields["function_call"] = self._function_call.body()
        return fields

    def _add(self, fragment: Fragment, position: int | None) -> ToolCallDelta:
        key = position if fragment.index is None else fragment.index
        call = self._find(fragment, key)
        if call is None:
            call = _Call()
            self._calls.append(call)
        if key is not None:
            self._by_index[key] = call
        if fragment.id:
            self._by_id.setdefault(fragment.id, call)
        return _as_delta(fragment, call.add(fragment))

    def _find(self, fragment: Fragment, key: int | None) -> _Call | None:
        """Return the call that *fragment* belongs to; None if it begins a new one."""
        own_id, name = fragment.id, fragment.name
        if own_id and own_id in self._by_id:
            return self._by_id[own_id]
        last = self._calls[-1] if self._calls else None
        call = last if key is None else self._by_index.get(key)
        if call is None:
            # Nebius and Cerebras count the index up within one call.
            # Source: https://github.com/dirac-run/dirac/pull/215
            is_typed = fragment.kind not in {None, FUNCTION}
            return None if own_id or name or is_typed else last
        if own_id and call.id and (name or key is None):
            return None
        return None if _begins_anew(fragment, call) else call


def _begins_anew(fragment: Fragment, call: _Call) -> bool:
    """Return whether *fragment* stands behind a whole *call*, and is another one.

    Source: https://github.com/open-webui/open-webui/pull/22235
    """
    name, text, has_index = fragment.name, fragment.text, fragment.index is not None
    is_other = bool(name) and not (has_index and call.has_name(name or ""))
    is_object = fragment.body_name == FUNCTION and text.lstrip()[:1] == "{"
    if not (is_object or is_other) or not call.is_whole():
        return False
    return is_other or not has_index or not call.is_all(text)


def _as_delta(fragment: Fragment, text: str) -> ToolCallDelta:
    name = fragment.name and mend_text(fragment.name)
    return ToolCallDelta(fragment.index, fragment.id, name, text, read_extra(fragment))
