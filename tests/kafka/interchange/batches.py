"""How batches are compressed on a broker's disk: the attributes in their headers.

https://kafka.apache.org/documentation/#recordbatch
"""

import struct
from pathlib import Path

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
HEADER = struct.Struct(">qiibIh")  # first offset, length, leader epoch, magic, checksum, attributes
OFFSET_AND_LENGTH_BYTES = 12
CONTROL = 0x20


def codecs(kafka: Path, topic: str) -> set[str]:
    """Of the topic's batches of records, on the cluster whose folder this is."""
    found = set()
    for file in kafka.glob(f"node-*/disk/data/{topic}-[0-9]*/*.log"):
        data, position = file.read_bytes(), 0
        while position + HEADER.size <= len(data):
            _, length, _, _, _, attributes = HEADER.unpack_from(data, position)
            if not attributes & CONTROL:
                found.add(CODECS[attributes & 7])
            position += OFFSET_AND_LENGTH_BYTES + length
    return found
