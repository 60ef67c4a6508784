"""PyTorch's own way to a bucket: fsspec, with s3fs. Keys and endpoint are those of the environment.

    bucket.py save URL     saves a state with DCP
    bucket.py check URL    loads what should be that state, and compares every byte
"""

import sys

import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.default_planner import _EmptyStateDictLoadPlanner
from torch.distributed.checkpoint.state_dict_loader import _load_state_dict

try:
    from torch.distributed.checkpoint.fsspec_filesystem import FsspecReader, FsspecWriter
except ImportError:  # before PyTorch 2.15
    from torch.distributed.checkpoint._fsspec_filesystem import FsspecReader, FsspecWriter


def state():
    """The state that `pytorch.rs` knows as well: 0, 1, 2, … in rows, and a number."""
    weight = torch.arange(48, dtype=torch.float32).reshape(6, 8)
    return {"model": {"weight": weight, "half": weight.to(torch.bfloat16)}, "step": 7}


def main():
    what, url = sys.argv[1:3]
    if what == "save":
        dcp.save(state(), storage_writer=FsspecWriter(url), no_dist=True)
    else:
        check(url)


def check(url):
    loaded = {}
    _load_state_dict(loaded, FsspecReader(url), planner=_EmptyStateDictLoadPlanner(), no_dist=True)
    for name, tensor in state()["model"].items():
        found = loaded["model"][name]
        assert found.dtype == tensor.dtype and torch.equal(found, tensor), (name, found)
    assert loaded["step"] == 7, loaded
    assert loaded.keys() == {"model", "step"} and loaded["model"].keys() == {"weight", "half"}, loaded


if __name__ == "__main__":
    main()
