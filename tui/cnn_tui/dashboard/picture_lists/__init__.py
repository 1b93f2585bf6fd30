"""Lists of images with captions, which the Mistakes view shows."""
