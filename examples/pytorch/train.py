"""Train a small network on handwritten digits; the four lines marked with a bar are all that federates it."""

from __future__ import annotations

import argparse
import zlib

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import rondo  # |


class Net(nn.Module):
    """Images of 8 x 8 pixels in, ten scores out."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 64, 10)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def load(site: str) -> tuple[torch.Tensor, ...]:
    """What this site has: 150 of the 1,437 training images, drawn by its name; and the 360 test images, as all have."""
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels)
    mine = np.random.default_rng(zlib.crc32(site.encode())).choice(1437, 150, replace=False)
    return x[mine], y[mine], x[1437:], y[1437:]


def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", default="alone", help="whose images to train on")
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    torch.manual_seed(0)
    x, y, x_test, y_test = load(options.site)
    model = Net()

    for task in rondo.join(model.state_dict()):  # |
        model.load_state_dict(task.model)  # |
        before = accuracy(model, x_test, y_test)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
        model.train()
        for _ in range(options.epochs):
            for batch in torch.randperm(len(x)).split(25):
                loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        print(f"accuracy {before:.3f} before, {accuracy(model, x_test, y_test):.3f} after")
        task.submit(model.state_dict(), samples=len(x), metrics={"accuracy": before})  # |


if __name__ == "__main__":
    main()
