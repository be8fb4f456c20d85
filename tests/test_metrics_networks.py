"""The metrics that need a network: UNIQUE and the distances in VGG-16's features, on weights made here or shared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from unrain.errors import WeightsError
from unrain.evaluation.metrics import Pixels, perceptual
from unrain.evaluation.metrics.perceptual import lpips, vgg_distance
from unrain.evaluation.metrics.unique import opinion, shrunk, unique, unique_network
from unrain.networks.unique import Unique
from unrain.training.features import Features


@pytest.fixture(scope="module")
def checkpoint() -> dict[str, Tensor]:
    """Weights of UNIQUE as its authors save them, but random."""
    torch.manual_seed(4)
    network = Unique()
    with torch.no_grad():
        network.fc.weight.mul_(30)
    extra = {"backbone.fc.weight": torch.zeros(1000, 512), "backbone.fc.bias": torch.zeros(1000)}
    return {f"module.{name}": value for name, value in (network.state_dict() | extra).items()}


@pytest.fixture(scope="module")
def unique_file(checkpoint: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("unique") / "model.pt"
    torch.save(checkpoint, file)
    return file


class TestUnique:
    def test_its_parameters_are_those_of_a_resnet_34(self) -> None:
        names = dict(Unique().named_parameters())
        assert sum(value.numel() for name, value in names.items() if name.startswith("backbone")) == 21_284_672
        assert names["backbone.conv1.weight"].shape == (64, 3, 7, 7)
        assert names["backbone.layer1.2.bn2.weight"].shape == (64,)
        assert names["backbone.layer3.5.conv1.weight"].shape == (256, 256, 3, 3)
        assert names["backbone.layer4.0.downsample.0.weight"].shape == (512, 256, 1, 1)
        assert names["backbone.layer4.0.downsample.1.bias"].shape == (512,)
        assert "backbone.layer1.0.downsample.0.weight" not in names
        assert names["fc.weight"].shape == (2, 512 * 512)

    def test_a_checkpoint_of_the_authors_form_loads(self, unique_file: Path, checkpoint: dict[str, Tensor]) -> None:
        network = unique_network(unique_file)
        assert not network.training
        for name, value in network.state_dict().items():
            assert torch.equal(value, checkpoint[f"module.{name}"]), name

    def test_one_with_an_optimizer_loads_too(self, tmp_path: Path, checkpoint: dict[str, Tensor]) -> None:
        file = tmp_path / "epoch.pt"
        torch.save({"state_dict": checkpoint, "optimizer": {}, "epoch": 3}, file)
        assert torch.equal(unique_network(file).fc.weight, checkpoint["module.fc.weight"])

    def test_it_has_an_opinion_on_pictures_of_any_size(self, unique_file: Path, photo: Pixels) -> None:
        mean, variance = opinion(photo, unique_file)
        assert variance > 0
        assert unique(photo, unique_file) == mean
        assert unique(photo[:33, :47], unique_file) != mean

    def test_the_variable_names_the_file(
        self, unique_file: Path, photo: Pixels, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("UNRAIN_UNIQUE", str(unique_file))
        assert unique(photo) == unique(photo, unique_file)

    @pytest.mark.parametrize(
        ("size", "shown"), [((1000, 800), (960, 768)), ((801, 1003), (768, 961)), ((767, 900), (767, 900))]
    )
    def test_large_pictures_are_shown_to_it_at_768_pixels(self, size: tuple[int, int], shown: tuple[int, int]) -> None:
        assert shrunk(Image.new("RGB", size)).size == shown

    def test_the_formula_written_out(self) -> None:
        torch.manual_seed(1)
        network = Unique(width=4).eval()
        picture = torch.rand(1, 3, 64, 96)
        features = network.backbone(picture)[-1][0].detach().numpy()
        assert features.shape == (32, 2, 3)
        products = np.einsum("ahw,bhw->ab", features, features) / 6
        pooled = (np.sign(products) * np.sqrt(np.abs(products) + 1e-8)).ravel()
        raw = network.fc.weight.detach().numpy() @ (pooled / np.linalg.norm(pooled)) + network.fc.bias.detach().numpy()
        with torch.no_grad():
            mean, variance = network(picture)[0].tolist()
        assert mean == pytest.approx(raw[0], abs=1e-6)
        assert variance == pytest.approx(np.log1p(np.exp(raw[1])), abs=1e-6)

    def test_a_missing_parameter_is_named(self, tmp_path: Path, checkpoint: dict[str, Tensor]) -> None:
        file = tmp_path / "part.pt"
        torch.save({name: value for name, value in checkpoint.items() if name != "module.fc.bias"}, file)
        with pytest.raises(WeightsError, match=r"part\.pt: fc\.bias is missing"):
            unique_network(file)

    def test_another_file_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "other.pt"
        file.write_bytes(b"no checkpoint")
        with pytest.raises(WeightsError, match=r"other\.pt: cannot be read as a checkpoint"):
            unique_network(file)


class TestVggDistance:
    @pytest.fixture
    def weights(self, shared: Path) -> Path:
        return shared / "peers/features/vgg16_relu4_3.fp16.safetensors"

    def test_identical_pictures(self, weights: Path, photo: Pixels) -> None:
        assert vgg_distance(photo, photo.copy(), weights) == 0

    def test_it_is_symmetric_and_grows_with_what_is_wrong(self, weights: Path, photo: Pixels) -> None:
        image = Image.fromarray(np.rint(photo * 255).astype(np.uint8))
        blurred = [
            np.asarray(image.filter(ImageFilter.GaussianBlur(radius))) / np.float32(255) for radius in (0.5, 1, 2)
        ]
        distances = [vgg_distance(each, photo, weights) for each in blurred]
        assert 0 < distances[0] < distances[1] < distances[2]
        assert vgg_distance(photo, blurred[1], weights) == pytest.approx(distances[1], rel=1e-5)

    def test_a_file_of_other_weights_is_refused(self, tmp_path: Path, photo: Pixels) -> None:
        file = tmp_path / "other.safetensors"
        file.write_bytes(b"no weights")
        with pytest.raises(WeightsError, match=r"other\.safetensors: cannot be read"):
            vgg_distance(photo, photo, file)


class TestLpips:
    @pytest.fixture(autouse=True)
    def narrow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An eighth of VGG-16's width: the layers and names are the same."""
        monkeypatch.setattr(Features, "VGG16", ((8, 8), (16, 16), (32, 32, 32), (64, 64, 64)))
        monkeypatch.setattr(perceptual, "_LAST_BLOCK", (64, 64, 64))

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        torch.manual_seed(2)
        network = Features((*Features.VGG16, (64, 64, 64)))
        torch.save(network.state_dict() | {"classifier.0.bias": torch.zeros(3)}, tmp_path / "vgg16-397923af.pth")
        heads = {f"lin{i}.model.1.weight": torch.rand(1, width, 1, 1) for i, width in enumerate(network.widths)}
        torch.save(heads, tmp_path / "vgg.pth")
        return tmp_path

    def test_the_formula_written_out(self, folder: Path, photo: Pixels) -> None:
        other = photo[::-1].copy()
        network = Features((*Features.VGG16, (64, 64, 64)))
        network.load_state_dict(torch.load(folder / "vgg16-397923af.pth"), strict=False)
        heads = torch.load(folder / "vgg.pth")

        def features(pixels: Pixels) -> list[Tensor]:
            shift, scale = np.array([-0.03, -0.088, -0.188]), np.array([0.458, 0.448, 0.45])
            values = torch.tensor((2 * pixels - 1 - shift) / scale).float().permute(2, 0, 1)[None]
            layers = []
            for number, names in enumerate(network.blocks):
                values = torch.nn.functional.max_pool2d(values, 2) if number else values
                for name in names:
                    values = torch.relu(network.features[name](values))
                layers.append(values / (values.square().sum(dim=1, keepdim=True).sqrt() + 1e-10))
            return layers

        with torch.no_grad():
            expected = sum(
                float(torch.nn.functional.conv2d((a - b).square(), heads[f"lin{layer}.model.1.weight"]).mean())
                for layer, (a, b) in enumerate(zip(features(photo), features(other), strict=True))
            )
        assert lpips(photo, other, folder) == pytest.approx(expected, rel=1e-3)
        assert lpips(photo, photo, folder) == 0

    def test_a_missing_head_is_named(self, folder: Path, photo: Pixels) -> None:
        torch.save({"lin0.model.1.weight": torch.rand(1, 8, 1, 1)}, folder / "vgg.pth")
        with pytest.raises(WeightsError, match=r"vgg\.pth: lin1\.model\.1\.weight is missing"):
            lpips(photo, photo, folder)

    def test_a_missing_file_is_named(self, tmp_path: Path, photo: Pixels) -> None:
        with pytest.raises(WeightsError, match=r"vgg16-397923af\.pth: cannot be read"):
            lpips(photo, photo, tmp_path)
