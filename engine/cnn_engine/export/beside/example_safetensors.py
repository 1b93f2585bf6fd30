"""Classify an image: python example.py IMAGE. Needs: cnn-tui, safetensors."""

import json
import sys
from pathlib import Path

import torch
from preprocess import read
from safetensors.torch import load_file

from cnn_engine.config.schema import ModelConfig
from cnn_engine.export.classifier import Classifier
from cnn_engine.models.build import build_model

if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
    sys.exit(f"usage: python {sys.argv[0]} IMAGE")
here = Path(__file__).parent
about = json.loads((here / "model.json").read_text())
config = ModelConfig.model_validate_json(json.dumps(about["network"]))
network = build_model(config, about["channels"], about["size"], len(about["classes"]))
network.load_state_dict(load_file(here / "model.safetensors"))
normalisation = about["normalisation"]
model = Classifier(network, normalisation["mean"], normalisation["std"]).eval()
try:
    image = read(sys.argv[1], about["size"], about["channels"], about["fit"], about["max_value"])
except Exception as error:  # noqa: BLE001 - Pillow raises anything
    sys.exit(f"{sys.argv[1]}: cannot be used: {str(error) or type(error).__name__}")
probabilities = model(torch.tensor(image[None]))[0]
best = probabilities.argmax()
print(about["classes"][best], probabilities[best].item())
