"""The command line, as a whole process: what it writes, what it says, and how it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from media_samples import clip as make_clip
from numpy.typing import NDArray
from PIL import Image

import unrain as unrain_package

Pixels = NDArray[np.float32]


def unrain(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program that pip installs."""
    program = Path(sys.executable).with_name("unrain")
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False)


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@pytest.fixture
def rainy(tmp_path: Path, photo: Pixels) -> Path:
    path = tmp_path / "rainy.png"
    Image.fromarray((photo * 255).round().astype(np.uint8)).save(path)
    return path


def test_photo_is_cleaned_beside_itself_with_one_line(rainy: Path) -> None:
    done = unrain("clean", rainy)
    assert done.returncode == 0, done.stderr
    clean = rainy.with_name("rainy_clean.png")
    assert size_of(clean) == (96, 80)
    assert done.stdout.count("\n") == 1
    assert clean.name in done.stdout
    assert done.stderr == ""


def test_video_is_cleaned_by_the_video_model(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4")
    done = unrain("clean", tmp_path / "in.mp4", "-o", tmp_path / "out.mp4")
    assert done.returncode == 0, done.stderr
    assert "frames" in done.stdout
    assert (tmp_path / "out.mp4").stat().st_size > 0


def test_rain_is_added_beside_the_photo_with_its_layers(rainy: Path) -> None:
    done = unrain("rain", rainy, "--preset", "heavy", "--seed", 7, "--rate", "25mm/h", "--wind", "4", "--layers")
    assert done.returncode == 0, done.stderr
    result = rainy.with_name("rainy_rainy.png")
    with Image.open(rainy) as image:
        expected, _ = unrain_package.rain.add(image, "heavy", 7, rate=25, wind=4)
    with Image.open(result) as image:
        assert np.array_equal(np.asarray(image), np.asarray(expected))
    layers = sorted(path.name for path in rainy.with_name("rainy_rainy_layers").iterdir())
    assert layers == ["degradation_000000.png", "reliance_000000.png", "streaks_000000.png"]


def test_rain_falls_on_every_file_of_a_folder_and_each_has_its_own(tmp_path: Path, rainy: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(rainy.read_bytes())
    (folder / "c.png").write_bytes(b"not a picture")
    make_clip(folder / "d.mp4")
    done = unrain("rain", folder, "-o", tmp_path / "out", "--preset", "rain100l")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "c.png" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png", "d.mp4"]
    assert (tmp_path / "out" / "a.png").read_bytes() != (tmp_path / "out" / "b.png").read_bytes()


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("--preset", "hail"), "no rain preset 'hail'"),
        (("--rate=-3",), "rate"),
        (("--rate", "much"), "mm/h"),
        (("--exposure", "0s"), "exposure"),
        (("--preset", "rain12", "--wind", "2"), "a look"),
    ],
)
def test_rain_that_cannot_be_is_refused_before_anything_is_written(
    rainy: Path, option: tuple[str, ...], says: str
) -> None:
    done = unrain("rain", rainy, *option)
    assert done.returncode != 0
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in rainy.parent.iterdir()] == ["rainy.png"]


BAD = {
    "truncated.jpg": "truncated",
    "empty.png": "empty",
    "text.png": "text",
    "silent.mp4": "no video",
}


