"""The lesson: how a network like the ones trained here works, with every number computed."""
