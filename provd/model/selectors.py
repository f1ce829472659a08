"""The selector language, and listing of documents with it. Every store answers as this module does.

A selector is an object whose members must all hold. A member is a dotted key and either a value
(whole-value equality, as Python compares: 1 equals true) or an object of `$` operators. A key
follows objects; only its last step also searches the objects inside a list. So a key reaches no
value, one, or several, and each operator says what it wants of them. A comparison that makes no
sense is a mismatch: matching never raises.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeGuard

import attrs

from provd.errors import InvalidSelector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Document = Mapping[str, Any]
    Matcher = Callable[[Document], bool]
    Test = Callable[[Any], bool]

_MISSING = object()


def compile_selector(selector: object) -> Matcher:
    """Return the predicate that `selector` describes; raise InvalidSelector if it is malformed."""
    if not isinstance(selector, Mapping):
        raise InvalidSelector(f"a selector is an object, not {type(selector).__name__}")
    matchers = [
        matcher for key, condition in selector.items() for matcher in _matchers(key, condition)
    ]
    if len(matchers) == 1:
        return matchers[0]
    return lambda document: all(matcher(document) for matcher in matchers)


def _matchers(key: str, condition: object) -> Iterator[Matcher]:
    """Give one predicate for each operator of a member, as each may be met by another value."""
    if key.startswith("$"):
        raise InvalidSelector(f"{key}: a selector has keys of documents here, not operators")
    if not _is_operators(condition, key):
        yield _some(key, _equal_to(condition))
        return
    for name, operand in condition.items():
        if name in _COMPARISONS:
            yield _some(key, _compared_to(_COMPARISONS[name], operand))
        elif name == "$in":
            yield _some(key, _one_of(key, name, operand))
        elif name == "$nin":
            yield _none(key, _one_of(key, name, operand))
        elif name == "$ne":
            yield _none(key, _equal_to(operand))
        elif name == "$contains":
            yield _some(key, _containing(operand))
        elif name == "$exists":
            if not isinstance(operand, int) or operand not in {0, 1}:
                raise InvalidSelector(f"{key}: $exists takes true or false")
            yield (_some if operand else _none)(key, _anything)
        else:
            raise InvalidSelector(f"{key}: unknown operator {name}")


def _is_operators(condition: object, key: str) -> TypeGuard[Mapping[str, Any]]:
    if not isinstance(condition, Mapping):
        return False
    marks = {name.startswith("$") for name in condition}
    if len(marks) == 2:
        raise InvalidSelector(f"{key}: operators and plain keys are mixed in one object")
    return marks == {True}


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$ge": operator.ge,
    "$lt": operator.lt,
    "$le": operator.le,
}


def _equal_to(expected: object) -> Test:
    return lambda value: bool(value == expected)


def _one_of(key: str, name: str, operand: object) -> Test:
    if not isinstance(operand, list):
        raise InvalidSelector(f"{key}: {name} takes a list")
    # Scalars only ever equal scalars, and ids come by the thousand: hash those.
    scalars = frozenset(choice for choice in operand if not isinstance(choice, (dict, list)))
    containers = [choice for choice in operand if isinstance(choice, (dict, list))]
    return lambda value: value in (containers if isinstance(value, (dict, list)) else scalars)


def _compared_to(compare: Callable[[Any, Any], bool], operand: object) -> Test:
    def test(value: Any) -> bool:
        try:
            return compare(value, operand)
        except TypeError:
            return False

    return test


def _containing(operand: object) -> Test:
    def test(value: Any) -> bool:
        try:
            return isinstance(value, (str, list, dict)) and operand in value
        except TypeError:
            return False

    return test


def _anything(_value: object) -> bool:
    return True


def _some(key: str, test: Test) -> Matcher:
    """Return whether some value that `key` reaches passes `test`."""
    if "." in key:
        *steps, last = key.split(".")
        return lambda document: any(map(test, _reached(document, steps, last)))

    def matches(document: Document) -> bool:
        value = document.get(key, _MISSING)
        return value is not _MISSING and test(value)

    return matches


def _none(key: str, test: Test) -> Matcher:
    some = _some(key, test)
    return lambda document: not some(document)


def _reached(document: Document, steps: Sequence[str], last: str) -> Iterator[Any]:
    holder: Any = document
    for step in steps:
        holder = holder.get(step) if isinstance(holder, Mapping) else None
    holders = [holder]
    while holders:
        holder = holders.pop()
        if isinstance(holder, Mapping):
            if last in holder:
                yield holder[last]
        elif isinstance(holder, list):
            holders.extend(holder)


def equality_keys(selector: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what an index may answer: keys that can only match if they equal one of some texts.

    Only text is offered, as other scalars equal values of other types. The result narrows the
    search and does not replace the selector.
    """
    found: dict[str, list[str]] = {}
    for key, condition in selector.items():
        if isinstance(condition, str):
            found[key] = [condition]
        elif isinstance(condition, Mapping):
            choices = condition.get("$in")
            if isinstance(choices, list) and all(isinstance(choice, str) for choice in choices):
                found[key] = list(choices)
    return found


def project(document: Document, fields: Sequence[str]) -> dict[str, Any]:
    """Return the `id` of `document` and the dotted keys `fields`, in their nesting.

    Keys that cannot be followed through objects are left out. Values are shared, not copied.
    """
    result: dict[str, Any] = {}
    if "id" in document:
        result["id"] = document["id"]
    # Wider keys go last, so that they replace the parts of them that were taken before.
    for field in sorted(fields, key=lambda field: -field.count(".")):
        *steps, last = field.split(".")
        source: Any = document
        for step in steps:
            source = source.get(step) if isinstance(source, Mapping) else None
        if isinstance(source, Mapping) and last in source:
            target = result
            for step in steps:
                target = target.setdefault(step, {})
            target[last] = source[last]
    return result


def sort_value(document: Document, key: str) -> str:
    """Return the text by which `document` sorts on a dotted key; empty if missing or null."""
    value: Any = document
    for step in key.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return "" if value is None else str(value)


@attrs.frozen
class Query:
    """A listing: which documents, which of their keys, in which order, which part.

    `sort` is a dotted key and 1 or -1. A `limit` of None or 0 is no limit and a negative one gives
    nothing; a `skip` of 0 or less skips nothing.
    """

    selector: Mapping[str, Any] = attrs.field(factory=dict)
    fields: tuple[str, ...] | None = None
    sort: tuple[str, int] | None = None
    skip: int = 0
    limit: int | None = None

    @property
    def is_page(self) -> bool:
        """Whether it may leave out documents that match."""
        return self.skip > 0 or bool(self.limit)


def apply(documents: Iterable[Document], query: Query) -> list[dict[str, Any]]:
    """Return what `query` asks of `documents`, in their order unless it sorts; sorting is stable.

    The results are new objects that share their values with `documents`. Raises InvalidSelector.
    """
    found: Iterable[Document] = filter(compile_selector(query.selector), documents)
    if query.sort is not None:
        key, order = query.sort
        found = sorted(found, key=lambda document: sort_value(document, key), reverse=order < 0)
    limit = query.limit or None
    if limit is not None and limit < 0:
        return []
    start = max(query.skip, 0)
    part = islice(found, start, None if limit is None else start + limit)
    if query.fields is None:
        return [dict(document) for document in part]
    fields = query.fields
    return [project(document, fields) for document in part]
