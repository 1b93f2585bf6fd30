"""In what a run cannot be as another was, or as it was before a break."""


def unlike(now: dict[str, str], then: dict[str, str]) -> tuple[str, ...]:
    """What is other now, by name, each as `threads: 2, before 4`."""
    return tuple(
        f"{name}: {value}, before {then[name]}"
        for name, value in now.items()
        if then.get(name, value) != value
    )
