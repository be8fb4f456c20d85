"""What reading and writing a picture keeps, and what it refuses."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_samples import picture
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, JpegImagePlugin, PngImagePlugin

from unrain.errors import MediaError
from unrain.media.images import Picture, from_uint8, read_picture, to_uint8, write_picture

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'


def again(source: Path, suffix: str | None = None) -> Path:
    target = source.with_name("again" + (suffix or source.suffix))
    write_picture(target, read_picture(source))
    return target


def camera_exif(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0x927C] = b"maker's own bytes"
    exif.get_ifd(0x8825)[1] = "N"
    return exif


def test_uint8_is_rounded_not_truncated() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_uint8(from_uint8(levels)), levels)
    assert to_uint8(np.array([[0.4999 / 255, 0.5001 / 255, 1.9, -3.0, np.inf]], np.float32)).tolist() == [
        [0, 1, 255, 0, 255]
    ]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp"])
@pytest.mark.parametrize("size", [(24, 32), (1, 1), (7, 13), (1, 9)])
def test_lossless_formats_give_the_same_pixels(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    source = tmp_path / f"in{suffix}"
    Image.fromarray(picture(*size)).save(source)
    read = read_picture(source)
    assert read.pixels.dtype == np.float32
    assert read.pixels.shape == (*size, 3)
    assert np.array_equal(np.asarray(Image.open(again(source))), picture(*size))


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_stay_close(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / f"in{suffix}"
    Image.fromarray(picture(25, 33)).save(source, quality=98)
    before, after = (np.asarray(Image.open(p).convert("RGB"), float) for p in (source, again(source)))
    assert np.abs(before - after).mean() < 2
    if suffix == ".jpg":
        with Image.open(tmp_path / "again.jpg") as image:
            assert isinstance(image, JpegImagePlugin.JpegImageFile)
            assert image.layer[0][1:3] == image.layer[1][1:3], "colour is subsampled"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_pictures_come_upright_and_stay_so(tmp_path: Path, orientation: int, suffix: str) -> None:
    source = tmp_path / f"in{suffix}"
    kinds: dict[str, dict[str, Any]] = {".jpg": {"quality": 100, "subsampling": 0}, ".webp": {"lossless": True}}
    Image.fromarray(picture(10, 20)).save(source, exif=camera_exif(orientation), **kinds.get(suffix, {}))
    with Image.open(source) as image:
        shown = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    read = read_picture(source)
    assert np.array_equal(to_uint8(read.pixels), shown)
    with Image.open(again(source)) as image:
        assert image.getexif().get(0x0112, 1) == 1
        assert image.size == shown.shape[1::-1]
        assert image.getexif()[0x010F] == "Maker"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_exif_icc_and_xmp_are_kept(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / f"in{suffix}"
    options: dict[str, Any] = {"xmp": XMP}
    if suffix == ".png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options = {"pnginfo": info}
    exif = camera_exif(6)
    if suffix == ".tif":
        exif, options = Image.Exif(), {}
        exif.load(camera_exif(6).tobytes())
        exif[700] = XMP
    Image.fromarray(picture()).save(source, exif=exif, icc_profile=PROFILE, **options)
    with Image.open(again(source)) as image:
        image.load()
        assert image.info["icc_profile"] == PROFILE
        exif = image.getexif()
        assert exif.get_ifd(0x8769)[0x927C] == b"maker's own bytes"
        assert exif.get_ifd(0x8825)[1] == "N"
        # of a TIFF, Pillow itself takes the tag out
        turned = XMP.replace(b'tiff:Orientation="6"', b"") if suffix == ".tif" else XMP.replace(b'"6"', b'"1"')
        assert image.info["xmp"] == turned


def test_exif_bytes_stay_but_for_the_orientation(tmp_path: Path) -> None:
    source = tmp_path / "in.jpg"
    raw = camera_exif(6).tobytes()
    Image.fromarray(picture()).save(source, exif=raw)
    with Image.open(again(source)) as image:
        differ = [(a, b) for a, b in zip(raw, image.info["exif"], strict=True) if a != b]
    assert differ == [(6, 1)]


def test_a_phone_picture_with_a_second_one_behind_gives_the_main_one(tmp_path: Path) -> None:
    source = tmp_path / "in.jpg"
    first, second = Image.fromarray(picture(16, 16)), Image.fromarray(picture(8, 8))
    first.save(source, format="MPO", save_all=True, append_images=[second])
    read = read_picture(source)
    assert read.pixels.shape == (16, 16, 3)
    assert read.format == "JPEG"


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_alpha_is_kept(tmp_path: Path, suffix: str) -> None:
    alpha = np.arange(24 * 32, dtype=np.uint32).reshape(24, 32).astype(np.uint8)
    image = Image.fromarray(picture())
    image.putalpha(Image.fromarray(alpha))
    source = tmp_path / f"in{suffix}"
    image.save(source, lossless=True) if suffix == ".webp" else image.save(source)
    read = read_picture(source)
    assert read.alpha is not None
    assert np.array_equal(read.alpha, alpha)
    assert np.array_equal(np.asarray(Image.open(again(source)).getchannel("A")), alpha)
    with pytest.raises(MediaError, match="transparency"):
        again(source, ".jpg")


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.fromarray(picture()).quantize(16)
    source = tmp_path / "in.png"
    image.save(source, transparency=3)
    with Image.open(source) as opened:
        expected = np.asarray(opened.convert("RGBA"))
    assert np.array_equal(np.asarray(Image.open(again(source))), expected)


def test_colour_key_transparency(tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    Image.fromarray(picture()).save(source, transparency=tuple(int(v) for v in picture()[0, 0]))
    read = read_picture(source)
    assert read.alpha is not None
    assert read.alpha[0, 0] == 0
    assert read.alpha.max() == 255


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_stays_grey(tmp_path: Path, mode: str) -> None:
    source = tmp_path / "in.png"
    Image.fromarray(picture()).convert("L").convert(mode).save(source)
    read = read_picture(source)
    assert read.grey
    assert read.pixels.shape == (24, 32, 3)
    with Image.open(source) as before, Image.open(again(source)) as after:
        assert after.mode == ("LA" if mode == "LA" else "L")
        assert np.array_equal(np.asarray(before.convert("LA")), np.asarray(after.convert("LA")))


def test_cmyk_becomes_rgb_without_its_profile(tmp_path: Path) -> None:
    source = tmp_path / "in.jpg"
    Image.fromarray(picture()).convert("CMYK").save(source, quality=100, subsampling=0, icc_profile=PROFILE)
    read = read_picture(source)
    assert read.icc is None
    assert np.abs(to_uint8(read.pixels).astype(int) - picture()).mean() < 2
    with Image.open(again(source)) as image:
        assert image.mode == "RGB"


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_grey_is_kept(tmp_path: Path, suffix: str) -> None:
    levels = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32) * 85
    source = tmp_path / f"in{suffix}"
    Image.fromarray(levels).save(source)
    assert np.array_equal(np.asarray(Image.open(again(source))), levels)
    with pytest.raises(MediaError, match="16 bits"):
        again(source, ".jpg")


def test_sixteen_bit_colour_is_refused_and_not_reduced(tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    source.write_bytes(_png16(picture(4, 4)))
    with pytest.raises(MediaError, match="has 16 bits per channel, which is not supported; convert it to 8 bits"):
        read_picture(source)
    floating = tmp_path / "in.tif"
    Image.fromarray(np.ones((4, 4), np.float32)).save(floating)
    with pytest.raises(MediaError, match="32 bits"):
        read_picture(floating)


def _png16(pixels: NDArray[np.uint8]) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_several_frames_are_refused(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / f"in{suffix}"
    frames = [Image.fromarray(picture(seed=i)) for i in range(3)]
    frames[0].save(source, save_all=True, append_images=frames[1:])
    with pytest.raises(MediaError, match="holds 3 pictures"):
        read_picture(source)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp"])
def test_a_truncated_file_is_one_clear_line(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / f"in{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(source)
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    with pytest.raises(MediaError) as caught:
        read_picture(source)
    assert str(source) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"just some text\n", b"GIF89a" + bytes(64)])
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "in.png"
    source.write_bytes(content)
    with pytest.raises(MediaError, match=r"in\.png"):
        read_picture(source)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="No such file"):
        read_picture(tmp_path / "none.png")


def test_bombs_are_refused_without_touching_global_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    filters = list(warnings.filters)
    for height in (11, 30):
        source = tmp_path / "in.png"
        Image.fromarray(picture(height, 10)).save(source)
        with pytest.raises(MediaError, match="pixels"):
            read_picture(source)
    assert warnings.filters == filters


def test_writing_refuses_unknown_suffixes_and_nan(tmp_path: Path) -> None:
    good = Picture(from_uint8(picture()))
    with pytest.raises(MediaError, match="suffix"):
        write_picture(tmp_path / "out.xyz", good)
    broken = Picture(np.full((4, 4, 3), np.nan, np.float32))
    with pytest.raises(MediaError, match="not numbers"):
        write_picture(tmp_path / "out.png", broken)
    with pytest.raises(MediaError, match="No such file"):
        write_picture(tmp_path / "none" / "out.png", good)


def test_a_broken_exif_block_does_not_stop_the_picture(tmp_path: Path) -> None:
    source = tmp_path / "in.jpg"
    Image.fromarray(picture()).save(source, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert read_picture(source).exif == b""


def test_resolution_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "in.jpg"
    Image.fromarray(picture()).save(source, dpi=(300, 300))
    with Image.open(io.BytesIO(again(source).read_bytes())) as image:
        assert image.info["dpi"] == (300, 300)
