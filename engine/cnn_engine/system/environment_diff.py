"""Differences between two recorded environments."""


def environment_diff(current: dict[str, str], recorded: dict[str, str]) -> tuple[str, ...]:
    """Return the values that differ from the recorded ones, each as `threads: 2, before 4`.

    Names that are missing in `recorded` are not compared.
    """
    return tuple(
        f"{name}: {value}, before {recorded[name]}"
        for name, value in current.items()
        if recorded.get(name, value) != value
    )
