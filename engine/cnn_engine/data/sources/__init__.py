"""Sources of images: a module with a `read` function each, and a `case` in `dataset._read`."""
