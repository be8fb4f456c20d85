"""AVIF and HEIC with 10 and 12 bits: what is read, as what it is written, and what is refused."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from heif_samples import GREY, WHOLE_CHROMA, Coded, coded, grid, smooth, write
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from unrain.errors import MediaError
from unrain.media.animations import rewrite
from unrain.media.files import plan
from unrain.media.heif import bits_of
from unrain.media.images import Picture, read_picture, suffix_of, write_picture

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a/></x:xmpmeta>'
PQ = (9, 16, 9, True)
KINDS = [pytest.param("av01", id="avif"), pytest.param("hvc1", id="heic")]


@pytest.fixture(scope="module")
def pictures() -> dict[str, Coded]:
    """One picture in AV1 and in HEVC, 4:2:0 with 10 and 8 bits in full range, by BT.601's matrix."""
    return {kind: coded(smooth(), kind, "yuv420p10le") for kind in ("av01", "hvc1")} | {
        f"{kind} with 8 bits": coded(smooth(), kind, "yuv420p") for kind in ("av01", "hvc1")
    }


@pytest.fixture
def heic() -> None:
    pytest.importorskip("pi_heif", reason="the extra heic is not installed")


def path_for(folder: Path, kind: str) -> Path:
    return folder / ("in.avif" if kind == "av01" else "in.heic")


def off(picture: Picture, expected: NDArray[np.float32]) -> tuple[float, float]:
    """The largest error, and the largest shift of a channel's mean, in levels of 255."""
    difference = (picture.pixels - expected) * 255
    return float(np.abs(difference).max()), float(np.abs(difference.mean(axis=(0, 1))).max())


def assert_deep(picture: Picture) -> None:
    assert (picture.format, picture.bits) == ("PNG", 16)
    levels = picture.pixels * 255
    assert np.abs(levels - np.rint(levels)).max() > 0.4, "has no more than 8 bits of content"


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("matrix", [1, 6, 9])
def test_avif_keeps_its_depth_and_its_colours(tmp_path: Path, matrix: int, full: bool) -> None:
    picture = coded(smooth(), "av01", "yuv420p10le", matrix, full)
    read = read_picture(write(tmp_path / "in.avif", picture, colour=(1, 13, matrix, full)))
    assert_deep(read)
    worst, shift = off(read, smooth())
    assert worst < 2.5
    assert shift < 0.25
    if full:  # Pillow's eight bits of limited range are off by up to twelve levels
        with Image.open(tmp_path / "in.avif") as image:
            assert np.abs(np.asarray(image, float) - read.pixels * 255).max() < 4


@pytest.mark.usefixtures("heic")
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le"])
def test_heic_keeps_its_depth_and_its_colours(tmp_path: Path, pixel_format: str, full: bool) -> None:
    bits = 12 if "12" in pixel_format else 10
    picture = coded(smooth(), "hvc1", pixel_format, 1, full)
    read = read_picture(write(tmp_path / "in.heic", picture, bits, colour=(1, 13, 1, full)))
    assert_deep(read)
    worst, shift = off(read, smooth())
    assert worst < 3
    assert shift < 0.35


@pytest.mark.usefixtures("heic")
def test_grey_heic_stays_grey_or_is_refused_where_its_range_would_be_misread(tmp_path: Path) -> None:
    grey = smooth()[..., 1]
    read = read_picture(write(tmp_path / "in.heic", coded(grey, "hvc1", "gray10le")))
    assert_deep(read)
    assert read.grey
    assert off(read, grey[..., None])[0] < 1
    limited = write(tmp_path / "in.heic", coded(grey, "hvc1", "gray10le", full=False), colour=(1, 13, 6, False))
    assert "limited range" in refused(limited)


@pytest.mark.usefixtures("heic")
def test_heic_is_put_together_of_tiles_as_cameras_write_it(tmp_path: Path) -> None:
    whole = smooth(64, 192)
    tiles = [coded(whole[:, left : left + 64], "hvc1", "yuv422p10le") for left in (0, 64, 128)]
    source = write(tmp_path / "in.heic", grid(1, 3, tiles[0]), tiles=tiles)
    assert suffix_of(source) == ".png"
    read = read_picture(source)
    assert_deep(read)
    assert off(read, whole)[0] < 3


def test_avif_of_tiles_is_refused(tmp_path: Path) -> None:
    tiles = [coded(smooth(64, 64), "av01", "yuv420p10le")] * 2
    source = write(tmp_path / "in.avif", grid(1, 2, tiles[0]), tiles=tiles)
    assert "is made of tiles, which is not supported; save it whole" in refused(source)


