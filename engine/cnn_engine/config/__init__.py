"""The config of a run: typed, validated, read from TOML files and `--set`."""
