"""Times PyTorch's DCP: save, load on the same mesh, load rows as columns.

usage: torch_dcp.py DIR RANKS TENSORS ROWS COLUMNS

Prints the three times in seconds as a JSON list.
"""
import json
import os
import shutil
import sys
import time
import warnings

warnings.filterwarnings("ignore")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard


def state(mesh, dim, ranks, tensors, rows, columns):
    shape = [rows, columns]
    shape[dim] //= ranks
    local = lambda number: torch.full(shape, float(number + 1))
    return {f"tensor.{n}": DTensor.from_local(local(n), mesh, [Shard(dim)]) for n in range(tensors)}


def timed(work):
    dist.barrier()
    start = time.perf_counter()
    work()
    dist.barrier()
    return time.perf_counter() - start


def worker(rank, directory, ranks, tensors, rows, columns, port, results):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=ranks)
    mesh = init_device_mesh("cpu", (ranks,))
    by_rows = state(mesh, 0, ranks, tensors, rows, columns)
    save = timed(lambda: dcp.save(by_rows, checkpoint_id=directory))
    load = timed(lambda: dcp.load(by_rows, checkpoint_id=directory))
    del by_rows
    by_columns = state(mesh, 1, ranks, tensors, rows, columns)
    reshard = timed(lambda: dcp.load(by_columns, checkpoint_id=directory))
    if rank == 0:
        results.put([save, load, reshard])
    dist.barrier()
    dist.destroy_process_group()


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    directory, *numbers = sys.argv[1:]
    numbers = [int(number) for number in numbers]
    results = mp.get_context("spawn").SimpleQueue()
    mp.spawn(worker, args=(directory, *numbers, free_port(), results), nprocs=numbers[0])
    shutil.rmtree(directory)
    print(json.dumps(results.get()))


if __name__ == "__main__":
    main()
