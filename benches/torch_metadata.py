"""Writes the index of a large PyTorch checkpoint, or times its reading.

usage: torch_metadata.py write DIR RANKS TENSORS
       torch_metadata.py read DIR

`read` prints the time in seconds, with the garbage collector as it is by default, and the largest memory in bytes, as a JSON list.
"""
import json
import pickle
import resource
import sys
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import torch
from torch.distributed.checkpoint import FileSystemReader
from torch.distributed.checkpoint import metadata as dcp
from torch.distributed.checkpoint.filesystem import _StorageInfo

PARTS = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj"]
ROWS, COLUMNS = 64, 4096


def name_of(number):
    return f"model.layers.{number // len(PARTS)}.{PARTS[number % len(PARTS)]}.weight"


def tensor(ranks):
    chunks = [
        dcp.ChunkStorageMetadata(offsets=torch.Size((ROWS * rank, 0)), sizes=torch.Size((ROWS, COLUMNS)))
        for rank in range(ranks)
    ]
    properties = dcp.TensorProperties(dtype=torch.float32)
    return dcp.TensorStorageMetadata(properties=properties, size=torch.Size((ROWS * ranks, COLUMNS)), chunks=chunks)


def places(rank, names):
    """What a rank reports of what it has written."""
    length = 4 * ROWS * COLUMNS + 1500
    path = f"__{rank}_0.distcp"
    for number, name in enumerate(names):
        index = dcp.MetadataIndex(name, torch.Size((ROWS * rank, 0)), rank)
        yield index, _StorageInfo(relative_path=path, offset=number * length, length=length)


def write(directory, ranks, tensors):
    names = [name_of(number) for number in range(tensors)]
    # Names come from each rank in a message of its own: they are equal, not the same.
    storage = {
        index: place
        for rank in range(ranks)
        for index, place in places(rank, pickle.loads(pickle.dumps(names)))
    }
    metadata = dcp.Metadata(
        state_dict_metadata={name: tensor(ranks) for name in names},
        planner_data={name: tuple(name.split(".", 1)) for name in names},
        storage_data=storage,
    )
    with open(Path(directory) / ".metadata", "wb") as file:
        pickle.dump(metadata, file)


def read(directory):
    start = time.perf_counter()
    FileSystemReader(directory).read_metadata()
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))


if __name__ == "__main__":
    what, directory, *numbers = sys.argv[1:]
    {"write": write, "read": read}[what](directory, *map(int, numbers))
