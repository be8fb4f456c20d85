"""Pictures in and out: a file becomes RGB and all that must be written back with it, and the other way round.

Moving pictures live in ../animations.py; choosing files and writing them safely in ../files.py and ../writing.py.
"""

from unrain.media.images.opening import (
    MAX_MEGAPIXELS,
    MAYBE_DEEP,
    PICTURE_ERRORS,
    READ_ONLY_SUFFIXES,
    SUFFIXES,
    blame,
    is_deep,
    is_lossless,
    is_picture,
    open_picture,
    suffix_of,
)
from unrain.media.images.picture import Picture, from_uint8, to_uint8
from unrain.media.images.reading import read_picture
from unrain.media.images.writing import saving_options, to_image, write_picture

__all__ = [
    "MAX_MEGAPIXELS",
    "MAYBE_DEEP",
    "PICTURE_ERRORS",
    "READ_ONLY_SUFFIXES",
    "SUFFIXES",
    "Picture",
    "blame",
    "from_uint8",
    "is_deep",
    "is_lossless",
    "is_picture",
    "open_picture",
    "read_picture",
    "saving_options",
    "suffix_of",
    "to_image",
    "to_uint8",
    "write_picture",
]
