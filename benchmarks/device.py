"""What the processor or GPU that this runs on can do at best."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from retrieval.processor import bfloat16_is_fast

_COPIED_BYTES = {"cuda": 2**31, "cpu": 2**28}
_MATRIX = {"cuda": 8_192, "cpu": 2_048}


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A GPU, or all processors together; `dtype` is the smaller one that it calculates with."""

    where: torch.device
    name: str
    dtype: torch.dtype

    def wait(self) -> None:
        """Until the GPU has done all that it was told to."""
        if self.where.type == "cuda":
            torch.cuda.synchronize(self.where)

    def free_bytes(self) -> int:
        """The memory that is left."""
        if self.where.type == "cuda":
            torch.cuda.empty_cache()
            return torch.cuda.mem_get_info(self.where)[0]
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvail"))

    def times_s(self, call: Callable[[], object], *, for_s: float) -> list[float]:
        """How long a call takes, once warmed up, again and again for some time; at least once."""
        for _ in range(2):
            call()
        self.wait()
        took: list[float] = []
        while not took or sum(took) < for_s:
            began = time.perf_counter()
            call()
            self.wait()
            took.append(time.perf_counter() - began)
        return took


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """Measured: a large tensor copied, bytes read and written; two large matrices multiplied."""

    bytes_per_s: float
    flops_per_s: float


def here() -> Device:
    """The first GPU if there is one."""
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        return Device(where=torch.device("cuda", 0), name=f"one {name}", dtype=torch.bfloat16)
    return Device(
        where=torch.device("cpu"),
        name=f"{torch.get_num_threads()} threads of the processor",
        dtype=torch.bfloat16 if bfloat16_is_fast() else torch.float32,
    )


def best(device: Device, *, for_s: float = 2.0) -> Best:
    """Measure it, each for some time."""
    return Best(bytes_per_s=_copied(device, for_s), flops_per_s=_multiplied(device, for_s))


def _copied(device: Device, for_s: float) -> float:
    size = _COPIED_BYTES[device.where.type]
    source = torch.ones(size, dtype=torch.uint8, device=device.where)
    target = torch.empty_like(source)
    return 2 * size / min(device.times_s(lambda: target.copy_(source), for_s=for_s))


def _multiplied(device: Device, for_s: float) -> float:
    side = _MATRIX[device.where.type]
    left, right = (torch.randn(side, side, device=device.where).to(device.dtype) for _ in range(2))
    return 2 * side**3 / min(device.times_s(lambda: left @ right, for_s=for_s))
