"""Engines agree, drivers repeat the step graph as the networks do, and models take pictures as people hold them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import unrain
from unrain import weights
from unrain.errors import EngineError, UnrainError, WeightsError
from unrain.evaluation.metrics import psnr
from unrain.inference import engines, pictures, recurrence
from unrain.inference.frames import CutDetector, look_ahead, run_frames
from unrain.inference.layout import to_planes
from unrain.inference.motion import motion
from unrain.media.memory import check_memory
from unrain.networks.graphs import read_network
from unrain.networks.j4rnet_half import J4RNetHalf
from unrain.networks.sapnet import SAPNet
from unrain.rain.render import fall

Pixels = NDArray[np.float32]
ENGINES = list(engines.MODULES)


@pytest.fixture(scope="module")
def clip(photo: Pixels) -> list[Pixels]:
    """Six frames of a camera that moves over a photo, (48, 64, 3) each."""
    clip = [np.ascontiguousarray(photo[time : time + 48, :64]) for time in range(6)]
    detector = CutDetector()
    assert not any(detector.starts_scene(frame) for frame in clip)
    return clip


def to_tensor(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def to_pixels(picture: torch.Tensor) -> Pixels:
    return np.asarray(picture[0].permute(1, 2, 0).numpy())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("crop", [(64, 96), (33, 47)])
def test_engine_runs_stages_as_the_network_does(photo: Pixels, engine: str, crop: tuple[int, int]) -> None:
    graph = weights.find("sapnet").graph()
    rainy = photo[: crop[0], : crop[1]]
    network = read_network(graph)
    assert isinstance(network, SAPNet)
    with torch.inference_mode():
        expected = network.eval()(to_tensor(rainy), stages=6)
    cleaner = pictures.opened(weights.find("sapnet"), engine)
    for count in (1, 3, 6):
        clean, _ = cleaner.clean_piece(rainy, count)
        np.testing.assert_allclose(clean, to_pixels(expected[count - 1]), atol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["j4rnet", "j4rnet-fast"])
def test_engine_runs_frames_with_memory_as_the_network_does(clip: list[Pixels], name: str, engine: str) -> None:
    """Also those of odd sizes, whose last rows and columns are there twice."""
    network = read_network(weights.find(name).graph())
    assert isinstance(network, J4RNetHalf)
    odd = [frame[:47, :63] for frame in clip]
    even = [np.pad(frame, ((0, 1), (0, 1), (0, 0)), mode="edge") for frame in odd]
    with torch.inference_mode():
        moved = [torch.zeros(1, 2, 48, 64), *(torch.from_numpy(motion(*pair))[None] for pair in pairwise(even))]
        pictures = torch.stack([to_tensor(frame) for frame in even], dim=1)
        expected = network.eval()(pictures, motion=torch.stack(moved, dim=1))
    cleaner = recurrence.opened(weights.find(name), engine, precision="fp32", layers=True)
    for result, truth in zip(run_frames(cleaner, odd, warm_up=0), expected, strict=True):
        assert result.streaks is not None
        assert result.degradation is not None
        np.testing.assert_allclose(result.background, to_pixels(truth.background)[:47, :63], atol=1e-3)
        np.testing.assert_allclose(result.streaks, to_pixels(truth.streaks)[:47, :63], atol=1e-3)
        np.testing.assert_allclose(result.degradation, to_pixels(truth.degradation)[:47, :63], atol=1e-3)


def test_streaming_frame_by_frame_equals_the_clip_at_once(clip: list[Pixels]) -> None:
    video = unrain.load("j4rnet")
    whole = list(video.stream(clip))
    received = iter(clip)
    streamed = list(video.stream(frame for frame in received))
    assert len(whole) == len(clip)
    assert all(np.array_equal(a, b) for a, b in zip(whole, streamed, strict=True))


def test_first_frame_is_warmed_up_by_the_reflected_frames_ahead(clip: list[Pixels]) -> None:
    runner = recurrence.opened(weights.find("j4rnet"), "onnxruntime")
    warmed = list(run_frames(runner, clip, warm_up=3))
    reflected = [clip[3], clip[2], clip[1], *clip]
    by_hand = list(run_frames(runner, reflected, warm_up=0))[3:]
    for a, b in zip(warmed, by_hand, strict=True):
        assert np.array_equal(a.background, b.background)


def test_scene_cut_resets_the_memory(clip: list[Pixels]) -> None:
    runner = recurrence.opened(weights.find("j4rnet"), "onnxruntime")
    other: list[Pixels] = [(1 - frame).astype(np.float32) for frame in clip]
    both = list(run_frames(runner, clip + other))
    alone = list(run_frames(runner, clip)) + list(run_frames(runner, other))
    for a, b in zip(both, alone, strict=True):
        assert np.array_equal(a.background, b.background)


def test_only_the_first_frame_of_another_scene_is_a_cut(shared: Path) -> None:
    clips = [read_clip(shared / "data/train/clips" / name) for name in ("dog", "cows", "drift-straight", "parkour")]
    for before, after in pairwise(clips):
        detector = CutDetector()
        found = [detector.starts_scene(frame) for frame in before + after]
        assert [index for index, cut in enumerate(found) if cut] == [len(before)]


@pytest.mark.parametrize("preset", ["rain100h", "storm"])
def test_heavy_rain_hides_no_cut_and_makes_none(shared: Path, preset: str) -> None:
    clips = []
    for number, folder in enumerate(sorted((shared / "data/val/clips").iterdir())):
        clean = torch.stack([to_tensor(frame)[0] for frame in read_clip(folder, 4, 2)])[None]
        generator = torch.Generator().manual_seed(number)
        rainy = fall(1, clean.shape[-2], clean.shape[-1], preset, generator).on(clean).rainy[0]
        clips.append([to_pixels(frame[None]) for frame in rainy])
    for before, after in permutations(clips, 2):
        detector = CutDetector()
        found = [detector.starts_scene(frame) for frame in before + after]
        assert [index for index, cut in enumerate(found) if cut] == [len(before)]


def test_a_flash_is_no_cut(clip: list[Pixels]) -> None:
    detector = CutDetector()
    flash = (0.3 + 0.7 * clip[2]).astype(np.float32)
    assert not any(detector.starts_scene(frame) for frame in (*clip[:2], flash, *clip[3:]))


def test_a_dark_cut_is_a_cut(shared: Path) -> None:
    folders = (shared / "data/val/clips" / name for name in ("goat", "soapbox"))
    night = [frame * np.float32(0.1) for folder in folders for frame in read_clip(folder, 3)]
    detector = CutDetector()
    found = [detector.starts_scene(frame) for frame in night]
    assert found == [False, False, False, True, False, False]


def backgrounds(film: list[Pixels]) -> list[Pixels]:
    runner = recurrence.opened(weights.find("j4rnet"), "onnxruntime", 1)
    return [result.background for result in run_frames(runner, [frame[:24, :32] for frame in film], warm_up=1)]


def test_a_frozen_frame_gets_the_same_result_and_changes_nothing_after(clip: list[Pixels]) -> None:
    moving = backgrounds(clip[:4])
    frozen = backgrounds([*clip[:3], clip[2].copy(), clip[2], clip[3]])
    for number, same in enumerate((0, 1, 2, 2, 2, 3)):
        assert np.array_equal(frozen[number], moving[same])


def test_a_broken_frame_does_not_poison_those_after_it(clip: list[Pixels]) -> None:
    """They are what they would be if the clip began with them."""
    film = torch.from_numpy(np.stack(clip)).permute(0, 3, 1, 2)[None]
    rain = fall(1, 48, 64, "rain100l", torch.Generator().manual_seed(0))
    wet = [to_pixels(frame[None]) for frame in rain.on(film).rainy[0]]
    noise = np.random.default_rng(0).random(wet[0].shape, dtype=np.float32)
    runner = recurrence.opened(weights.find("j4rnet"), "onnxruntime", 1)
    broken, fresh = (list(run_frames(runner, film)) for film in ([*wet[:2], noise, *wet[3:]], wet[3:]))
    for result, alone, truth in zip(broken[3:], fresh, clip[3:], strict=True):
        assert psnr(result.background, truth) > psnr(alone.background, truth) - 0.5


def read_clip(folder: Path, count: int | None = None, smaller: int = 4) -> list[Pixels]:
    frames = []
    for path in sorted(folder.iterdir())[:count]:
        with Image.open(path) as image:
            frames.append(np.asarray(image.convert("RGB").reduce(smaller), dtype=np.float32) / np.float32(255))
    return frames


def test_look_ahead_shows_what_follows_and_reads_no_further() -> None:
    read = []

    def source() -> Iterator[Pixels]:
        for number in range(5):
            read.append(number)
            yield np.full((1, 1, 3), number, np.float32)

    seen = []
    for frame, ahead in look_ahead(source(), 2):
        seen.append((int(frame[0, 0, 0]), [int(later[0, 0, 0]) for later in ahead]))
        assert len(read) <= len(seen) + 2
    assert seen == [(0, [1, 2]), (1, [2, 3]), (2, [3, 4]), (3, [4]), (4, [])]


@pytest.mark.parametrize("precision", weights.PRECISIONS)
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_flat_frames_give_numbers_near_what_they_were(level: float, precision: str) -> None:
    """Black, grey and white: no NaN and no drift, in photos and in a memory that sees them again and again."""
    flat = np.full((40, 48, 3), level, np.float32)
    for name in ("sapnet", "sapnet-fast"):
        clean, _ = pictures.opened(weights.find(name), "openvino", 1, precision).clean_piece(flat, 3)
        assert np.abs(clean - level).max() < 0.1
    moving = [flat + np.float32(number / 255) * (1 - 2 * level) for number in range(6)]
    for name in ("j4rnet", "j4rnet-fast"):
        video = recurrence.opened(weights.find(name), "openvino", 1, precision)
        for result in run_frames(video, moving, warm_up=1):
            assert np.abs(result.background - level).max() < 0.15


@pytest.mark.parametrize("name", ["j4rnet", "j4rnet-fast"])
@pytest.mark.parametrize("length", [1, 2])
def test_shortest_videos_are_cleaned(clip: list[Pixels], length: int, name: str) -> None:
    assert len(list(unrain.load(name).stream(clip[:length]))) == length


def test_frames_of_different_sizes_are_refused(clip: list[Pixels]) -> None:
    with pytest.raises(UnrainError, match="size"):
        list(unrain.load("j4rnet").stream([clip[0], clip[1][:40]]))


@pytest.fixture(scope="module")
def model() -> unrain.ImageModel:
    return unrain.load()


def test_model_gives_back_the_type_that_it_got(model: unrain.ImageModel, photo: Pixels) -> None:
    bytes_ = (photo * 255).round().astype(np.uint8)
    image = model(Image.fromarray(bytes_))
    assert isinstance(image, Image.Image)
    assert image.size == (96, 80)
    from_bytes, from_floats, from_doubles = model(bytes_), model(photo), model(photo.astype(np.float64))
    assert from_bytes.dtype == np.uint8
    assert from_floats.dtype == np.float32
    assert from_doubles.dtype == np.float64
    assert np.array_equal(np.asarray(image), from_bytes)
    assert np.array_equal(from_bytes, np.floor(from_floats * 255 + np.float32(0.5)).astype(np.uint8))


def test_model_keeps_transparency_and_grey(model: unrain.ImageModel, photo: Pixels) -> None:
    image = Image.fromarray((photo * 255).round().astype(np.uint8))
    mask = Image.linear_gradient("L").resize(image.size)
    transparent = image.copy()
    transparent.putalpha(mask)
    clean = model(transparent)
    assert clean.mode == "RGBA"
    assert clean.getchannel("A").tobytes() == mask.tobytes()
    assert clean.convert("RGB").tobytes() == model(image).tobytes()
    assert model(image.convert("L")).mode == "L"
    with pytest.raises(ValueError, match="mode CMYK"):
        model(image.convert("CMYK"))


def test_rain_that_was_taken_out_adds_up(model: unrain.ImageModel, photo: Pixels) -> None:
    clean, layers = model(photo, layers=True)
    np.testing.assert_allclose(clean + layers.streaks, photo, atol=1e-6)
    assert layers.degradation is None


def test_video_layers_come_with_each_frame(clip: list[Pixels]) -> None:
    for clean, layers in unrain.load("j4rnet").stream(clip[:2], layers=True):
        assert clean.shape == layers.streaks.shape == (48, 64, 3)
        assert layers.degradation is not None
        assert layers.degradation.shape == (48, 64, 1)


@pytest.mark.parametrize(
    ("picture", "error"),
    [
        (np.zeros((3, 40, 40), np.float32), ValueError),
        (np.zeros((40, 40), np.uint8), ValueError),
        (np.zeros((0, 40, 3), np.uint8), ValueError),
        (np.full((40, 40, 3), 255.0, np.float32), ValueError),
        (np.full((40, 40, 3), np.nan, np.float32), ValueError),
        (np.zeros((40, 40, 3), np.int32), TypeError),
        ("photo.jpg", TypeError),
    ],
)
def test_layouts_are_not_guessed(model: unrain.ImageModel, picture: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        model(picture)  # type: ignore[call-overload]


def test_picture_that_does_not_fit_into_memory_is_refused_in_one_line(model: unrain.ImageModel) -> None:
    with pytest.raises(UnrainError, match="96 x 80 pixels needs about") as refusal:
        check_memory(psutil.virtual_memory().total, 80, 96)
    assert "\n" not in str(refusal.value)
    with pytest.raises(UnrainError, match="needs at least 23 MB of memory, and has 1;"):
        unrain.ImageModel(model.entry, "openvino", None, "fp32", 1e6)(np.zeros((80, 96, 3), np.uint8))


def test_zero_stages_are_refused(model: unrain.ImageModel, photo: Pixels) -> None:
    with pytest.raises(UnrainError, match="use 1 or more"):
        model(photo, stages=0)


def test_unknown_engine_and_model_name_the_known_ones() -> None:
    with pytest.raises(EngineError, match="choose one of openvino, onnxruntime, torch"):
        unrain.load(engine="caffe")
    with pytest.raises(WeightsError, match="choose one of sapnet, sapnet-fast, j4rnet"):
        unrain.load("prenet")


def test_engine_refuses_a_file_that_is_no_step_graph(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a graph")
    for engine in ENGINES:
        with pytest.raises(EngineError, match=r"broken\.onnx"):
            engines.create(broken, pictures.RESULTS["sapnet"], engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("precision", weights.PRECISIONS)
def test_state_that_is_left_out_is_empty(photo: Pixels, engine: str, steps: int, precision: str) -> None:
    if (engine, precision) == ("torch", "int8"):
        pytest.skip("PyTorch runs float32 alone")
    planes = to_planes(photo)
    given = {
        "rainy": planes,
        "estimate": planes,
        "means": np.zeros((1, 320 * steps, 1, 1), np.float32),
        "trust": np.zeros((1, 1, 1, 1), np.float32),
    }
    empty = {name: np.zeros((1, 32, *photo.shape[:2]), np.float32) for name in ("h", "c")}
    outputs = ("estimate_next", "h_next", "means_found")
    run = engines.create(weights.find("sapnet").graph(precision), outputs, engine, steps=steps).run
    left_out, given_too = run(given), run(given | empty)
    for name in outputs:
        assert np.allclose(left_out[name], given_too[name], atol=1e-5)


def test_mirrored_pictures_get_mirrored_results_if_both_ways_are_cleaned(photo: Pixels) -> None:
    once, twice = unrain.load("sapnet"), unrain.load("sapnet", mirrored=True)
    other = np.ascontiguousarray(photo[:, ::-1])
    assert np.allclose(twice(other)[:, ::-1], twice(photo), atol=1e-5)
    assert np.allclose(twice(photo), (once(photo) + once(other)[:, ::-1]) / 2, atol=1e-3)
    assert not np.allclose(once(other)[:, ::-1], once(photo), atol=1e-3)


def test_videos_are_not_cleaned_mirrored() -> None:
    with pytest.raises(UnrainError, match="videos"):
        unrain.load("j4rnet", mirrored=True)
