"""Broken files through the loaders: none may crash, hang, take much memory, leave a file, or fail in more than a line.

    python benchmarks/fuzz.py images --count 2000

Prints what became of them, and each that broke a rule, by its number; the same seed gives the same files. The exit
status is 1 if there was one. Each file is worked on in a process that is watched from outside.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import select
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from heif_samples import GREY, coded, grid, smooth, write

from unrain.errors import UnrainError
from unrain.media import animations, images
from unrain.media.files import Kind, kind_of
from unrain.media.metadata import Metadata
from unrain.media.writing import atomic_output

SECONDS, GIGABYTES = 10, 2.0
PHONE = Path(__file__).parents[1] / "tests" / "golden" / "phone.heic"
LIES = (0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000, 30000)


def corpus(folder: Path) -> list[Path]:
    """Small whole pictures of all formats and kinds, to be broken."""
    y, x = np.mgrid[0:40, 0:56] / 56
    noise = np.random.default_rng(0).normal(0, 0.02, (40, 56, 3))
    pixels = np.clip(np.stack([x, y, 0.9 - 0.6 * x], axis=-1) + noise, 0, 1).astype(np.float32)
    colour = Image.fromarray(images.to_uint8(pixels))
    clear = colour.copy()
    clear.putalpha(Image.linear_gradient("L").resize(colour.size))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    exif.get_ifd(0x8825)[1] = "N"
    plain: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "a.jpg": (colour, {"exif": exif, "comment": b"x"}),
        "progressive.jpg": (colour, {"progressive": True}),
        "cmyk.jpg": (colour.convert("CMYK"), {}),
        "a.png": (colour, {"exif": exif}),
        "palette.png": (colour.quantize(20), {"transparency": 3}),
        "one.png": (colour.convert("1"), {}),
        "alpha.png": (clear, {}),
        "a.webp": (colour, {"exif": exif}),
        "lossless.webp": (clear, {"lossless": True}),
        "raw.tif": (colour, {}),
        "lzw.tif": (colour, {"compression": "tiff_lzw"}),
        "jpeg.tif": (colour, {"compression": "jpeg"}),
        "a.bmp": (colour, {}),
        "a.gif": (colour.quantize(30), {}),
        "a.avif": (clear, {"exif": exif.tobytes(), "speed": 10}),
    }
    for name, (image, options) in plain.items():
        image.save(folder / name, **options)
    turned = [colour.rotate(10 * number) for number in range(3)]
    for name in ("moving.gif", "moving.webp", "moving.png"):
        turned[0].save(folder / name, save_all=True, append_images=turned[1:], duration=50)
    said = Metadata(exif.tobytes().removeprefix(b"Exif\0\0"), b"<x/>", (72, 72))
    for name, bits in (("deep.png", 16), ("deep.tif", 16), ("float.tif", 32)):
        images.write_picture(folder / name, images.Picture(pixels, bits=bits, metadata=said))
    (folder / "phone.heic").write_bytes(PHONE.read_bytes())
    block = said.exif
    deep = {kind: coded(pixels, kind, "yuv420p10le") for kind in ("av01", "hvc1")}
    write(folder / "deep.avif", deep["av01"], exif=block, xmp=said.xmp, orientation=6)
    write(folder / "alpha.avif", coded(smooth(32, 48), "av01", "yuv420p10le"), alpha=GREY)
    write(folder / "deep.heic", deep["hvc1"], exif=block, xmp=said.xmp, orientation=6, colour=(9, 16, 9, True))
    tiles = [coded(smooth(64, 64), "hvc1", "yuv420p10le")] * 2
    write(folder / "tiles.heic", grid(1, 2, tiles[0]), tiles=tiles)
    return sorted(folder.iterdir())


def broken(whole: bytes, chance: random.Random) -> bytes:
    """The file with one or two things wrong: cut, bits flipped, bytes lost or added, numbers in headers that lie."""
    data = bytearray(whole)
    for _ in range(chance.choice((1, 1, 2))):
        kind = chance.choice(("cut", "flip", "flip", "lie", "lie", "lose", "add"))
        at = chance.randrange(len(data)) if data else 0
        if kind == "cut":
            del data[at:]
        elif kind == "flip":
            for _ in range(chance.randint(1, 20)):
                if data:
                    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif kind == "lie" and len(data) > 8:
            # most numbers that say how large something is stand at the beginning of a file, or of a block in it
            at = chance.randrange(min(len(data) - 4, chance.choice((64, 400, len(data)))))
            layout = chance.choice((">I", "<I", ">H", "<H"))
            struct.pack_into(layout, data, at, chance.choice(LIES) & (0xFFFF if layout[1] == "H" else 0xFFFFFFFF))
        elif kind == "lose":
            del data[at : at + chance.randint(1, 200)]
        else:
            data[at:at] = chance.randbytes(chance.randint(1, 200))
    # a wrong checksum would have a PNG refused before what is wrong in it is looked at
    return _with_checksums(bytes(data)) if chance.random() < 0.7 else bytes(data)


def _with_checksums(data: bytes) -> bytes:
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return data
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        (length,) = struct.unpack_from(">I", out, at)
        if at + 12 + length > len(out):
            break
        struct.pack_into(">I", out, at + 8 + length, zlib.crc32(out[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(out)


def work_on(path: Path, out: Path) -> str:
    """What `unrain clean` does with a picture, but for the network. Returns what became of it."""
    target = out / f"result{'.png' if images.is_deep(path) else path.suffix}"
    try:
        if kind_of(path) is Kind.VIDEO:
            return "taken for a video"
        with atomic_output(target) as part:
            if animations.count_frames(path) > 1:
                animations.rewrite(path, part, lambda frames: (frame.pixels for frame in frames))
            else:
                images.write_picture(part, images.read_picture(path))
    except UnrainError as error:
        told = str(error)
        if "\n" in told or not (str(path) in told or str(out) in told):
            return f"BROKE A RULE: says {told!r}"
        return "BROKE A RULE: left a file" if list(out.iterdir()) else "refused"
    left = [each for each in out.iterdir() if each != target]
    target.unlink()
    return "BROKE A RULE: left a file" if left else "read and written"


def child(first: int, last: int, seed: int) -> None:
    """Work through numbers, and print a line for each."""
    warnings.simplefilter("ignore")
    limit = int(3 * GIGABYTES * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with tempfile.TemporaryDirectory() as folder:
        whole, broke, out = (Path(folder, name) for name in ("whole", "broken", "out"))
        for each in (whole, broke, out):
            each.mkdir()
        files = corpus(whole)
        for number in range(first, last):
            chance = random.Random(f"{seed} {number}")
            source = chance.choice(files)
            path = broke / source.name.replace(".heic", ".jpg")
            path.write_bytes(broken(source.read_bytes(), chance))
            start = time.perf_counter()
            try:
                became = work_on(path, out)
            except Exception as error:  # noqa: BLE001
                became = f"BROKE A RULE: {type(error).__name__}: {error}"
            told = {"number": number, "file": source.name, "became": became, "seconds": time.perf_counter() - start}
            told["gigabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(json.dumps(told), flush=True)


def watched(kind: str, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """What became of each file; a process that dies or hangs is replaced behind the file that it died of."""
    number = 0
    while number < count:
        command = [sys.executable, __file__, kind, "--child", str(number), str(count), "--seed", str(seed)]
        with (
            tempfile.TemporaryFile() as said,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said) as process,
        ):
            assert process.stdout is not None
            while (line := _line(process.stdout, SECONDS + 20)) is not None and line:
                told = json.loads(line)
                number = told["number"] + 1
                yield told
            if number < count:
                process.kill()
                said.seek(0)
                last = said.read().decode(errors="replace").splitlines()[-1:]
                ended = "hangs" if line is None else f"kills the process ({process.wait()}): {' '.join(last)}"
                yield {"number": number, "file": "?", "became": f"BROKE A RULE: {ended}", "seconds": 0, "gigabytes": 0}
                number += 1


def _line(stream: IO[bytes], seconds: float) -> bytes | None:
    ready, _, _ = select.select([stream], [], [], seconds)
    return stream.readline() if ready else None


def main() -> int:
    """Run from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Broken files through the loaders.")
    parser.add_argument("kind", choices=["images"])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        first, last = given.child
        child(first, last, given.seed)
        return 0
    became: Counter[str] = Counter()
    slowest = most = 0.0
    for told in watched(given.kind, given.count, given.seed):
        slowest, most = max(slowest, told["seconds"]), max(most, told["gigabytes"])
        rule = told["became"].startswith("BROKE")
        became["broke a rule" if rule else told["became"]] += 1
        if rule:
            print(f"{told['number']} ({told['file']}): {told['became']}")
    counts = ", ".join(f"{number} {what}" for what, number in became.most_common())
    print(f"{given.count} files: {counts}; the slowest took {slowest:.1f} s, the most memory was {most:.2f} GB")
    return int(became["broke a rule"] > 0 or slowest > SECONDS or most > GIGABYTES)


if __name__ == "__main__":
    sys.exit(main())
