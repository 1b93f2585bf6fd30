"""Classify an image: python example.py IMAGE. Needs: numpy, pillow, onnxruntime."""

import json
import sys
from pathlib import Path

from onnxruntime import InferenceSession
from preprocess import read

if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
    sys.exit(f"usage: python {sys.argv[0]} IMAGE")
here = Path(__file__).parent
about = json.loads((here / "model.json").read_text())
try:
    image = read(sys.argv[1], about["size"], about["channels"], about["fit"], about["max_value"])
except Exception as error:  # noqa: BLE001 - Pillow raises anything
    sys.exit(f"{sys.argv[1]}: cannot be used: {str(error) or type(error).__name__}")
session = InferenceSession(here / "model.onnx")
(probabilities,) = session.run(None, {"images": image[None]})
best = probabilities[0].argmax()
print(about["classes"][best], probabilities[0][best])