def test_twelve_bits_and_whole_chroma(tmp_path: Path) -> None:
    read = read_picture(write(tmp_path / "in.avif", WHOLE_CHROMA, 12))
    assert_deep(read)
    assert off(read, smooth(32, 48))[0] < 1


def test_grey_avif_stays_grey(tmp_path: Path) -> None:
    read = read_picture(write(tmp_path / "in.avif", GREY))
    assert_deep(read)
    assert read.grey
    assert off(read, smooth(32, 48)[..., 1:2])[0] < 1


def test_without_a_word_about_colours_in_the_file_its_av1_data_is_asked(tmp_path: Path) -> None:
    read = read_picture(write(tmp_path / "in.avif", coded(smooth(), "av01", "yuv420p10le", 6, False), colour=None))
    assert off(read, smooth())[0] < 2.5


def test_transparency_keeps_its_depth(tmp_path: Path) -> None:
    picture = coded(smooth(32, 48), "av01", "yuv420p10le")
    read = read_picture(write(tmp_path / "in.avif", picture, alpha=GREY))
    assert read.alpha is not None
    assert read.alpha.dtype == np.uint16
    assert np.abs(read.alpha / 65535 - smooth(32, 48)[..., 1]).max() < 1 / 255
    write_picture(tmp_path / "out.png", read)
    levels = np.asarray(cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED))
    assert np.array_equal(levels[..., 3], read.alpha)


def test_colours_that_were_multiplied_by_their_transparency(tmp_path: Path) -> None:
    picture = coded(smooth(32, 48) * smooth(32, 48)[..., 1:2], "av01", "yuv420p10le")
    read = read_picture(write(tmp_path / "in.avif", picture, alpha=GREY, multiplied=True))
    assert off(read, smooth(32, 48))[0] < 8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_they_come_upright(tmp_path: Path, pictures: dict[str, Coded], kind: str, bits: int, orientation: int) -> None:
    if kind == "hvc1":
        pytest.importorskip("pi_heif", reason="the extra heic is not installed")
    picture = pictures[kind if bits == 10 else f"{kind} with 8 bits"]
    source = write(path_for(tmp_path, kind), picture, bits, orientation=orientation)
    read = read_picture(source)
    assert read.bits == (16 if bits == 10 else 8)
    with Image.open(source) as image:
        shown = np.asarray(ImageOps.exif_transpose(image).convert("RGB"), float)
    turned = np.asarray(Image.open(_tagged(tmp_path / "tag.png", orientation)).convert("RGB"), float)
    assert read.pixels.shape == shown.shape == turned.shape
    assert np.abs(read.pixels * 255 - shown).max() < 4
    assert np.abs(read.pixels * 255 - turned).max() < 5
    write_picture(tmp_path / "out.png", read)
    with Image.open(tmp_path / "out.png") as image:
        assert image.getexif().get(0x0112, 1) == 1
        assert image.size == shown.shape[1::-1]


