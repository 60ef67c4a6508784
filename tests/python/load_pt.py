"""Loads files of `torch.save` with stock PyTorch, and compares what it finds with what was saved.

    load_pt.py check MANIFEST

The manifest is JSON: a list of {"path", "trusted", "tensors": {fqn: [dtype, shape, sha256]}, "objects": {fqn: how it is shown}, "tied":
[[fqn, fqn]]}. What is not trusted is loaded with `weights_only=True`. Of an object that is shown as null it is enough that it is loaded.
"""

import hashlib
import json
import sys

import torch
from load_dcp import raw, show


def main():
    with open(sys.argv[2]) as manifest:
        files = json.load(manifest)
    for file in files:
        for mmap in [False, True]:
            state = torch.load(file["path"], map_location="cpu", weights_only=not file["trusted"], mmap=mmap)
            check(state, file)
    print(f"PyTorch {torch.__version__}: {len(files)} files")


def check(state, file):
    found = {".".join(path): leaf for path, leaf in leaves(state, ())}
    assert set(found) == set(file["tensors"]) | set(file["objects"]), (file["path"], sorted(found))
    for fqn, (dtype, shape, digest) in file["tensors"].items():
        tensor = found[fqn]
        assert str(tensor.dtype) == f"torch.{dtype}", (file["path"], fqn, tensor.dtype)
        assert list(tensor.shape) == shape, (file["path"], fqn, tensor.shape)
        assert hashlib.sha256(raw(tensor)).hexdigest() == digest, (file["path"], fqn)
    for fqn, expected in file["objects"].items():
        assert expected is None or show(found[fqn]) == expected, (file["path"], fqn, show(found[fqn]), expected)
    for one, other in file.get("tied", []):
        assert found[one].data_ptr() == found[other].data_ptr(), (file["path"], one, other)


def leaves(node, path):
    """Dicts fall into their items, and so do lists in which there is a tensor or a dict."""
    if isinstance(node, dict) and node and all(isinstance(key, (str, int)) for key in node):
        for key, item in node.items():
            yield from leaves(item, (*path, str(key)))
    elif isinstance(node, list) and any(map(holds_state, node)):
        for number, item in enumerate(node):
            yield from leaves(item, (*path, str(number)))
    else:
        yield path, node


def holds_state(node):
    return isinstance(node, (dict, torch.Tensor)) or isinstance(node, list) and any(map(holds_state, node))


if __name__ == "__main__":
    main()
