"""Sources of images: one module per source, called by a `case` in `dataset._read`."""
