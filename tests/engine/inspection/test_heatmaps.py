"""Heatmaps of what speaks for a class, where the truth is known: a square decides the class."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchvision.models import DenseNet, SwinTransformer, VisionTransformer, vgg11

from cnn_engine.inspection.heatmaps import heatmaps, try_heatmaps
from cnn_engine.models.cnn import CNN
from cnn_engine.models.resnet import ResNet
from cnn_engine.models.whitened import WhitenedCNN
from cnn_engine.results.heatmap import Heatmap

SIDE, SQUARE, CLASSES = 24, 6, 3


def squares(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return images of noise with a bright square, classes (its colour), and its corners."""
    images = 0.2 * torch.randn(count, 3, SIDE, SIDE)
    classes = torch.randint(CLASSES, (count,))
    corners = torch.randint(SIDE - SQUARE + 1, (count, 2))
    for image, color, (top, left) in zip(images, classes, corners.tolist(), strict=True):
        image[color, top : top + SQUARE, left : left + SQUARE] += 3
    return images.contiguous(memory_format=torch.channels_last), classes, corners


class OfAUser(nn.Module):
    """Changes its input and its maps in place; its first layers are fixed and without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.fixed = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(inplace=True)
        ).requires_grad_(False)
        self.last = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        images -= 0.1
        with torch.no_grad():
            maps = self.fixed(images)
        maps = self.last(maps).relu_()
        logits: Tensor = self.head(maps.mean(dim=(2, 3)))
        return logits


class Frozen(OfAUser):
    """Computes all its maps without gradients."""

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            maps = self.last(self.fixed(images))
        logits: Tensor = self.head(maps.relu().mean(dim=(2, 3)))
        return logits


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "cnn": lambda: CNN(
        channels=3, image_size=SIDE, class_count=CLASSES, filters=[8, 16], hidden=[16], dropout=0.1
    ),
    "resnet": lambda: ResNet(
        channels=3, image_size=SIDE, class_count=CLASSES, filters=[8, 8], blocks=1
    ),
    "whitened": lambda: WhitenedCNN(
        channels=3, image_size=SIDE, class_count=CLASSES, filters=[8, 8], depth=2
    ),
    "torchvision": lambda: DenseNet(
        growth_rate=4, block_config=(2, 2), num_init_features=8, bn_size=2, num_classes=CLASSES
    ),
    "user": OfAUser,
    "frozen": Frozen,
}


def trained(network: nn.Module, steps: int = 60) -> nn.Module:
    """Return the network, trained to tell the squares."""
    if isinstance(network, WhitenedCNN):
        network.init_from_images(squares(100)[0])
    parameters = [each for each in network.parameters() if each.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    for _ in range(steps):
        images, classes, _ = squares(32)
        optimizer.zero_grad()
        cross_entropy(network(images), classes).backward()
        optimizer.step()
    return network


def greatest_is_in_square(heatmap: Heatmap, top: int, left: int) -> bool:
    """Return True if the cell of the greatest value overlaps the square."""
    row, column = divmod(heatmap.values.index(255), heatmap.width)
    return all(
        cell * SIDE / cells < edge + SQUARE and edge < (cell + 1) * SIDE / cells
        for cell, cells, edge in ((row, heatmap.height, top), (column, heatmap.width, left))
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_greatest_value_lies_in_the_square_that_decides_the_class(name: str) -> None:
    torch.manual_seed(0)
    network = trained(NETWORKS[name]())
    images, classes, corners = squares(32)
    found = heatmaps(network, images, classes)
    hits = [
        greatest_is_in_square(heatmap, *corner)
        for heatmap, corner in zip(found, corners.tolist(), strict=True)
    ]
    assert sum(hits) >= 20  # by chance about 6
    assert min(found[0].height, found[0].width) >= 5
    mean = sum(sum(heatmap.values) / len(heatmap.values) for heatmap in found) / len(found)
    assert mean < 100  # the rest is dark


def test_model_and_random_states_are_unchanged_under_inference_mode_and_autocast() -> None:
    network = NETWORKS["cnn"]()
    network.train()
    network.get_submodule("dense.0").eval()
    network.get_submodule("blocks.0.0").requires_grad_(False)
    images, classes, _ = squares(8)
    cross_entropy(network(images), classes).backward()
    before = state(network)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = heatmaps(network, images * 1, classes)
    assert len(found) == 8
    assert before == state(network)
    assert not any(
        module._forward_hooks or module._forward_pre_hooks for module in network.modules()
    )


def state(network: nn.Module) -> list[object]:
    """Return all that heatmaps could change, as values that can be compared."""
    return [
        [module.training for module in network.modules()],
        [parameter.requires_grad for parameter in network.parameters()],
        [None if each.grad is None else each.grad.tolist() for each in network.parameters()],
        [value.tolist() for value in network.state_dict().values()],
        torch.get_rng_state().tolist(),
    ]


def test_values_do_not_depend_on_the_batch_and_large_maps_are_averaged_down() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * SIDE**2, CLASSES)
    )
    images, classes, _ = squares(5)
    together = heatmaps(network, images, classes)
    assert {(heatmap.height, heatmap.width) for heatmap in together} == {(16, 16)}
    assert {max(heatmap.values) for heatmap in together} == {255}
    for heatmap, image, label in zip(together, images, classes, strict=True):
        (alone,) = heatmaps(network, image[None], label[None])
        pairs = zip(alone.values, heatmap.values, strict=True)
        assert max(abs(first - second) for first, second in pairs) <= 1


@pytest.mark.parametrize(
    "network",
    [
        VisionTransformer(
            image_size=SIDE,
            patch_size=4,
            num_layers=2,
            num_heads=2,
            hidden_dim=8,
            mlp_dim=8,
            num_classes=CLASSES,
        ),
        SwinTransformer(
            patch_size=[2, 2],
            embed_dim=8,
            depths=[1, 1],
            num_heads=[2, 2],
            window_size=[3, 3],
            num_classes=CLASSES,
        ),
    ],
    ids=["vit", "swin"],
)
def test_transformers_have_heatmaps_of_their_patches(network: nn.Module) -> None:
    if isinstance(network, VisionTransformer):
        nn.init.normal_(network.heads[-1].weight)  # it starts as 0
    found = heatmaps(network, *squares(2)[:2])
    assert [(heatmap.height, heatmap.width) for heatmap in found] == [(6, 6)] * 2
    assert all(max(heatmap.values) == 255 for heatmap in found)


def test_pooling_that_enlarges_maps_is_not_taken_for_maps() -> None:
    """Adaptive pooling makes 7×7 of 1×1 here: the places in it mean nothing."""
    with torch.device("meta"):
        network = vgg11(num_classes=CLASSES)
    network.classifier = nn.Sequential(nn.Linear(512 * 49, CLASSES))
    network.to_empty(device="cpu")
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.05)
    images = torch.randn(1, 3, 32, 32)
    (found,) = heatmaps(network, images, torch.tensor([0]))
    assert (found.height, found.width) == (8, 8)


def test_networks_without_maps_or_that_fail_have_no_heatmaps() -> None:
    images, classes, _ = squares(3)
    dense = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, CLASSES))
    assert heatmaps(dense, images, classes) == []
    problems: list[str] = []
    assert try_heatmaps(dense, images, classes, problems.append) == [None] * 3
    assert problems == []
    assert try_heatmaps(nn.Linear(1, CLASSES), images, classes, problems.append) == [None] * 3
    assert len(problems) == 1
    assert problems[0].startswith("no heatmaps of what the network looks at: RuntimeError: ")
