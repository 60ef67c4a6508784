"""Saves one large chunk, and times PyTorch's DCP at reading a slice of it.

usage: torch_slice.py save_chunk DIR ROWS COLUMNS
       torch_slice.py load_slice DIR ROWS COLUMNS PARTS

Loading prints the time in seconds: the second time, when everything is imported and warm.
"""
import sys
import time

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard


def save_chunk(directory, rows, columns):
    whole = torch.arange(rows * columns, dtype=torch.int32).reshape(rows, columns)
    dcp.save({"tensor": whole}, checkpoint_id=directory, no_dist=True)


def load_slice(directory, rows, columns, parts):
    """One rank's shard of many, without the other ranks."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    rank, height = parts // 2, rows // parts
    dist.init_process_group("fake", rank=rank, world_size=parts, store=FakeStore())
    mesh = init_device_mesh("cpu", (parts,))
    local = torch.zeros((height, columns), dtype=torch.int32)
    part = {"tensor": DTensor.from_local(local, mesh, [Shard(0)])}
    load = lambda: dcp.load(part, checkpoint_id=directory, no_dist=True)
    load()
    start = time.perf_counter()
    load()
    seconds = time.perf_counter() - start
    first = rank * height * columns
    assert torch.equal(local.flatten(), torch.arange(first, first + height * columns, dtype=torch.int32))
    print(seconds)


if __name__ == "__main__":
    what, directory, *numbers = sys.argv[1:]
    {work.__name__: work for work in [save_chunk, load_slice]}[what](directory, *map(int, numbers))
