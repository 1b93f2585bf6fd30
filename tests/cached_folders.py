"""A folder of images and the files of the image cache."""

from PIL import Image

from cnn_engine.data import cache


def save(path, shade):
    Image.new("RGB", (16, 16), (shade, 0, 0)).save(path)


def cache_files():
    return sorted(cache.cache_directory().glob("*"))
