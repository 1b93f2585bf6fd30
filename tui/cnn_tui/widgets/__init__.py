"""Parts of screens: each shows one thing about a run."""
