"""What a job says it needs at each site: compared with what the site allows, before anything runs."""

from __future__ import annotations

from typing import Annotated

import msgspec

from rondo.base.amounts import bytes_of, seconds_of
from rondo.base.options import Options

_Count = Annotated[int, msgspec.Meta(ge=0, le=65536)]


class ResourcesPart(Options, frozen=True):
    """What one site has to give. A site whose own limits (``site_policy.toml``) are lower refuses before round 1.

    ``memory`` and ``disk`` like "16 GiB", ``run_time`` like "12 h"; what is not said is not compared. A site's limits
    hold while the job runs, whatever the job says here.
    """

    gpus: _Count = 0
    cpus: _Count = 0
    memory: str = ""
    disk: str = ""
    run_time: str = ""

    def __post_init__(self) -> None:
        for key, read in (("memory", bytes_of), ("disk", bytes_of), ("run_time", seconds_of)):
            text = getattr(self, key)
            try:
                _ = text and read(text)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None

    @property
    def memory_bytes(self) -> int:
        """0 where it is not said."""
        return bytes_of(self.memory) if self.memory else 0

    @property
    def disk_bytes(self) -> int:
        """0 where it is not said."""
        return bytes_of(self.disk) if self.disk else 0

    @property
    def seconds(self) -> float:
        """0 where it is not said."""
        return seconds_of(self.run_time) if self.run_time else 0.0
