"""Finds out whether PyTorch loads the same from two checkpoints: files of `torch.save`, or directories of DCP.

    same.py ONE OTHER

Objects are equal if they are pickled alike, tensors if dtype, shape and every byte are.
"""

import os
import pickle
import sys
import tempfile

import torch
from load_dcp import raw
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save


def main():
    one, other = map(load, sys.argv[1:3])
    compare(one, other, ())


def load(path):
    if os.path.isdir(path):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "whole.pt")
            dcp_to_torch_save(path, file)
            return load(file)
    return torch.load(path, map_location="cpu", weights_only=False)


def compare(one, other, path):
    if isinstance(one, dict) and isinstance(other, dict):
        # Dicts of tensors lose their class in a distributed checkpoint, and integer keys become text.
        keys = {str(key): key for key in one}
        others = {str(key): key for key in other}
        assert list(keys) == list(others), (path, list(keys), list(others))
        for name in keys:
            compare(one[keys[name]], other[others[name]], (*path, name))
    elif isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        assert (one.dtype, one.shape) == (other.dtype, other.shape), (path, one, other)
        assert one.layout != torch.strided or raw(one.detach()) == raw(other.detach()), path
    elif isinstance(one, (list, tuple)):
        assert type(one) is type(other) and len(one) == len(other), (path, one, other)
        for number, (item, other_item) in enumerate(zip(one, other)):
            compare(item, other_item, (*path, str(number)))
    else:
        assert type(one) is type(other), (path, type(one), type(other))
        assert pickle.dumps(one) == pickle.dumps(other) or one == other, (path, one, other)


if __name__ == "__main__":
    main()
