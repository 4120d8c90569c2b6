"""Arrays of a run, of which only what is needed is read.

The arrays of a large run take a gigabyte, and an answer needs a small part of it. So `arrays.json` says where each
array of the .npz files lies, and the CRC-32 of every BLOCK bytes of these files. Each block that is read is compared
with its CRC-32 before a byte of it is used. Nothing is mapped into memory: what was compared is what is used, and an
error of the disk is one that can be reported."""

from __future__ import annotations

import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

NAME = "arrays.json"
BLOCK = 1 << 14  # bytes with a CRC-32 of their own
CHUNK = 1 << 22  # bytes read at a time
WHOLE = 1 << 20  # bytes: a smaller array is read at once
ALIGNED = 64  # bytes: BLAS copies arrays that begin at an odd address
Facts: TypeAlias = dict[str, Any]
Errors: TypeAlias = Callable[[], AbstractContextManager[None]]  # what turns errors into a `UserError`


def describe(folder: Path) -> dict[str, Facts]:
    """Return what `arrays.json` holds: {name of an .npz file in the folder: {"size": bytes, "crc32": of each block,
    8 hexadecimal digits each, "arrays": {name: {"dtype", "shape", "fortran", "offset"}}}}."""
    return {path.name: _describe(path) for path in sorted(folder.glob("*.npz"))}


def _describe(path: Path) -> Facts:
    arrays: dict[str, Facts] = {}
    with open(path, "rb") as file:
        checksums = [zlib.crc32(block) for block in iter(lambda: file.read(BLOCK), b"")]
        size = file.tell()
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if member.compress_type != zipfile.ZIP_STORED:
                    raise ValueError(f"{path} is compressed; np.savez writes what can be read in parts")
                file.seek(member.header_offset + 26)  # lengths of the name and the extra field (APPNOTE.TXT, 4.3.7)
                file.seek(sum(struct.unpack("<HH", file.read(4))), os.SEEK_CUR)
                np.lib.format.read_magic(file)
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
                if dtype.hasobject:
                    raise ValueError(f"{path} holds Python objects; nothing pickled is read")
                about = {"dtype": dtype.str, "shape": shape, "fortran": fortran, "offset": file.tell()}
                arrays[member.filename.removesuffix(".npy")] = about
    return {"size": size, "crc32": "".join(f"{checksum:08x}" for checksum in checksums), "arrays": arrays}


class File:
    """An .npz file, opened by what `describe` says about it. verified: whether its blocks are compared with their
    checksums. errors: makes the context in which it is read."""

    def __init__(self, path: Path, about: Facts, verified: bool, errors: Errors) -> None:
        self.path, self.size, self.verified, self.errors = path, about["size"], verified, errors
        self.checksums = np.frombuffer(bytes.fromhex(about["crc32"]), ">u4")
        if path.stat().st_size != self.size:
            raise ValueError(f"{path} has another size than when it was written")
        self.arrays = {name: StoredArray(self, **facts) for name, facts in about["arrays"].items()}

    def read(self, start: int, end: int) -> NDArray[np.uint8]:
        """Return the bytes from `start` to before `end`, at an aligned address; an error where one of the blocks that
        they lie in is damaged."""
        first, last = start // BLOCK * BLOCK, min(-(-end // BLOCK) * BLOCK, self.size)
        content = np.empty(last - first + ALIGNED, np.uint8)
        skipped = -(content.ctypes.data + start - first) % ALIGNED
        content = content[skipped : skipped + last - first]
        with self.errors(), open(self.path, "rb", buffering=0) as file:
            file.seek(first)
            for begin in range(0, len(content), CHUNK):
                chunk = memoryview(content[begin : begin + CHUNK].data)
                if file.readinto(chunk) != len(chunk):
                    raise EOFError(f"{self.path} is cut")
                self._check(chunk, (first + begin) // BLOCK)
        return content[start - first : end - first]

    def _check(self, chunk: memoryview, number: int) -> None:
        """Compare the blocks of a chunk, which begins with the block of this number, with their checksums."""
        if self.verified:
            checksums = [zlib.crc32(chunk[at : at + BLOCK]) for at in range(0, len(chunk), BLOCK)]
            if checksums != self.checksums[number : number + len(checksums)].tolist():
                raise ValueError(f"{self.path} is not what was written")


class StoredArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array in a `File`. `array[rows]`, with indices or a slice, reads these rows alone, and where it is stored by
    columns (`fortran`) `array[:, columns]` reads these columns. Any other use reads all of it, once."""

    def __init__(self, file: File, dtype: str, shape: list[int], fortran: bool, offset: int) -> None:
        self.file, self.dtype, self.shape = file, np.dtype(dtype), tuple(shape)
        self.fortran, self.offset = fortran, offset
        self.lines = self.shape[::-1] if fortran else self.shape  # the shape as it is stored
        self.nbytes, self.ndim = math.prod(shape) * self.dtype.itemsize, len(shape)  # scipy asks for ndim

    @cached_property
    def whole(self) -> NDArray:
        """All of the array."""
        content = self.file.read(self.offset, self.offset + self.nbytes).view(self.dtype).reshape(self.lines)
        return content.T if self.fortran else content

    @property
    def T(self) -> NDArray:  # noqa: N802 the name that arrays have
        """The whole array, transposed."""
        return self.whole.T

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        return np.array(self.whole, dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        arrays = (value.whole if isinstance(value, StoredArray) else value for value in inputs)
        return getattr(ufunc, method)(*arrays, **kwargs)

    def __getitem__(self, key: Any) -> NDArray:
        of_columns = isinstance(key, tuple) and isinstance(key[0], slice) and key[0] == slice(None)
        picked = key[1] if of_columns else key
        if "whole" in vars(self) or of_columns != self.fortran or isinstance(picked, tuple):
            return self.whole[key]
        if isinstance(picked, slice) and picked.step is None:
            first, end, _ = picked.indices(self.lines[0])
            if 2 * (end - first) > self.lines[0]:
                return self.whole[key]
            lines = self._lines(first, end)
        elif np.asarray(picked).dtype.kind in "iu" and self._is_less(np.ravel(picked)):
            each = np.concatenate([self._lines(i, i + 1) for i in np.ravel(picked).tolist()])
            lines = each.reshape(np.shape(picked) + self.lines[1:])
        else:
            return self.whole[key]
        return lines.T if self.fortran else lines

    def _is_less(self, index: NDArray) -> bool:
        """Whether to read these lines, one after the other, takes much less than to read everything."""
        line = self.nbytes // max(self.lines[0], 1)
        return 0 < len(index) * (line + 4 * BLOCK) < self.nbytes and index.min() >= 0

    def _lines(self, first: int, end: int) -> NDArray:
        """Return the lines from `first` to before `end`."""
        if end > self.lines[0]:
            raise IndexError(f"line {end - 1} of {self.lines[0]}")
        line, count = self.nbytes // max(self.lines[0], 1), max(end - first, 0)
        content = self.file.read(self.offset + first * line, self.offset + (first + count) * line)
        return content.view(self.dtype).reshape(count, *self.lines[1:])
