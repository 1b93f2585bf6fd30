"""This machine: devices, threads, memory, and the environment that results depend on."""
