"""Reports printed by commands: runs, comparisons, tests, image folders, benchmarks."""
