"""The published training loop, used only as the reference of benchmarks.

It transforms PIL images one at a time in the workers of a `DataLoader`, computes in fp32 and reads
the loss in every step. Of the config it uses model, normalization, learning rate and batch size.
"""

import time
from collections.abc import Iterator
from itertools import pairwise

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from cnn_engine.config.schema import Config, ModelConfig
from cnn_engine.data.dataset import DataSet
from cnn_engine.models.build import build_model
from cnn_engine.system.threads import choose_threads

WORKERS = min(4, choose_threads())
"""Worker processes: four as published, or the number of usable cores."""


class ReferenceImages(Dataset[tuple[Tensor, int]]):
    """Training images, converted from PIL images to tensors one at a time."""

    def __init__(self, data: DataSet, config: Config) -> None:
        self._pixels = data.images[data.train]
        self._labels = data.labels[data.train]
        channels = data.images.shape[3]
        mean, std = (
            values * (channels if len(values) == 1 else 1)
            for values in (config.data.mean, config.data.std)
        )
        self._transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize(mean, std)]
        )

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return a normalized image, float32 [C, H, W], and its label."""
        pixels = self._pixels[index].numpy()
        image = Image.fromarray(pixels.squeeze())
        return self._transform(image), int(self._labels[index])


def reference_model(config: ModelConfig, channels: int, size: int, classes: int) -> nn.Module:
    """Return the network from normalized images [N, C, H, W] to logits [N, classes].

    `cnn` has its layers in the published order; other networks are those of `build_model`.
    """
    if config.name != "cnn":
        return build_model(config, channels, size, classes)
    layers: list[nn.Module] = []
    for before, after in pairwise((channels, *config.filters)):
        convolution = nn.Conv2d(before, after, kernel_size=3, padding=1)
        layers += [convolution, nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    layers.append(nn.Flatten())
    side = size >> len(config.filters)
    units = (config.filters[-1] * side * side, *config.hidden)
    for before, after in pairwise(units):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(config.dropout)]
    return nn.Sequential(*layers, nn.Linear(units[-1], classes))


class Reference:
    """Published loop over a data set, run for a few seconds at a time."""

    def __init__(self, config: Config, data: DataSet, device: torch.device) -> None:
        size, channels = data.images.shape[2:]
        self._device = device
        self._model = reference_model(config.model, channels, size, len(data.classes)).to(device)
        self._optimizer = torch.optim.Adam(self._model.parameters(), lr=config.optimizer.lr)
        self._loss = nn.CrossEntropyLoss()
        # Spawned, not forked: a process whose threads are computing cannot be forked safely.
        self._loader = DataLoader(
            ReferenceImages(data, config),
            batch_size=config.train.batch_size,
            shuffle=True,
            num_workers=WORKERS,
            multiprocessing_context="spawn",
            persistent_workers=True,
        )
        self._batches = self._endless()

    def images_per_second(self, seconds: float) -> float:
        """Train for `seconds`; return images per second."""
        self._model.train()
        images_seen, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            images_seen += self._step()
        return images_seen / elapsed

    def _endless(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from self._loader

    def _step(self) -> int:
        images, labels = (tensor.to(self._device) for tensor in next(self._batches))
        self._optimizer.zero_grad()
        loss = self._loss(self._model(images), labels)
        loss.backward()
        self._optimizer.step()
        _ = loss.item() * len(images)  # the published loop sums this up in every step
        return len(images)
