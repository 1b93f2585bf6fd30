"""Settings that stay: their keys in `config.toml`, types, defaults and explanations."""

from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

from cnn_engine.notifications.targets import EVENT_NAMES, EventName

MAX_THREADS = 4096


class ThemeName(StrEnum):
    """Names of the themes on the command line."""

    DARK = "dark"
    LIGHT = "light"
    COLOR_BLIND = "color-blind"
    COLOR_BLIND_LIGHT = "color-blind-light"
    HIGH_CONTRAST = "high-contrast"
    TERMINAL = "terminal"


class OnHangup(StrEnum):
    """Reaction of a run to the loss of its terminal."""

    TRAIN = "train"
    STOP = "stop"


Device: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]


class Options(Struct, frozen=True):
    """Options of a dashboard."""

    theme: Annotated[ThemeName, Meta(extra={"option": "--theme"}, description="Colour theme.")] = (
        ThemeName.DARK
    )
    ascii: Annotated[
        bool,
        Meta(
            extra={"option": "--ascii"},
            description="Use only ASCII characters, whatever the locale.",
        ),
    ] = False
    mouse: Annotated[
        bool,
        Meta(
            extra={"option": "--mouse"},
            description="Mouse support; without it the terminal itself selects text.",
        ),
    ] = True
    bell: Annotated[
        bool, Meta(extra={"option": "--bell"}, description="Ring the terminal bell on an alert.")
    ] = False
    terminal_status: Annotated[
        bool,
        Meta(
            description="Show the run in the terminal's title and taskbar, and notify through the "
            "terminal when it ends, if the terminal can."
        ),
    ] = True


class RunSettings(Struct, frozen=True):
    """Defaults of new runs, and the place of all runs."""

    runs_dir: Annotated[
        str,
        Meta(
            extra={"option": "--runs-dir"},
            description="Directory of the runs. If empty: ./runs, or the user's data directory if "
            "the working directory cannot be written.",
        ),
    ] = ""
    device: Annotated[
        Device,
        Meta(
            extra={"option": "--device"},
            description="Device of new runs; auto selects a GPU if there is one.",
        ),
    ] = "auto"
    threads: Annotated[
        int,
        Meta(
            extra={"option": "--set train.threads=N"},
            ge=0,
            le=MAX_THREADS,
            description="CPU threads of new runs; 0 for one per physical core that may be used.",
        ),
    ] = 0
    on_hangup: Annotated[
        OnHangup,
        Meta(
            extra={"option": "--on-hangup"},
            description="If the terminal is lost: keep training, or stop and save a checkpoint.",
        ),
    ] = OnHangup.TRAIN


class NotifySettings(Struct, frozen=True):
    """Word of a run's end, outside this terminal."""

    url: Annotated[
        list[str],
        Meta(
            extra={"option": "--notify"},
            description="Addresses that get a message: ntfy, Slack, Discord or any webhook.",
        ),
    ] = field(default_factory=list)
    on_end: Annotated[
        str,
        Meta(
            extra={"option": "--on-end"},
            description="Shell command to run when a run ends. If empty: none.",
        ),
    ] = ""
    events: Annotated[
        list[EventName],
        Meta(extra={"option": "--notify-on"}, description="Events that are worth a message."),
    ] = field(default_factory=lambda: list(EVENT_NAMES))


class Settings(Struct, frozen=True):
    """All settings, by section of `config.toml`."""

    display: Options = Options()
    run: RunSettings = RunSettings()
    notify: NotifySettings = NotifySettings()
    keys: Annotated[
        dict[str, str],
        Meta(description="Own keys: ids of keys of the dashboard, and Textual's names of keys."),
    ] = field(default_factory=dict)


DEFAULT_OPTIONS = Options()
