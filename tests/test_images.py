"""What reading and writing a picture keeps, and what it refuses."""

from __future__ import annotations

import io
import struct
import sys
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from media_samples import picture
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, JpegImagePlugin, PngImagePlugin

from unrain.errors import MediaError
from unrain.media.images import Picture, from_uint8, read_picture, to_uint8, write_picture
from unrain.media.metadata import Metadata

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PHONE = Path(__file__).with_name("golden") / "phone.heic"
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
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
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


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
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
        assert image.info["xmp"] == XMP.replace(b'"6"', b'"1"')


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


def test_bombs_are_refused_with_the_way_to_allow_them_and_without_touching_global_state(tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    Image.fromarray(picture(60, 50)).save(source)
    before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    with pytest.raises(MediaError, match=r"more than the 0\.002 that are allowed; allow more with --max-megapixels"):
        read_picture(source, max_megapixels=0.002)
    assert read_picture(source, max_megapixels=0.003).pixels.shape == (60, 50, 3)
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


def test_a_header_that_claims_far_more_than_the_file_can_hold_is_refused_at_once(tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    Image.fromarray(picture()).convert("1").save(source)
    raw = bytearray(source.read_bytes())
    struct.pack_into(">II", raw, 16, 9000, 9000)
    struct.pack_into(">I", raw, 29, zlib.crc32(raw[12:29]))
    source.write_bytes(raw)
    with pytest.raises(MediaError, match="9000 x 9000 pixels cannot be in a file so short"):
        read_picture(source)
    Image.new("1", (9000, 900)).save(source)
    assert read_picture(source).pixels.shape == (900, 9000, 3)


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
        assert read_picture(source).metadata.exif == b""


def test_resolution_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "in.jpg"
    Image.fromarray(picture()).save(source, dpi=(300, 300))
    with Image.open(io.BytesIO(again(source).read_bytes())) as image:
        assert image.info["dpi"] == (300, 300)


ROUND_TRIPS = [
    ("RGB", ".jpg", {"quality": 97, "subsampling": 0}),
    ("L", ".jpg", {"quality": 97}),
    ("RGB", ".webp", {"quality": 95}),
    ("RGB", ".webp", {"lossless": True}),
    ("RGBA", ".webp", {"quality": 95}),
    ("RGB", ".avif", {"quality": 90}),
    ("RGBA", ".avif", {"quality": 90}),
    *[(mode, suffix, {}) for mode in ("RGB", "L", "P", "1") for suffix in (".png", ".tif", ".bmp", ".gif")],
    *[(mode, suffix, {}) for mode in ("RGBA", "LA") for suffix in (".png", ".tif")],
]


@pytest.mark.parametrize(("mode", "suffix", "options"), ROUND_TRIPS)
def test_what_is_read_is_written_again_without_a_shift_of_colour(
    tmp_path: Path, photo: NDArray[np.float32], mode: str, suffix: str, options: dict[str, Any]
) -> None:
    image = Image.fromarray(to_uint8(photo)).convert("RGB")
    if mode == "P" or (suffix == ".gif" and mode == "RGB"):
        image = image.quantize(256)
    elif mode != "RGB":
        image = image.convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(tmp_path / f"in{suffix}", **options)
    with Image.open(tmp_path / f"in{suffix}") as before, Image.open(again(tmp_path / f"in{suffix}")) as after:
        old, new = (np.asarray(each.convert("RGBA"), float) for each in (before, after))
    colour, alpha = np.split(np.abs((new - old).mean(axis=(0, 1))), [3])
    assert colour.max() < 0.1
    assert alpha < 0.2  # AVIF rounds transparency, too
    assert np.abs(new - old).mean() < 1.2
    if suffix in (".png", ".tif", ".bmp", ".gif") or "lossless" in options:
        assert np.array_equal(new, old)


DEEP = [(suffix, samples) for suffix in (".png", ".tif") for samples in (1, 2, 3, 4)]


def deep_levels(samples: int, seed: int = 0) -> NDArray[np.uint16]:
    """Levels of which all 16 bits matter, (H, W) or (H, W, samples)."""
    levels = np.random.default_rng(seed).integers(0, 65536, (19, 23, samples), dtype=np.uint16)
    return levels[..., 0] if samples == 1 else levels


def write_deep(path: Path, levels: NDArray[Any], **options: Any) -> Path:
    """A PNG by our own tests' writer, a TIFF by tifffile: neither by the code under test."""
    if path.suffix == ".png":
        path.write_bytes(_png16(levels if levels.ndim == 3 else levels[..., None]))
    else:
        samples = levels.shape[-1] if levels.ndim == 3 else 1
        options.setdefault("photometric", "rgb" if samples > 2 else "minisblack")
        if samples in (2, 4):
            options.setdefault("extrasamples", ["unassalpha"])
        tifffile.imwrite(path, levels, **options)
    return path


def read_deep(path: Path) -> NDArray[Any]:
    """Levels as OpenCV or tifffile read them."""
    if path.suffix == ".tif":
        return np.asarray(tifffile.imread(path))
    levels = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    return levels if levels.ndim == 2 else levels[..., [2, 1, 0, 3][: levels.shape[2]]]


@pytest.mark.parametrize(("suffix", "samples"), DEEP)
def test_sixteen_bits_in_are_sixteen_bits_out(tmp_path: Path, suffix: str, samples: int) -> None:
    levels = deep_levels(samples)
    read = read_picture(write_deep(tmp_path / f"in{suffix}", levels))
    assert read.bits == 16
    assert len(np.unique(read.pixels)) > 256
    result = read_deep(again(tmp_path / f"in{suffix}"))
    if suffix == ".png" and samples == 2:  # OpenCV spreads grey over three channels
        result = result[..., [0, 3]]
    assert np.array_equal(result, levels)


@pytest.mark.parametrize("other", [(".png", ".tif"), (".tif", ".png")])
def test_sixteen_bits_pass_between_formats_that_can_hold_them(tmp_path: Path, other: tuple[str, str]) -> None:
    source = write_deep(tmp_path / f"in{other[0]}", deep_levels(3))
    assert np.array_equal(read_deep(again(source, other[1])), deep_levels(3))
    with pytest.raises(MediaError, match=r"cannot keep the 16 bits of this picture; write a \.png or \.tif file"):
        again(source, ".jpg")


LAYOUTS: list[dict[str, Any]] = [
    {"compression": "zlib", "predictor": 2, "rowsperstrip": 5},
    {"tile": (16, 16)},
    {"tile": (16, 16), "compression": "zlib"},
    {"byteorder": ">"},
    {"byteorder": ">", "compression": "zlib", "predictor": 2},
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tiff_is_read_however_its_sixteen_bits_lie(tmp_path: Path, layout: dict[str, Any]) -> None:
    source = write_deep(tmp_path / "in.tif", deep_levels(3), **layout)
    assert np.array_equal(read_deep(again(source)), deep_levels(3))


@pytest.mark.parametrize("layout", [{}, {"compression": "zlib"}, {"byteorder": ">", "tile": (16, 16)}])
def test_tiff_with_colours_apart(tmp_path: Path, layout: dict[str, Any]) -> None:
    planes = np.ascontiguousarray(deep_levels(3).transpose(2, 0, 1))
    tifffile.imwrite(tmp_path / "in.tif", planes, photometric="rgb", planarconfig="separate", **layout)
    assert np.array_equal(read_deep(again(tmp_path / "in.tif")), deep_levels(3))


def test_tiff_with_lzw_as_photo_programs_write_it(tmp_path: Path) -> None:
    lzw_with_predictor = [cv2.IMWRITE_TIFF_COMPRESSION, 5, cv2.IMWRITE_TIFF_PREDICTOR, 2]
    cv2.imwrite(str(tmp_path / "in.tif"), deep_levels(3)[..., ::-1], lzw_with_predictor)
    assert np.array_equal(read_deep(again(tmp_path / "in.tif")), deep_levels(3))


def test_tiff_whose_colours_are_multiplied_by_their_transparency(tmp_path: Path) -> None:
    straight = np.full((4, 4, 3), [60000, 30000, 100], np.uint16)
    alpha = np.linspace(2000, 65535, 16).astype(np.uint16).reshape(4, 4, 1)
    stored = np.concatenate([np.rint(straight * (alpha / 65535)).astype(np.uint16), alpha], axis=2)
    write_deep(tmp_path / "in.tif", stored, extrasamples=["assocalpha"])
    result = read_deep(again(tmp_path / "in.tif"))
    assert np.abs(result[..., :3].astype(int) - straight).max() < 40
    assert np.array_equal(result[..., 3:], alpha)


@pytest.mark.parametrize("shape", [(19, 23), (19, 23, 3), (19, 23, 4)])
@pytest.mark.parametrize("layout", [{}, {"compression": "zlib", "rowsperstrip": 4}, {"byteorder": ">"}])
def test_floating_point_stays_exactly_as_it_is(tmp_path: Path, shape: tuple[int, ...], layout: dict[str, Any]) -> None:
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    result = read_deep(again(write_deep(tmp_path / "in.tif", values, **layout)))
    assert result.dtype == np.float32
    assert np.allclose(result, values, atol=0 if len(shape) == 3 else 1e-7)


def test_floating_point_beyond_white_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="has values from 0 to 3; scale them to lie from 0 to 1"):
        read_picture(write_deep(tmp_path / "in.tif", np.linspace(0, 3, 48, dtype=np.float32).reshape(4, 4, 3)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_pictures_come_upright_too(tmp_path: Path, suffix: str, orientation: int) -> None:
    turn = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE"} | {
        6: "ROTATE_270",
        7: "TRANSVERSE",
        8: "ROTATE_90",
    }
    grey = Image.fromarray(deep_levels(1))
    shown = grey if orientation == 1 else grey.transpose(Image.Transpose[turn[orientation]])
    levels = np.repeat(deep_levels(1)[..., None], 3, axis=2)
    source = tmp_path / f"in{suffix}"
    if suffix == ".tif":
        write_deep(source, levels, extratags=[(0x0112, 3, 1, orientation, True)])
    else:
        source.write_bytes(_png16(levels, exif=camera_exif(orientation).tobytes().removeprefix(b"Exif\0\0")))
    result = again(source)
    assert np.array_equal(read_deep(result)[..., 0], np.asarray(shown))
    with Image.open(result) as image:
        assert image.getexif().get(0x0112, 1) == 1


def _png16(levels: NDArray[np.uint16], exif: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, samples = levels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[samples], 0, 0, 0)
    said = chunk(b"eXIf", exif) if exif else b""
    data = chunk(b"IHDR", header) + said + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def test_deep_pictures_keep_their_metadata(tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    write_picture(
        source,
        Picture(
            deep_levels(3).astype(np.float32) / np.float32(65535),
            bits=16,
            icc=PROFILE,
            metadata=Metadata(camera_exif().tobytes().removeprefix(b"Exif\0\0"), XMP.replace(b"6", b"1"), (300, 300)),
        ),
    )
    for path in (source, again(source, ".tif"), again(tmp_path / "again.tif", ".png")):
        with Image.open(path) as image:
            image.load()
            assert image.info["icc_profile"] == PROFILE
            assert image.getexif().get_ifd(0x8769)[0x927C] == b"maker's own bytes"
            assert image.info["xmp"] == XMP.replace(b'"6"', b'"1"')
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_a_map_stays_on_its_place(tmp_path: Path) -> None:
    place = [(33550, 12, 3, (0.1, 0.1, 0.0), True), (33922, 12, 6, (0.0, 0.0, 0.0, 7.5, 51.2, 0.0), True)]
    write_deep(tmp_path / "in.tif", deep_levels(3), extratags=place)
    with Image.open(again(tmp_path / "in.tif")) as image:
        tags: Any = image
        assert tags.tag_v2[33550] == (0.1, 0.1, 0.0)
        assert tags.tag_v2[33922] == (0.0, 0.0, 0.0, 7.5, 51.2, 0.0)


def test_a_phone_picture_in_heic_becomes_an_upright_jpeg() -> None:
    pytest.importorskip("pi_heif", reason="the extra heic is not installed")
    read = read_picture(PHONE)
    assert (read.format, read.pixels.shape) == ("JPEG", (32, 24, 3))
    assert np.abs(to_uint8(read.pixels).astype(float) - np.rot90(picture(24, 32), -1)).mean() < 4
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + read.metadata.exif)
    assert (exif[0x010F], exif[0x0112], exif.get_ifd(0x8825)[1]) == ("Maker", 1, "N")


def test_heic_without_its_package_says_which_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(MediaError, match=r"pip install 'unrain\[heic\]'"):
        read_picture(PHONE)


def test_stripping_leaves_the_colours_and_nothing_that_tells_of_people(tmp_path: Path) -> None:
    source = tmp_path / "in.jpg"
    Image.fromarray(picture()).save(source, exif=camera_exif(6), xmp=XMP, icc_profile=PROFILE, comment=b"at home")
    read = read_picture(source)
    write_picture(tmp_path / "out.jpg", replace(read, metadata=read.metadata.stripped()))
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.info.keys() & {"exif", "xmp", "comment", "photoshop"} == set()
        assert image.info["icc_profile"] == PROFILE
        assert image.size == (24, 32)


def test_jpeg_is_never_coarser_than_its_source_or_than_quality_95(tmp_path: Path) -> None:
    for quality in (60, 95, 99):
        source = tmp_path / "in.jpg"
        Image.fromarray(picture()).save(source, quality=quality)
        with Image.open(source) as before, Image.open(again(source)) as after:
            assert isinstance(before, JpegImagePlugin.JpegImageFile)
            assert isinstance(after, JpegImagePlugin.JpegImageFile)
            assert JpegImagePlugin.get_sampling(after) == 0
            for table in (0, 1):
                assert all(
                    new <= old for new, old in zip(after.quantization[table], before.quantization[table], strict=True)
                )
            assert max(after.quantization[0]) <= 20


def test_captions_of_press_photos_and_comments_are_kept(tmp_path: Path) -> None:
    source = tmp_path / "in.jpg"
    caption = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0a\x1c\x02\x78\0\x05storm"
    segment = b"\xff\xed" + struct.pack(">H", len(caption) + 2) + caption
    Image.fromarray(picture()).save(source, extra=segment, comment=b"seen in the rain")
    with Image.open(again(source)) as image:
        assert image.info["comment"] == b"seen in the rain"
        assert image.info["photoshop"][0x0404] == b"\x1c\x02\x78\0\x05storm"


def test_texts_and_colour_statements_of_png_are_kept(tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "somebody")
    info.add(b"gAMA", struct.pack(">I", 100000))
    Image.fromarray(picture()).save(source, pnginfo=info)
    with Image.open(again(source)) as image:
        image.load()
        assert image.info["Author"] == "somebody"
        assert image.info["gamma"] == 1.0


def test_stated_sizes_turn_with_the_picture(tmp_path: Path) -> None:
    exif = camera_exif(6)
    exif.get_ifd(0x8769).update({0xA002: 20, 0xA003: 10})
    Image.fromarray(picture(10, 20)).save(tmp_path / "in.jpg", exif=exif)
    with Image.open(again(tmp_path / "in.jpg")) as image:
        said = image.getexif().get_ifd(0x8769)
        assert (said[0xA002], said[0xA003]) == image.size == (10, 20)


def test_wide_colours_stay_what_they_are(tmp_path: Path) -> None:
    source = tmp_path / "in.jpg"
    wide = wide_profile()
    Image.fromarray(picture()).save(source, quality=100, subsampling=0, icc_profile=wide)
    with Image.open(again(source)) as image:
        assert image.info["icc_profile"] == wide
    # a format without profiles gets the same colours in sRGB
    target = ImageCms.createProfile("sRGB")
    with Image.open(source) as image, Image.open(again(source, ".bmp")) as plain:
        expected = ImageCms.profileToProfile(image, io.BytesIO(wide), target, outputMode="RGB")
        assert expected is not None
        assert np.abs(np.asarray(expected, float) - np.asarray(plain, float)).mean() < 1
        assert np.abs(np.asarray(image, float) - np.asarray(plain, float)).mean() > 1


def wide_profile() -> bytes:
    """Like Adobe RGB: sRGB's profile with other primaries, for which green is written anew."""
    profile = bytearray(PROFILE)
    entries = {}
    count = struct.unpack_from(">I", profile, 128)[0]
    for at in range(132, 132 + 12 * count, 12):
        name, place, _ = struct.unpack_from(">4sII", profile, at)
        entries[name] = place
    for name, colour in {b"rXYZ": (0.6097, 0.3111, 0.0195), b"gXYZ": (0.2053, 0.6257, 0.0609)}.items():
        struct.pack_into(">3i", profile, entries[name] + 8, *(round(value * 65536) for value in colour))
    return bytes(profile)
