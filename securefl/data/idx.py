"""IDX files (the format of MNIST), and Fashion-MNIST from a folder of four of them.

Rules kept here:
- The header must agree with the file to the byte before it is believed; sizes are capped.
- Pixels 0..255 become 0..1 by that public constant.
- The source's own test part is kept: `test_fraction` and `seed` have nothing to decide here.

What this file does NOT do: IDX types other than unsigned bytes; downloads.

Reference: LeCun, Cortes and Burges, "THE IDX FILE FORMAT" (with MNIST); Xiao et al. 2017, "Fashion-MNIST".
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from securefl.data.examples import Dataset, Examples
from securefl.data.source import MIB, image_hash, read_capped
from securefl.errors import DataError

DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_UNSIGNED_BYTE = 0x08
_CAP_BYTES = 1024 * MIB


def load_fashion_mnist(folder: Path | None = None) -> Dataset:
    """Fashion-MNIST, or any other ten-class set in the same four IDX files, as (1, height, width) images.

    Raises:
        DataError: no folder, a file missing or damaged, images and labels that do not match.
    """
    at = DEBIAN_FOLDER if folder is None else folder
    if not at.is_dir():
        raise DataError(
            f"{at}: expected a folder with train and t10k IDX files, got no folder; type `make data`, "
            "install "
            f"the Debian package {DEBIAN_PACKAGE}, or name your own folder in data.path"
        )
    images, labels = _pair(at, "train")
    test_images, test_labels = _pair(at, "t10k")
    if images.shape[1:] != test_images.shape[1:]:
        raise DataError(
            f"{at}: expected test images of {images.shape[1:]} as in training, got {test_images.shape[1:]}"
        )
    return Dataset(
        name="fashion_mnist",
        train=Examples(_scaled(images), labels),
        test=Examples(_scaled(test_images), test_labels),
        classes=len(FASHION_CLASSES),
        source_hash=image_hash(np.concatenate((images, test_images)), np.concatenate((labels, test_labels))),
        label_names=FASHION_CLASSES if folder is None else tuple(map(str, range(len(FASHION_CLASSES)))),
        description=_described(folder, len(images), len(test_images)),
    )


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array in one IDX file of unsigned bytes, gzip or plain.

    Raises:
        DataError: not IDX, another type or number of dimensions, or a length that is not the header's.
    """
    content = read_capped(path, _CAP_BYTES)
    start = 4 + 4 * dimensions
    magic = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if len(content) < start or content[:4] != magic:
        raise DataError(
            f"{path}: expected IDX magic {magic.hex()} (unsigned bytes, {dimensions} dimensions), got "
            f"{bytes(content[:4]).hex() or 'an empty file'}; name an IDX file"
        )
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    if len(content) - start != math.prod(shape):
        raise DataError(
            f"{path}: its header says {'x'.join(map(str, shape))} = {math.prod(shape)} bytes, got "
            f"{len(content) - start}; the file is damaged, fetch it again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _pair(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    images = read_idx(_find(folder, f"{part}-images", 3), 3)
    at = _find(folder, f"{part}-labels", 1)
    labels = read_idx(at, 1).astype(np.int64)
    if len(images) != len(labels) or not images.size:
        raise DataError(
            f"{at}: expected one label per image and at least one pixel, got {len(labels)} labels for images "
            f"{images.shape}; take images and labels of one set"
        )
    if int(labels.max()) >= len(FASHION_CLASSES):
        row = int(np.argmax(labels >= len(FASHION_CLASSES)))
        raise DataError(
            f"{at}: expected labels 0 to {len(FASHION_CLASSES) - 1}, got {labels[row]} in row {row}; bring "
            "a set "
            "with more classes as npz"
        )
    return images, labels


def _find(folder: Path, stem: str, dimensions: int) -> Path:
    names = [f"{stem}{dot}idx{dimensions}-ubyte{end}" for dot in "-." for end in ("", ".gz")]
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise DataError(f"{folder}: expected {names[0]} or {names[1]}, got neither; complete the folder")


def _scaled(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.multiply(images[:, None], np.float32(1 / 255), dtype=np.float32)


def _described(folder: Path | None, train: int, test: int) -> str:
    what = "Fashion-MNIST (Zalando, MIT)" if folder is None else "Your own IDX images"
    return f"{what}: {train:,} training and {test:,} test images, 10 classes."
