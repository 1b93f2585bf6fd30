"""Benchmarks of this machine's training speed."""
