"""Parses run filters, such as `acc>0.9 lr<=0.001 status=done model~resnet`.

::

    filter      = all_of ("or" all_of)*
    all_of      = condition ("and"? condition)*      a space means "and"
    condition   = "not" condition | "(" filter ")" | comparison | word
    comparison  = key ("=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~") value

A key is a column, the name of a series, such as `val/f1` or `min:val/loss`, or a config key (see
`columns`); `filter_values` describes the values. A single word is searched for in a run's id,
names, note, tags and data source; `star` selects starred runs. Text with spaces, and names with
spaces or parentheses, must be quoted: `"D(x)">0.5`, also in backticks.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn, TypeAlias

from cnn_engine.errors import ConfigError
from cnn_engine.runs.columns import RUN_COLUMNS, RunColumn, find_column
from cnn_engine.runs.filter_values import comparison, contains
from cnn_engine.runs.summary import RunSummary

Condition: TypeAlias = Callable[[RunSummary], bool]

MAX_LENGTH = 2000
MAX_DEPTH = 50

TOKEN = re.compile(
    r"(?P<operator><=|>=|!=|!~|==|=|<|>|~)|(?P<parenthesis>[()])"
    r"|\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|`(?P<back>[^`]*)`"
    r"|(?P<word>[^\s()<>=!~\"'`]+)|(?P<other>\S)"
)


@dataclass(frozen=True, kw_only=True)
class RunFilter:
    """A parsed filter."""

    matches: Condition
    """Returns True if a run matches."""

    columns: tuple[RunColumn, ...]
    """Columns that are compared, in the order of the text."""


def parse(text: str, runs: Sequence[RunSummary]) -> RunFilter:
    """Parse a filter; an empty one matches every run.

    Args:
        text: The filter, in the grammar above.
        runs: Runs whose config keys the filter may use.

    Raises:
        ConfigError: the filter is invalid; the message gives the position and a suggestion.
    """
    if len(text) > MAX_LENGTH:
        raise ConfigError(f"filter: longer than {MAX_LENGTH:,} characters")
    return _Parser(text, runs).filter()


class _Token(NamedTuple):
    kind: str
    """`operator`, `parenthesis`, `quoted`, `word`, `other`, or `end`."""

    text: str
    position: int
    """Position in the filter, counted from 1."""


class _Parser:
    """Recursive descent parser."""

    def __init__(self, text: str, runs: Sequence[RunSummary]) -> None:
        self._text, self._runs = text, runs
        self._columns: dict[str, RunColumn] = {}
        self._depth = 0
        self._rest = [*map(_token, TOKEN.finditer(text)), _Token("end", "", len(text) + 1)]
        self._rest.reverse()

    def filter(self) -> RunFilter:
        if self._next.kind == "end":
            return RunFilter(matches=lambda _: True, columns=())
        matches = self._any_of()
        if self._next.kind != "end":
            _fail(self._next, "has no opening parenthesis")
        return RunFilter(matches=matches, columns=tuple(self._columns.values()))

    @property
    def _next(self) -> _Token:
        return self._rest[-1]

    def _take(self) -> _Token:
        return self._rest.pop() if len(self._rest) > 1 else self._next

    def _next_is(self, word: str) -> bool:
        """Return True if the next token is this word and not a key."""
        is_key = len(self._rest) > 1 and self._rest[-2].kind == "operator"
        return self._next.kind == "word" and self._next.text.lower() == word and not is_key

    def _any_of(self) -> Condition:
        self._enter()
        conditions = [self._all_of()]
        while self._next_is("or"):
            self._take()
            conditions.append(self._all_of())
        self._depth -= 1
        return lambda run: any(condition(run) for condition in conditions)

    def _all_of(self) -> Condition:
        conditions = [self._condition()]
        while self._next.kind != "end" and self._next.text != ")" and not self._next_is("or"):
            if self._next_is("and"):
                self._take()
            conditions.append(self._condition())
        return lambda run: all(condition(run) for condition in conditions)

    def _condition(self) -> Condition:
        if self._next_is("not"):
            self._take()
            self._enter()
            negated = self._condition()
            self._depth -= 1
            return lambda run: not negated(run)
        token = self._take()
        if token.kind == "parenthesis" and token.text == "(":
            inner = self._any_of()
            if self._next.text != ")":
                _fail(token, "is never closed")
            self._take()
            return inner
        if token.kind not in ("word", "quoted"):
            hint = ""
            if token.kind == "operator" and self._text[: token.position - 1].rstrip().endswith(")"):
                hint = '; quote a name with parentheses, such as "D(x)">0.5'
            _fail_expected(token, "a key or a word, such as acc>0.9,", hint)
        if self._next.kind == "operator":
            return self._comparison(token)
        return _search(token.text)

    def _comparison(self, key: _Token) -> Condition:
        sign, value = self._take(), self._take()
        if value.kind not in ("word", "quoted"):
            _fail_expected(value, f"a value for {key.text!r}")
        try:
            column = find_column(key.text, self._runs)
            compare = comparison(column, sign.text, value.text)
        except ConfigError as error:
            raise ConfigError(f"filter, position {key.position}: {error}") from None
        self._columns[column.key] = column
        return lambda run: compare(column.value(run))

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            _fail(self._next, "is nested too deeply")


def _token(match: re.Match[str]) -> _Token:
    kind = match.lastgroup or ""
    if kind in ("double", "single", "back"):
        return _Token("quoted", match[kind], match.start() + 1)
    return _Token(kind, "=" if match[0] == "==" else match[0], match.start() + 1)


def _fail(token: _Token, problem: str) -> NoReturn:
    raise ConfigError(f"filter, position {token.position}: {token.text!r} {problem}")


def _fail_expected(token: _Token, expected: str, hint: str = "") -> NoReturn:
    """Raise the error for a token in place of the expected one."""
    problem = "is missing" if token.kind == "end" else f"is expected, not {token.text!r}"
    raise ConfigError(f"filter, position {token.position}: {expected} {problem}{hint}")


def _search(word: str) -> Condition:
    """Return the condition of a word that is not compared."""
    if word.lower() == "star":
        return lambda run: run.star
    is_in = contains(word)
    columns = [RUN_COLUMNS[key] for key in ("run", "name", "preset", "note")]
    return lambda run: (
        any(is_in(column.value(run)) for column in columns)
        or any(map(is_in, run.tags))
        or is_in(run.source)
    )
