"""Runs that wait for a device of this machine, and locks of devices that train."""
