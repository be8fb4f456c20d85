"""Fits NIQE's model of pristine photos: mean and covariance of the features of their sharp blocks.

    python benchmarks/fit_niqe.py DATA

Reads collections of good photos in `train/photos/` of the benchmark data and writes the model that unrain ships. As in
the paper (Mittal et al., 2013, II-B), blocks count that are sharper than 0.75 of their photo's sharpest. Left out are
the collections of small or strongly compressed pictures, and those of video frames.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import unrain
from unrain.data.photos import pictures
from unrain.evaluation.metrics.natural import niqe_features
from unrain.media.images import read_picture

COLLECTIONS = ("wallpapers_free", "bsds500", "urban100", "sunhays80", "live1")
SHARP = 0.75
MODEL = Path(unrain.__file__).parent / "evaluation/metrics/niqe.npz"


def main(data: Path) -> None:
    """Write the model and print how much it saw."""
    files = [file for name in COLLECTIONS for file in pictures(data / "train/photos" / name)]
    blocks = []
    for file in files:
        features, sharpness = niqe_features(read_picture(file).pixels)
        blocks.append(features[sharpness > SHARP * sharpness.max(initial=0)])
    every = np.concatenate(blocks)
    np.savez(MODEL, mean=every.mean(axis=0), covariance=np.cov(every, rowvar=False))
    print(f"{MODEL}: {len(every)} blocks of {len(files)} photos")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
