"""The networks: normalized images [N, C, H, W] to logits [N, classes]."""