def test_bad_files_are_named_and_the_rest_of_the_batch_is_done(tmp_path: Path, rainy: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    rainy.rename(folder / "good.png")
    with Image.open(folder / "good.png") as image:
        image.save(tmp_path / "whole.jpg")
    (folder / "truncated.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("this is no picture")
    make_sound_only(folder / "silent.mp4")
    done = unrain("clean", folder, "-o", out)
    assert done.returncode == 1
    assert [path.name for path in out.iterdir() if not path.name.startswith(".")] == ["good.png"]
    lines = done.stderr.splitlines()
    assert len(lines) == len(BAD)
    for name in BAD:
        assert sum(name in line for line in lines) == 1
    assert "Traceback" not in done.stderr
    assert "1 of 5 files cleaned" in done.stdout
    assert "4 failed" in done.stdout


def make_sound_only(path: Path) -> None:
    """An MP4 with a sound track and no picture."""
    import av

    with av.open(path, "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_missing_file_is_one_line(tmp_path: Path) -> None:
    done = unrain("clean", tmp_path / "nothing.jpg")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "nothing.jpg" in done.stderr


def test_folder_that_cannot_be_written_is_one_line(rainy: Path) -> None:
    # Also root, who may write everywhere, cannot make a folder inside a file.
    (rainy.parent / "blocked").touch()
    done = unrain("clean", rainy, "-o", rainy.parent / "blocked" / "out.png")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "blocked" in done.stderr


def test_killed_job_leaves_no_file_under_the_final_name(tmp_path: Path, rainy: Path) -> None:
    make_clip(tmp_path / "long.mp4", frames=200)
    process = subprocess.Popen(
        [Path(sys.executable).with_name("unrain"), "clean", tmp_path / "long.mp4", "-o", tmp_path / "out/clean.mp4"]
    )
    try:
        while not list(tmp_path.glob("out/.*")):
            assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert not (tmp_path / "out/clean.mp4").exists()


def test_error_shows_where_it_came_from_with_debug_only(rainy: Path) -> None:
    quiet = unrain("clean", rainy, "-o", rainy)
    assert quiet.returncode == 1
    assert len(quiet.stderr.splitlines()) == 1
    assert "Traceback" in unrain("--debug", "clean", rainy, "-o", rainy).stderr


def test_compare_draws_a_figure_of_photos_and_videos(tmp_path: Path, rainy: Path) -> None:
    done = unrain("compare", rainy, rainy, "-o", tmp_path / "figure.png")
    assert done.returncode == 0, done.stderr
    assert size_of(tmp_path / "figure.png")[0] > 2 * 96
    make_clip(tmp_path / "clip.mp4")
    done = unrain("compare", tmp_path / "clip.mp4", tmp_path / "clip.mp4", "--frame", 2, "-o", tmp_path / "clip.png")
    assert done.returncode == 0, done.stderr
    beyond = unrain("compare", tmp_path / "clip.mp4", tmp_path / "clip.mp4", "--frame", 999, "-o", tmp_path / "x.png")
    assert beyond.returncode == 1
    assert "no frame 999" in beyond.stderr


def test_models_are_listed_and_shown() -> None:
    listed = unrain("models", "list").stdout
    assert "sapnet" in listed
    assert "j4rnet" in listed
    shown = unrain("models", "show", "sapnet").stdout
    assert "sha256" in shown
    assert "recipe" in shown
    assert unrain("models", "show", "nothing").returncode == 1


def test_doctor_checks_every_engine() -> None:
    told = unrain("doctor").stdout
    for engine in ("openvino", "onnxruntime", "torch"):
        assert f"{engine} " in told
    assert told.count("megapixels a second") == 3


@pytest.mark.parametrize("arguments", [("--help",), ("clean", "--help"), ("--version",)])
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys, unrain.cli\n"
        f"sys.argv = ['unrain', *{arguments!r}]\n"
        "try: unrain.cli.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'PIL', 'av', 'openvino', 'onnxruntime'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_cleaning_never_imports_torch(rainy: Path) -> None:
    code = (
        "import sys, unrain\n"
        f"unrain.clean({str(rainy)!r})\n"
        "assert 'torch' not in sys.modules and 'onnx' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONWARNINGS": "error"})


def test_longer_video_takes_no_more_memory(tmp_path: Path) -> None:
    peaks = []
    for frames in (12, 120):
        make_clip(tmp_path / f"{frames}.mp4", frames=frames)
        code = (
            "import resource, unrain\n"
            f"unrain.clean({str(tmp_path / f'{frames}.mp4')!r}, {str(tmp_path / 'out')!r})\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        )
        ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        peaks.append(int(ran.stdout))
    assert peaks[1] < 1.1 * peaks[0]


def test_video_options_reach_the_files(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4", 20, size=(32, 32))
    options = ("--start", "0.2", "--end", "0:00:00.28", "--codec", "hevc", "--crf", "30", "--side-by-side")
    done = unrain("clean", tmp_path / "in.mp4", "-o", tmp_path / "out.mp4", "--threads", 1, *options)
    assert done.returncode == 0, done.stderr
    assert "2 frames" in done.stdout
    names = ["in.mp4", "out.mp4", "out.mp4.side_by_side.mp4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    preview = unrain("clean", tmp_path / "in.mp4", "--preview", "--threads", 1)
    assert preview.returncode == 0, preview.stderr
    assert size_of(tmp_path / "in_clean.mp4.preview.png") == (2 * 32 + 4, 3 * 32 + 2 * 4)


def test_numbered_pictures_are_cleaned_as_a_video(tmp_path: Path, photo: Pixels) -> None:
    for number in range(2):
        pixels = (photo[number : number + 24, :32] * 255).round().astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"frame_{number:04d}.png")
    done = unrain("clean", tmp_path / "frame_%04d.png", "-o", tmp_path / "dry", "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "dry").iterdir()) == ["frame_0000.png", "frame_0001.png"]


def test_a_playlist_or_a_time_that_makes_no_sense_is_one_line(tmp_path: Path) -> None:
    make_clip(tmp_path / "secret.ts", 4)
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n")
    done = unrain("clean", tmp_path / "list.m3u8", "-o", tmp_path / "out.mp4")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out.mp4").exists()
    wrong = unrain("clean", tmp_path / "secret.ts", "--start", "soon")
    assert wrong.returncode != 0
    assert "Traceback" not in wrong.stderr
