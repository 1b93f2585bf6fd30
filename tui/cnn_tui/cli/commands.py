"""Classes of the commands: plain help, and hints for habits from other programs."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from typer.core import TyperArgument, TyperCommand, TyperGroup

from cnn_engine.errors import ConfigError
from cnn_tui.cli.habits import command_hint, option_hint, subcommand_hint

Context: TypeAlias = Any
"""Typer's context, whose base classes depend on Typer's version."""

Parameters: TypeAlias = Any
"""List of Typer's arguments and options."""


class Command(TyperCommand):
    """A command whose help has no types, and whose errors name the option to use."""

    def get_params(self, ctx: Context) -> Parameters:
        """Return the parameters, without types that say nothing in a help."""
        return _without_types(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """Return the words after the command in its usage: `[OPTIONS] RUN [IMAGE...]`."""
        arguments = [param for param in self.get_params(ctx) if isinstance(param, TyperArgument)]
        return ["[OPTIONS]", *(_usage(argument) for argument in arguments if not argument.hidden)]

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse the command line.

        Raises:
            ConfigError: it has an option that only other programs have; names the one to use.
        """
        if not ctx.resilient_parsing:
            params = self.get_params(ctx)
            known = {name for param in params for name in (*param.opts, *param.secondary_opts)}
            if hint := option_hint(str(self.name), args, known):
                raise ConfigError(hint)
        return super().parse_args(ctx, args)


class Group(TyperGroup):
    """A command with subcommands, whose errors name the subcommand to use."""

    def get_params(self, ctx: Context) -> Parameters:
        """Return the parameters, without types that say nothing in a help."""
        return _without_types(super().get_params(ctx))

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


def _without_types(params: Iterable[Any]) -> Parameters:
    found = list(params)
    for param in found:
        if isinstance(param, TyperArgument):
            param.display_type_rich = lambda ctx: None  # type: ignore[method-assign]  # noqa: ARG005
        elif param.is_flag and param.metavar is None:
            param.metavar = ""
    return found


def _usage(argument: TyperArgument) -> str:
    name = f"{argument.metavar}{'...' * (argument.nargs != 1)}"
    return name if argument.required else f"[{name}]"
