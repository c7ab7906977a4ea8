"""Reads protobuf's wire format (https://protobuf.dev/programming-guides/encoding/), as far as the tests need it."""

import struct

_DOUBLE = struct.Struct("<d").unpack_from


class Broken(Exception):
    """The bytes are no protobuf message, or a value in use is not what its type allows."""


def delimited(path):
    """The messages of a file, each with its length in front: the file's bytes, start and end of each."""
    data = path.read_bytes()
    position, size = 0, len(data)
    while position < size:
        length, position = _varint(data, position)
        end = position + length
        if end > size:
            raise Broken(f"{path} ends inside a message")
        yield data, position, end
        position = end


def _varint(data, position):
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, position
        shift += 7
        if shift == 70:
            raise Broken("varint of more than ten bytes")


def fields(data, position, end, wanted):
    """The last value of each wanted field: an int for a varint, a position for fixed 32 and 64 bits, and a
    pair of start and end for what has a length. Checks the framing of the whole message."""
    found = {}
    try:
        while position < end:
            tag = data[position]
            if tag < 0x80:
                position += 1
            else:
                tag, position = _varint(data, position)
            number, wire_type = tag >> 3, tag & 7
            if wire_type == 2:
                length = data[position]
                if length < 0x80:
                    position += 1
                else:
                    length, position = _varint(data, position)
                value = position, position + length
                position += length
            elif wire_type == 0:
                value = data[position]
                if value < 0x80:
                    position += 1
                else:
                    value, position = _varint(data, position)
            elif wire_type == 1:
                value = position
                position += 8
            elif wire_type == 5:
                value = position
                position += 4
            else:
                raise Broken(f"wire type {wire_type}, which these files never hold")
            if number in wanted:
                found[number] = value
            elif number == 0:
                raise Broken("field number 0")
    except IndexError:
        raise Broken("ends too early") from None
    # Bytes of the next message may have been taken for bytes of this one; then the end does not fit.
    if position != end:
        raise Broken("ends inside a field")
    return found


def text(data, value):
    """A string field; absent is empty."""
    if value is None:
        return ""
    try:
        return data[value[0]:value[1]].decode()
    except UnicodeDecodeError:
        raise Broken("no UTF-8") from None


def double(data, value):
    return 0.0 if value is None else _DOUBLE(data, value)[0]


def int32(value):
    """An int32; absent is 0. Negative numbers are sign-extended to 64 bits on the wire."""
    if value is None:
        return 0
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def sint32(value):
    return None if value is None else value >> 1 ^ -(value & 1)


def timestamp_ms(data, value):
    """A google.protobuf.Timestamp in whole milliseconds since 1970, or None if there is none."""
    if value is None:
        return None
    parts = fields(data, value[0], value[1], (1, 2))
    seconds = parts.get(1, 0)
    if seconds >> 63:
        seconds -= 1 << 64
    return seconds * 1000 + parts.get(2, 0) // 1_000_000
