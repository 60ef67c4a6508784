"""Times what people save to S3 with from PyTorch.

usage: torch_bucket.py contestants URL                                  those that are installed
       torch_bucket.py save_boto3 URL TENSORS ELEMENTS IN_FLIGHT        torch.save into memory, uploaded by boto3
       torch_bucket.py load_boto3 URL TENSORS ELEMENTS IN_FLIGHT
       torch_bucket.py save_s3torchconnector URL TENSORS ELEMENTS FILES  PyTorch's DCP through its writer, on so many threads
       torch_bucket.py load_s3torchconnector URL TENSORS ELEMENTS

URL is s3://BUCKET/PREFIX; the environment says (AWS_ENDPOINT_URL, AWS_REGION, ...) how it is reached. Prints the time in seconds, and the
peak of memory in bytes beyond the state.
"""
import importlib.util
import io
import json
import os
import sys
import time
import warnings

warnings.filterwarnings("ignore")

import torch
import torch.distributed.checkpoint as dcp

PART = 8 << 20


def contestants(url):
    print(json.dumps([name for name in ["boto3", "s3torchconnector"] if importlib.util.find_spec(name)]))


def save_boto3(url, tensors, elements, in_flight):
    client, bucket, key = boto3_client(url)
    state = filled(tensors, elements)

    def save():
        content = io.BytesIO()
        torch.save(state, content)
        content.seek(0)
        client.upload_fileobj(content, bucket, key, Config=transfer(in_flight))

    measured(save)


def load_boto3(url, tensors, elements, in_flight):
    client, bucket, key = boto3_client(url)
    state = {}

    def load():
        content = io.BytesIO()
        client.download_fileobj(bucket, key, content, Config=transfer(in_flight))
        content.seek(0)
        state.update(torch.load(content))

    # The state itself is made on the way.
    measured(load, beyond=4 * tensors * elements)
    check(state)


def boto3_client(url):
    import boto3
    from botocore.config import Config

    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    config = Config(s3={"addressing_style": "path"}, max_pool_connections=64)
    return boto3.client("s3", config=config), bucket, f"{prefix}/state.pt"


def transfer(in_flight):
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=in_flight)


def save_s3torchconnector(url, tensors, elements, files):
    from s3torchconnector.dcp import S3StorageWriter

    state = filled(tensors, elements)
    writer = S3StorageWriter(region=os.environ["AWS_REGION"], path=url, thread_count=files)
    writer.fs = connector_files()
    measured(lambda: dcp.save(state, storage_writer=writer, no_dist=True))


def load_s3torchconnector(url, tensors, elements):
    from s3torchconnector.dcp import S3StorageReader

    state = filled(tensors, elements, value=lambda number: -1.0)
    reader = S3StorageReader(region=os.environ["AWS_REGION"], path=url)
    reader.fs = connector_files(reader._reader_constructor)
    measured(lambda: dcp.load(state, storage_reader=reader, no_dist=True))
    check(state)


def connector_files(reader=None):
    """Its file system at a server of one's own, for which its writer and reader have no parameter."""
    from s3torchconnector import S3ClientConfig
    from s3torchconnector._s3client import S3Client
    from s3torchconnector.dcp.s3_file_system import S3FileSystem

    region, config = os.environ["AWS_REGION"], S3ClientConfig(force_path_style=True, part_size=PART)
    client = S3Client(region=region, endpoint=os.environ.get("AWS_ENDPOINT_URL"), s3client_config=config)
    return S3FileSystem(region, s3_client=client, reader_constructor=reader)


def filled(tensors, elements, value=lambda number: number + 1.0):
    return {f"tensor.{n}": torch.full((elements,), value(n), dtype=torch.float32) for n in range(tensors)}


def check(state):
    for name, tensor in state.items():
        assert (tensor == float(name.removeprefix("tensor.")) + 1).all(), name


def measured(work, beyond=0):
    before, start = peak(), time.perf_counter()
    work()
    print(json.dumps([time.perf_counter() - start, max(0, peak() - before - beyond)]))


def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))


if __name__ == "__main__":
    what, url, *numbers = sys.argv[1:]
    works = [contestants, save_boto3, load_boto3, save_s3torchconnector, load_s3torchconnector]
    {work.__name__: work for work in works}[what](url, *map(int, numbers))
