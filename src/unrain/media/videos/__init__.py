"""Videos in and out, one frame at a time: decode, hand to a cleaner, encode, and carry everything else across.

Colour conversion lives in ../colours.py; choosing files and writing them safely lives in ../files.py.
"""

from unrain.media.videos.encoding import CODECS, SUFFIXES, VideoOptions
from unrain.media.videos.reading import VideoInfo, container_of, frames_at, probe, read_frames
from unrain.media.videos.rewriting import Clean, Frames, rewrite
from unrain.media.videos.segments import Keeping

__all__ = [
    "CODECS",
    "SUFFIXES",
    "Clean",
    "Frames",
    "Keeping",
    "VideoInfo",
    "VideoOptions",
    "container_of",
    "frames_at",
    "probe",
    "read_frames",
    "rewrite",
]
