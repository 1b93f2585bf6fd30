"""A run handed on: each module writes one format, none needs PyTorch or numpy."""
