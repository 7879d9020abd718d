"""An export says what it is made of, and a change of one byte is found."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from app.detection.export import FACTS, Export, find_exports, newest_export
from app.detection.facts import GraphFacts
from app.detection.manifest import NAME, Manifest, check_files, read_manifest, write_manifest
from app.detection.weights import Weights
from app.errors import Misconfigured
from app.settings import Settings

SHA256 = "ab" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export as far as files go."""
    folder = tmp_path / f"street-{SHA256[:16]}-f32-dynamic-ultralytics8-openvino2.openvino"
    (folder / "model_openvino_model").mkdir(parents=True)
    (folder / "model_openvino_model" / "model.xml").write_text("<net/>")
    (folder / "model_openvino_model" / "model.bin").write_bytes(bytes(1000))
    facts = GraphFacts("detect", ["cat"], graph="model_openvino_model/model.xml")
    (folder / FACTS).write_bytes(msgspec.json.encode(facts))
    return folder


def read(folder: Path) -> Export:
    facts = msgspec.json.decode((folder / FACTS).read_bytes(), type=GraphFacts)
    return Export(folder, facts, read_manifest(folder))


def flip_a_bit(folder: Path) -> None:
    path = folder / "model_openvino_model" / "model.bin"
    path.write_bytes(bytes(999) + b"\1")


def remove_the_graph(folder: Path) -> None:
    (folder / "model_openvino_model" / "model.xml").unlink()


def name_another_graph(folder: Path) -> None:
    (folder / "other.xml").write_text("<net/>")
    (folder / FACTS).write_bytes(msgspec.json.encode(GraphFacts("detect", ["cat"], graph="other.xml")))


def leave_the_graph_out(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert manifest is not None
    files = {name: digest for name, digest in manifest.files.items() if name.endswith(FACTS)}
    (folder / NAME).write_bytes(msgspec.json.encode(Manifest(manifest.weights, files)))


def test_what_was_written_is_what_is_read_and_checked(folder: Path) -> None:
    written = write_manifest(folder, SHA256)
    assert read_manifest(folder) == written
    assert set(written.files) == {
        FACTS,
        "model_openvino_model/model.bin",
        "model_openvino_model/model.xml",
    }
    read(folder).check(Settings(model_sha256=SHA256))


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (flip_a_bit, r"model\.bin has the SHA-256 [0-9a-f]{64}, and was made with"),
        (remove_the_graph, r"model\.xml is missing"),
        (name_another_graph, r"other\.xml is not in its manifest\.json"),
        (leave_the_graph_out, r"model\.xml is not in its manifest\.json"),
    ],
)
def test_an_export_that_was_changed_is_refused_in_one_line(
    folder: Path, change: Callable[[Path], None], cause: str
) -> None:
    write_manifest(folder, SHA256)
    change(folder)
    with pytest.raises(Misconfigured, match=cause) as refused:
        read(folder).check(Settings())
    assert str(folder) in str(refused.value)
    assert "remove that folder" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_manifest_that_is_none_is_refused_and_not_passed_over(folder: Path) -> None:
    (folder / NAME).write_text("{")
    with pytest.raises(Misconfigured, match=r"manifest\.json cannot be read"):
        read(folder)


def test_an_old_export_runs_unless_the_weights_are_pinned(folder: Path) -> None:
    read(folder).check(Settings())
    with pytest.raises(Misconfigured, match=r"nothing says which weights the export .* was made from"):
        read(folder).check(Settings(model_sha256=SHA256))


def test_what_was_made_from_other_weights_is_not_found(folder: Path) -> None:
    """The folder's name has 16 digits of the SHA-256 only, and anybody may write a name."""
    weights = Weights(folder.parent / "street.pt", SHA256, is_demo=False)
    settings = Settings(data_dir=folder.parent / "data")
    write_manifest(folder, SHA256)
    assert [each.folder for each in find_exports(weights, settings, "f32")] == [folder]
    (folder / NAME).unlink()
    write_manifest(folder, SHA256[:16] + "cd" * 24)
    assert find_exports(weights, settings, "f32") == []


def test_an_export_that_can_be_checked_comes_before_a_newer_one_that_cannot() -> None:
    made_by = "street-abab-f32-dynamic-ultralytics8-openvino"
    old = Export(Path(f"/{made_by}2.openvino"), GraphFacts("detect", ["cat"], made="2026-02-02"))
    new = Export(
        Path(f"/{made_by}1.openvino"), GraphFacts("detect", ["cat"], made="2026-01-01"), Manifest(SHA256, {})
    )
    assert newest_export([old, new], {"openvino": "2"}) == new


def test_files_that_are_not_needed_are_checked_as_well(folder: Path) -> None:
    (folder / "metadata.yaml").write_text("stride: 32")
    manifest = write_manifest(folder, SHA256)
    (folder / "metadata.yaml").write_text("stride: 64")
    with pytest.raises(Misconfigured, match=r"metadata\.yaml has the SHA-256"):
        check_files(folder, manifest, ())
