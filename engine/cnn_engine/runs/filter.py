"""Which runs are meant: `acc>0.9 lr<=0.001 status=done model~resnet`.

::

    filter      = all_of ("or" all_of)*
    all_of      = condition ("and"? condition)*      a space is "and"
    condition   = "not" condition | "(" filter ")" | comparison | word
    comparison  = key ("=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~") value

A key is one of `columns`; what values look like stands in `filter_values`. A word alone is
looked for in a run's names, note, tags and images; `star` alone asks for starred runs. What has a
space in it stands in quotes.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn, TypeAlias

from cnn_engine.errors import ConfigError
from cnn_engine.runs.columns import FIGURES, Figure, find_figure
from cnn_engine.runs.filter_values import comparison, contains
from cnn_engine.runs.summary import RunSummary

Condition: TypeAlias = Callable[[RunSummary], bool]

LONGEST = 2000
DEEPEST = 50

TOKEN = re.compile(
    r"(?P<operator><=|>=|!=|!~|==|=|<|>|~)|(?P<parenthesis>[()])"
    r"|\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'"
    r"|(?P<word>[^\s()<>=!~\"']+)|(?P<other>\S)"
)


@dataclass(frozen=True, kw_only=True)
class RunFilter:
    """What a filter asks for."""

    matches: Condition
    """Whether a run is meant."""

    figures: tuple[Figure, ...]
    """What it asks about, in the order of the text."""


def parse(text: str, runs: Sequence[RunSummary]) -> RunFilter:
    """The filter that a text means; an empty one means every run.

    Args:
        text: As the module's text tells.
        runs: Whose configs it may ask about.

    Raises:
        ConfigError: it means nothing; where, and what to write instead.
    """
    if len(text) > LONGEST:
        raise ConfigError(f"filter: is over {LONGEST:,} characters")
    return _Parser(text, runs).filter()


class _Token(NamedTuple):
    kind: str
    """`operator`, `parenthesis`, `quoted`, `word`, `other`, or `end`."""

    text: str
    at: int
    """Column, counted from 1."""


class _Parser:
    """Reads a filter from left to right."""

    def __init__(self, text: str, runs: Sequence[RunSummary]) -> None:
        self._runs = runs
        self._figures: dict[str, Figure] = {}
        self._depth = 0
        self._rest = [*map(_token, TOKEN.finditer(text)), _Token("end", "", len(text) + 1)]
        self._rest.reverse()

    def filter(self) -> RunFilter:
        """All of it."""
        if self._next.kind == "end":
            return RunFilter(matches=lambda _: True, figures=())
        matches = self._any_of()
        if self._next.kind != "end":
            _fail(self._next, "closes nothing")
        return RunFilter(matches=matches, figures=tuple(self._figures.values()))

    @property
    def _next(self) -> _Token:
        return self._rest[-1]

    def _take(self) -> _Token:
        return self._rest.pop() if len(self._rest) > 1 else self._next

    def _stands(self, word: str) -> bool:
        """Whether this word comes next, and is not a key."""
        is_key = len(self._rest) > 1 and self._rest[-2].kind == "operator"
        return self._next.kind == "word" and self._next.text.lower() == word and not is_key

    def _any_of(self) -> Condition:
        self._deeper()
        conditions = [self._all_of()]
        while self._stands("or"):
            self._take()
            conditions.append(self._all_of())
        self._depth -= 1
        return lambda run: any(condition(run) for condition in conditions)

    def _all_of(self) -> Condition:
        conditions = [self._condition()]
        while self._next.kind != "end" and self._next.text != ")" and not self._stands("or"):
            if self._stands("and"):
                self._take()
            conditions.append(self._condition())
        return lambda run: all(condition(run) for condition in conditions)

    def _condition(self) -> Condition:
        if self._stands("not"):
            self._take()
            self._deeper()
            denied = self._condition()
            self._depth -= 1
            return lambda run: not denied(run)
        token = self._take()
        if token.kind == "parenthesis" and token.text == "(":
            inner = self._any_of()
            if self._next.text != ")":
                _fail(token, "is never closed")
            self._take()
            return inner
        if token.kind not in ("word", "quoted"):
            _fail(token, "stands where a key or a word is needed, such as acc>0.9")
        if self._next.kind == "operator":
            return self._comparison(token)
        return _search(token.text)

    def _comparison(self, key: _Token) -> Condition:
        sign, value = self._take(), self._take()
        if value.kind not in ("word", "quoted"):
            _fail(value, f"stands where a value for {key.text!r} is needed")
        try:
            figure = find_figure(key.text, self._runs)
            compare = comparison(figure, sign.text, value.text)
        except ConfigError as error:
            raise ConfigError(f"filter, column {key.at}: {error}") from None
        self._figures[figure.key] = figure
        return lambda run: compare(figure.of(run))

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            _fail(self._next, "is nested too deeply")


def _token(match: re.Match[str]) -> _Token:
    kind = match.lastgroup or ""
    if kind in ("double", "single"):
        return _Token("quoted", match[kind], match.start() + 1)
    return _Token(kind, "=" if match[0] == "==" else match[0], match.start() + 1)


def _fail(token: _Token, problem: str) -> NoReturn:
    what = repr(token.text) if token.text else "the end"
    raise ConfigError(f"filter, column {token.at}: {what} {problem}")


def _search(word: str) -> Condition:
    """A word alone."""
    if word.lower() == "star":
        return lambda run: run.star
    is_in = contains(word)
    figures = [FIGURES[key] for key in ("run", "name", "preset", "note")]
    return lambda run: (
        any(is_in(figure.of(run)) for figure in figures)
        or any(map(is_in, run.tags))
        or is_in(run.source)
    )
