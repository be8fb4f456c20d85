"""PReNet is the published one, and runs on the driver of stages like SAPNet."""

from __future__ import annotations

from pathlib import Path

import layer_table
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from unrain.errors import WeightsError
from unrain.evaluation.metrics import psnr
from unrain.inference import engines, pictures
from unrain.media.images import from_uint8, read_picture, to_uint8
from unrain.networks.graphs import load_weights, read_network
from unrain.networks.prenet import PReNet, from_published
from unrain.training.export import export


def published(shared: Path, name: str) -> dict[str, torch.Tensor]:
    return dict(torch.load(shared / f"peers/prenet/{name}.pth", map_location="cpu", weights_only=True))


@pytest.mark.parametrize("name", ["Rain100H", "Rain100L", "Rain1400"])
def test_published_checkpoints_give_the_output_of_the_layer_table(shared: Path, name: str) -> None:
    checkpoint = published(shared, name)
    network = PReNet()
    load_weights(network, from_published(checkpoint))
    rainy = torch.rand(1, 3, 33, 47, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights = {key: value.double().numpy() for key, value in checkpoint.items()}
    expected = layer_table.prenet(weights, rainy[0].numpy(), stages=6)
    with torch.inference_mode():
        estimates = network.double()(rainy, stages=6)
    for estimate, truth in zip(estimates, expected, strict=True):
        np.testing.assert_allclose(estimate[0].numpy(), truth, atol=1e-10)


def test_prenet_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in PReNet().parameters()) == 168_963


def test_a_checkpoint_of_sapnet_is_refused_by_name(shared: Path) -> None:
    checkpoint = torch.load(shared / "peers/sapnet/net_latest.pth", map_location="cpu", weights_only=True)
    with pytest.raises(WeightsError, match=r"not a PReNet checkpoint; missing: res_conv1\.2\.bias, .*unknown: res_"):
        from_published(checkpoint)


def test_the_exported_step_graph_runs_on_the_driver_of_stages(
    shared: Path, tmp_path: Path, photo: NDArray[np.float32]
) -> None:
    network = PReNet().eval()
    load_weights(network, from_published(published(shared, "Rain100H")))
    export(network, tmp_path / "prenet.onnx")
    cleaner = pictures.PictureCleaner(
        lambda steps: engines.create(tmp_path / "prenet.onnx", pictures.RESULTS["prenet"], "onnxruntime", steps=steps),
        "prenet",
        memory=3000,
    )
    result, _ = cleaner.clean_piece(photo, 3)

    reread = read_network(tmp_path / "prenet.onnx")
    assert isinstance(reread, PReNet)
    with torch.inference_mode():
        expected = reread(torch.from_numpy(photo).permute(2, 0, 1)[None], stages=3)[-1]
    np.testing.assert_allclose(result, expected[0].permute(1, 2, 0).numpy(), atol=1e-4)


def test_prenet_cleans_the_rain_that_it_was_trained_for(shared: Path) -> None:
    network = PReNet().eval()
    load_weights(network, from_published(published(shared, "Rain100L")))
    folder = shared / "data/test/rain100l"
    path = min((folder / "rainy").iterdir())
    rainy, truth = (read_picture(folder / kind / path.name).pixels[:160, :160] for kind in ("rainy", "clean"))
    with torch.inference_mode():
        estimate = network(torch.from_numpy(rainy.copy()).permute(2, 0, 1)[None])[-1]
    clean = from_uint8(to_uint8(estimate[0].permute(1, 2, 0).numpy()))
    # 37.6 dB over the published set; the rainy pictures of it have 26.9.
    assert psnr(clean, truth) > max(34, psnr(rainy, truth) + 5)
