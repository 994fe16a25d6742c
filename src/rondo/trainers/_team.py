"""Processes that torchrun started and that train one network: which of them this is, and what they share.

Each has its part of every data set and one copy of the network; gradients are averaged at every step (PyTorch's
DistributedDataParallel), so that all copies stay the same. torchrun has said who meets where.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Team:
    """``rank``: this process among ``size``, all on this machine."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process whose update counts, and that writes files."""
        return self.rank == 0

    def device(self, gpu: bool) -> Any:
        """The GPU of this process where ``gpu``, and there is one; else the CPU."""
        torch = importlib.import_module("torch")
        if not gpu or not torch.cuda.is_available():
            return torch.device("cpu")
        if self.size > 1:
            torch.cuda.set_device(self.rank)
            return torch.device("cuda", self.rank)
        return torch.device("cuda")

    def meet(self, device: Any) -> None:
        """Wait for the others, where nobody has yet; from now on they can talk to each other."""
        distributed = importlib.import_module("torch.distributed")
        if self.size > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
            importlib.import_module("ignite.distributed").sync()  # it asks all of them who is where: so all at once

    def together(self, network: Any, device: Any) -> Any:
        """``network`` such that its training is that of all."""
        if self.size == 1:
            return network
        parallel = importlib.import_module("torch.nn.parallel")
        return parallel.DistributedDataParallel(network, [device.index] if device.type == "cuda" else None)

    def align(self, network: Any) -> None:
        """Take over the first process's weights, and what it has counted beside them: each has seen other data."""
        if self.size > 1:
            distributed = importlib.import_module("torch.distributed")
            for tensor in (*network.parameters(), *network.buffers()):
                distributed.broadcast(tensor.detach(), 0)

    def part(self, dataset: Any, *, shuffle: bool, even: bool) -> Any:
        """What draws this process's part of ``dataset``; None for all of it.

        ``even``: parts of one length, as training needs them, for which some cases are drawn twice. Otherwise each
        case is drawn once; data too small to go round, or of unknown length, is seen whole by everyone.
        """
        length = len(dataset) if hasattr(dataset, "__len__") else 0
        if self.size == 1 or length < (1 if even else self.size):
            return None
        return importlib.import_module("monai.data").DistributedSampler(
            dataset, even_divisible=even, num_replicas=self.size, rank=self.rank, shuffle=shuffle
        )


ALONE = Team()


def team_here(environment: Mapping[str, str] = os.environ) -> Team:
    """The one that this process is part of."""
    return Team(int(environment.get("RANK", "0")), int(environment.get("WORLD_SIZE", "1")))


def reorder(loader: Any, seed: int, epoch: int) -> None:
    """Let a data loader whose data is shared out draw the order of ``epoch``."""
    sampler: Any = getattr(loader, "sampler", None)
    if hasattr(sampler, "set_epoch"):
        sampler.seed = seed % 2**32
        sampler.set_epoch(epoch)
