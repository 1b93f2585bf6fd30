"""What all formats of a model have in common: the model in fp32, and what is put beside it."""

import json
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from cnn_engine.config import TrainConfig
from cnn_engine.data import preprocess
from cnn_engine.errors import ConfigError
from cnn_engine.export import Files
from cnn_engine.export.classifier import Classifier
from cnn_engine.runs import RunDirectory
from cnn_engine.summary import read_summary
from cnn_engine.trained import Trained, load_trained

ABOUT_FILE = "model.json"
BESIDE = Path(__file__).parent / "beside"

PREPARATION = {
    "orientation": "rotate as the camera's EXIF note says",
    "transparency": "put on white",
    "animation": "take the first frame",
    "colours": "convert to RGB, or to grey where channels is 1",
