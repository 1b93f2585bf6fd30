"""Classify an image: python example.py IMAGE. Needs: numpy, pillow, torch."""

import json
import sys
from pathlib import Path

import torch
from preprocess import read

if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
    sys.exit(f"usage: python {sys.argv[0]} IMAGE")
here = Path(__file__).parent
about = json.loads((here / "model.json").read_text())
try:
    image = read(sys.argv[1], about["size"], about["channels"], about["fit"], about["max_value"])
except Exception as error:  # noqa: BLE001 - Pillow raises anything
    sys.exit(f"{sys.argv[1]}: cannot be used: {str(error) or type(error).__name__}")
model = torch.export.load(here / "model.pt2").module()
probabilities = model(torch.tensor(image[None]))[0]
best = probabilities.argmax()
print(about["classes"][best], probabilities[best].item())