def _tagged(path: Path, orientation: int) -> Path:
    """The picture turned by Pillow, as a PNG that says nothing of it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(np.rint(smooth() * 255).astype(np.uint8)).save(file, "PNG", exif=exif)
    ImageOps.exif_transpose(Image.open(file)).save(path)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_their_metadata_go_into_the_png(tmp_path: Path, pictures: dict[str, Coded], kind: str) -> None:
    if kind == "hvc1":
        pytest.importorskip("pi_heif", reason="the extra heic is not installed")
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8825)[1] = "N"
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    source = write(path_for(tmp_path, kind), pictures[kind], exif=block, xmp=XMP, icc=PROFILE, orientation=6)
    write_picture(tmp_path / "out.png", read_picture(source))
    with Image.open(tmp_path / "out.png") as image:
        image.load()
        assert image.getexif()[0x010F] == "Maker"
        assert image.getexif().get_ifd(0x8825)[1] == "N"
        assert image.getexif().get(0x0112, 1) == 1
        assert image.info["xmp"] == XMP
        assert image.info["icc_profile"] == PROFILE
        assert b"cICP" not in (tmp_path / "out.png").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_high_dynamic_range_stays_what_it_is(tmp_path: Path, pictures: dict[str, Coded], kind: str) -> None:
    if kind == "hvc1":
        pytest.importorskip("pi_heif", reason="the extra heic is not installed")
    source = write(path_for(tmp_path, kind), pictures[kind], colour=PQ)
    read = read_picture(source)
    assert read.metadata.colour == ((b"cICP", bytes([9, 16, 0, 1])),)
    write_picture(tmp_path / "out.png", read)
    again = read_picture(tmp_path / "out.png")
    assert again.metadata.colour == read.metadata.colour
    assert np.array_equal(again.pixels, read.pixels)
    for name in ("out.tif", "out.jpg", "out.avif"):
        with pytest.raises(MediaError, match=r"HDR|16 bits"):
            write_picture(tmp_path / name, read)
    with pytest.raises(MediaError, match=r"JPEG cannot say that these colours are PQ \(HDR\); write a \.png file"):
        write_picture(tmp_path / "out.jpg", replace(read, bits=8))


def test_they_are_written_as_png_and_others_as_ever(tmp_path: Path, pictures: dict[str, Coded]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "camera.HIF", pictures["hvc1"])
    write(folder / "deep.avif", pictures["av01"])
    write(folder / "phone.heic", replace(pictures["hvc1"], config=bytes(23)), 8)
    Image.new("RGB", (8, 8)).save(folder / "plain.avif")
    (folder / "broken.avif").write_bytes(b"\0\0\0\x0cftypavif\0")
    names = {job.source.name: job.target.name for job in plan([folder], tmp_path / "out")}
    assert names == {
        "broken.avif": "broken.avif",
        "camera.HIF": "camera.png",
        "deep.avif": "deep.png",
        "phone.heic": "phone.jpg",
        "plain.avif": "plain.avif",
    }
    (beside,) = plan([folder / "deep.avif"], None)
    assert beside.target == folder / "deep_clean.png"
    assert [suffix_of(folder / name) for name in ("deep.avif", "plain.avif")] == [".png", ".avif"]


def refused(path: Path) -> str:
    with pytest.raises(MediaError) as caught:
        read_picture(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: ")
    assert "\n" not in told
    return told


def test_what_cannot_be_shown_right_is_refused(tmp_path: Path, pictures: dict[str, Coded]) -> None:
    picture, path = pictures["av01"], tmp_path / "in.avif"
    crop = struct.pack(">I4s8I", 40, b"clap", 48, 1, 32, 1, 0, 1, 0, 1)
    assert "cropped or layered (clap)" in refused(write(path, picture, extra=(crop,)))
    assert "colour matrix number 8" in refused(write(path, picture, colour=(1, 13, 8, True)))
    with pytest.raises(MediaError, match=r"more than the 0\.001 that are allowed"):
        read_picture(write(path, picture), max_megapixels=0.001)


def test_a_size_that_lies_brings_no_more_pixels_than_were_allowed(tmp_path: Path, pictures: dict[str, Coded]) -> None:
    source = write(tmp_path / "in.avif", replace(pictures["av01"], width=8, height=8))
    assert "damaged" in refused(source)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.97])
def test_what_is_cut_off_is_refused_in_a_line(tmp_path: Path, pictures: dict[str, Coded], share: float) -> None:
    source = write(tmp_path / "in.avif", pictures["av01"])
    source.write_bytes(source.read_bytes()[: int(source.stat().st_size * share)])
    refused(source)


def test_depth_is_told_even_where_the_boxes_are_not_understood() -> None:
    for bits, mark in ((8, b"av1C\x81\0\x0c\0"), (10, b"av1C\x81\0\x4c\0"), (12, b"av1C\x81\x40\x6c\0")):
        assert bits_of(io.BytesIO(b"\0\0\0\x0cftypavis" + bytes(99) + mark)) == bits


def test_sizes_beyond_all_files_are_damage(tmp_path: Path, pictures: dict[str, Coded]) -> None:
    source = write(tmp_path / "in.avif", pictures["av01"])
    whole = source.read_bytes()
    source.write_bytes(whole[:28] + struct.pack(">I4sQ", 1, b"free", 2**64 - 1) + whole[28:])
    assert len(plan([source], tmp_path / "out")) == 1
    refused(source)


def by_ffmpeg(path: Path, frames: int) -> Path:
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libsvtav1", rate=5, options={"preset": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
        for number in range(frames):
            shade = np.full((64, 64, 3), 60 + 60 * number, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(shade, format="rgb24")))
        output.mux(stream.encode(None))
    return path


def test_avif_as_ffmpeg_writes_it(tmp_path: Path) -> None:
    read = read_picture(by_ffmpeg(tmp_path / "in.avif", 1))
    assert (read.bits, read.pixels.shape) == (16, (64, 64, 3))
    assert np.abs(read.pixels * 255 - 60).max() < 2


def test_moving_avif_with_ten_bits_is_refused_rather_than_spoiled(tmp_path: Path) -> None:
    source = by_ffmpeg(tmp_path / "in.avif", 3)
    with pytest.raises(MediaError, match="moves, with 10 bits per channel, which is not supported; make a video of it"):
        rewrite(source, tmp_path / "out.avif", lambda frames: (frame.pixels for frame in frames))
