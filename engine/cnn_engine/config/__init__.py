"""The config of a run: typed, validated as a whole, read from TOML and `--set`."""
