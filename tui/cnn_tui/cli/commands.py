"""Classes of the commands: plain help, paths with `~`, and hints for habits from other programs."""

import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from cnn_engine.config.paths import expand_home
from cnn_engine.errors import ConfigError
from cnn_tui.cli.habits import command_hint, option_hint, subcommand_hint
from cnn_tui.terminal.ascii import for_locale

Context: TypeAlias = Any
"""Typer's context, whose base classes depend on Typer's version."""

Parameters: TypeAlias = Any
"""List of Typer's arguments and options."""


Function = TypeVar("Function", bound=Callable[..., Any])
"""Function of a command."""


class Commands(typer.Typer):
    """Commands that expand `~` in their paths, as shells do not in `--output=~/x` or quotes."""

    def command(self, *args: Any, **kwargs: Any) -> Callable[[Function], Function]:  # noqa: ANN401
        """Return a decorator that adds a command."""
        add = super().command(*args, **kwargs)

        def decorate(function: Function) -> Function:
            return add(_with_home_expanded(function))

        return decorate

    def callback(self, *args: Any, **kwargs: Any) -> Callable[[Function], Function]:  # noqa: ANN401
        """Return a decorator that sets the function of the command without a subcommand."""
        add = super().callback(*args, **kwargs)

        def decorate(function: Function) -> Function:
            return add(_with_home_expanded(function))

        return decorate


def _with_home_expanded(function: Function) -> Function:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        for name, value in kwargs.items():
            if isinstance(value, Path):
                kwargs[name] = Path(expand_home(str(value)))
        return function(*args, **kwargs)

    return cast("Function", wrapper)


class Command(TyperCommand):
    """A command whose help has no types, and whose errors name the option to use."""

    def get_params(self, ctx: Context) -> Parameters:
        """Return the parameters, without types that say nothing in a help."""
        return _without_types(super().get_params(ctx))

    def format_help(self, ctx: Context, formatter: Any) -> None:  # noqa: ANN401 - a private class
        """Print the help, in ASCII if the locale has no UTF-8."""
        with redirect_stdout(for_locale(sys.stdout)):
            super().format_help(ctx, formatter)

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """Return the words after the command in its usage: `[OPTIONS] RUN [IMAGE...]`."""
        arguments = [param for param in self.get_params(ctx) if isinstance(param, TyperArgument)]
        return ["[OPTIONS]", *(_usage(argument) for argument in arguments if not argument.hidden)]

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse the command line.

        Raises:
            ConfigError: an option has a wrong value, or only other programs have it.
        """
        if not ctx.resilient_parsing:
            params = self.get_params(ctx)
            known = {name for param in params for name in (*param.opts, *param.secondary_opts)}
            if hint := option_hint(str(self.name), args, known):
                raise ConfigError(hint)
        with _plain_errors():
            return super().parse_args(ctx, args)


class Group(TyperGroup):
    """A command with subcommands, whose errors name the subcommand to use."""

    def get_params(self, ctx: Context) -> Parameters:
        """Return the parameters, without types that say nothing in a help."""
        return _without_types(super().get_params(ctx))

    def format_help(self, ctx: Context, formatter: Any) -> None:  # noqa: ANN401 - a private class
        """Print the help, in ASCII if the locale has no UTF-8."""
        with redirect_stdout(for_locale(sys.stdout)):
            super().format_help(ctx, formatter)

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse the options before the subcommand.

        Raises:
            ConfigError: an option has a wrong value.
        """
        with _plain_errors():
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Context, args: list[str]) -> Any:  # noqa: ANN401 - a private class
        """Return the subcommand that the first word names.

        Raises:
            ConfigError: it is a command that only other programs have; names the one to use.
        """
        if args[0] not in self.commands and not ctx.resilient_parsing:
            is_root = ctx.parent is None
            hint = command_hint(args) if is_root else subcommand_hint(str(self.name), args)
            if hint:
                raise ConfigError(hint)
        return super().resolve_command(ctx, args)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn pydantic's errors of wrong values into those of configs.

    Raises:
        ConfigError: an option has a wrong value.
    """
    try:
        yield
    except typer.BadParameter as error:
        param: Any = error.param
        invalid: Any = error.__cause__
        if not hasattr(invalid, "errors") or param is None or error.ctx is None:
            raise
        (problem, *_) = invalid.errors()
        from cnn_engine.config.presets import requirement

        source = error.ctx.get_parameter_source(param.name)
        is_variable = source is not None and source.name == "ENVIRONMENT"
        name = param.envvar if is_variable else max(param.opts, key=len)
        cause = problem.get("ctx", {}).get("error")
        text = requirement(problem) if cause is None else str(cause).rstrip(".")
        raise ConfigError(f"{name}: {text}") from None


def _without_types(params: Iterable[Any]) -> Parameters:
    found = list(params)
    for param in found:
        if isinstance(param, TyperArgument):
            param.display_type_rich = lambda ctx: None  # type: ignore[method-assign]  # noqa: ARG005
        elif param.is_flag and param.metavar is None:
            param.metavar = ""
    return found


def _usage(argument: TyperArgument) -> str:
    name = f"{argument.metavar}".removesuffix("...") + "..." * (argument.nargs != 1)
    is_required = argument.required or name == argument.metavar != name.removesuffix("...")
    return name if is_required else f"[{name}]"
