"""Training: recipes are checked, runs go on where they stopped, and what is exported is what was trained."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from unrain.data.batches import Batches, Mixture
from unrain.errors import RecipeError, WeightsError
from unrain.evaluation import metrics
from unrain.networks.graphs import build, read_network
from unrain.networks.sapnet import SAPNet
from unrain.training import checkpoint, loop, recipe
from unrain.training.export import averaged_network, export_checkpoint
from unrain.training.losses.charbonnier import charbonnier
from unrain.training.losses.ssim import ssim
from unrain.training.objectives import OBJECTIVES

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.toml"))

TINY = """
network = "{network}"
seed = 1
[mixture]
rain = "rain100l"
dry = 0.2
{phases}
"""
PHASE = '[[phases]]\nobjective = "{}"\nsteps = {}\nbatch = 2\nsize = 20\nrate = [1e-3, 1e-4]\n'
SAPNET = TINY.format(network="sapnet", phases=PHASE.format("sapnet", 2) + PHASE.format("sapnet", 2) + "stages = 2\n")
J4RNET = TINY.format(
    network="j4rnet", phases=PHASE.format("j4rnet-single", 1) + PHASE.format("j4rnet", 2) + "frames = 3\n"
)


def write(folder: Path, text: str) -> recipe.Recipe:
    path = folder / "tiny.toml"
    path.write_text(text)
    return recipe.load(path)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_of_the_project_can_be_read(path: Path) -> None:
    assert recipe.load(path).steps > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seed", "sead"), "unknown setting sead"),
        (('"sapnet"', '"unet"'), "no network 'unet'"),
        (("rain100l", "hail"), "no rain preset 'hail'"),
        (("batch = 2", "batches = 2"), "unknown setting batches"),
        (('objective = "sapnet"', 'objective = "gan"'), "no objective 'gan'"),
        (("seed = 1", "seed = "), "cannot be read as a recipe"),
    ],
)
def test_typo_in_a_recipe_is_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as error:
        write(tmp_path, SAPNET.replace(*change))
    assert "tiny.toml" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", [SAPNET, J4RNET], ids=["sapnet", "j4rnet"])
def test_run_that_was_stopped_goes_on_to_the_same_weights(
    tmp_path: Path,
    training_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
) -> None:
    tiny = write(tmp_path, text)
    whole = checkpoint.load(loop.train(tiny, training_folder, tmp_path / "whole"))

    def stop(progress: loop.Progress) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(loop, "LOG_STEPS", 2)
    with pytest.raises(KeyboardInterrupt):
        loop.train(tiny, training_folder, tmp_path / "parts", report=stop)
    assert checkpoint.load(tmp_path / "parts/last.pt")["step"] == 1
    resumed = checkpoint.load(loop.train(tiny, training_folder, tmp_path / "parts", resume=True))
    assert resumed["step"] == whole["step"] == tiny.steps
    for part in ("network", "average"):
        assert all(torch.equal(resumed[part][name], value) for name, value in whole[part].items())


def test_run_is_logged(tmp_path: Path, training_folder: Path) -> None:
    tiny = write(tmp_path, SAPNET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOG_STEPS", 2)
        loop.train(tiny, training_folder, tmp_path / "run")
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [2, 4]
    assert all(line["loss"] > 0 for line in log)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_network_learns_a_batch(training_folder: Path, objective: str) -> None:
    torch.manual_seed(0)
    frames = 3 if objective == "j4rnet" else 1
    batch = Batches(training_folder, Mixture("heavy"), 0, torch.device("cpu")).batch(0, 2, frames, 24)
    network = build(objective.split("-")[0])
    optimizer = torch.optim.Adam(network.parameters())
    losses = [
        loop._optimise(network, optimizer, OBJECTIVES[objective](network, batch, frames), 1e-3) for _ in range(12)
    ]
    assert losses[-1] < 0.9 * losses[0]


def test_checkpoint_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    checkpoint.save(path, {"step": 1})
    with pytest.raises((AttributeError, pickle.PicklingError)):
        checkpoint.save(path, {"step": 2, "not picklable": lambda: None})
    assert checkpoint.load(path) == {"step": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.pt"]


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(Path(__file__).parent / "exploded"),)


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps(_Bomb())], ids=["empty", "text", "pickle bomb"])
def test_file_that_is_no_checkpoint_is_refused_and_never_run(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as a checkpoint"):
        checkpoint.load(path)
    assert not (Path(__file__).parent / "exploded").exists()


def test_learning_rate_runs_down_a_cosine() -> None:
    phase = recipe.Phase("sapnet", steps=100, batch=1, size=8, rate=(1e-3, 1e-5))
    rates = [loop.learning_rate(phase, done) for done in (0, 0.5, 1)]
    assert rates == pytest.approx([1e-3, 5.05e-4, 1e-5])


@pytest.mark.parametrize("text", [SAPNET, J4RNET], ids=["sapnet", "j4rnet"])
def test_exported_graph_is_one_small_file_that_agrees_with_the_checkpoint(
    tmp_path: Path,
    training_folder: Path,
    text: str,
) -> None:
    last = loop.train(write(tmp_path, text), training_folder, tmp_path / "run")
    graph = tmp_path / "graph.onnx"
    lines = list(export_checkpoint(last, graph))
    assert graph.stat().st_size < 2e6
    # Weights are rounded to half precision, one part in 2000.
    assert max(float(line.split("at most ")[1].split()[0]) for line in lines[1:]) < 1e-3
    assert str(tmp_path).encode() not in graph.read_bytes()
    trained, read = averaged_network(last).state_dict(), read_network(graph).state_dict()
    assert all(torch.equal(read[name], value.half().float()) for name, value in trained.items())


def test_network_without_a_step_graph_is_refused(tmp_path: Path) -> None:
    from unrain.training.export import export

    with pytest.raises(WeightsError, match="Linear has no step graph"):
        export(torch.nn.Linear(1, 1), tmp_path / "x.onnx")
    huge = SAPNet()
    torch.nn.init.constant_(huge.stage.conv.weight, 1e6)
    with pytest.raises(WeightsError, match="too large"):
        export(huge, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_ssim_loss_is_the_metric() -> None:
    random = np.random.default_rng(0)
    a = random.random((40, 50, 3))
    b = np.clip(a + 0.2 * random.standard_normal(a.shape), 0, 1)
    x, y = (torch.from_numpy(picture).permute(2, 0, 1)[None] for picture in (a, b))
    loss = ssim(x, y)
    assert loss.item() == pytest.approx(metrics.ssim(a, b, "rgb"), abs=1e-9)


def test_losses_have_the_gradients_of_their_formulas() -> None:
    a, b = (torch.rand(1, 2, 13, 14, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(ssim, (a, b))
    assert torch.autograd.gradcheck(charbonnier, (a, b))
