"""Who runs a model: decided from what is asked for, what is installed and what was exported."""

from pathlib import Path

import pytest

from app.detection.choice import Choice, Exports, Way, choose, exported, without_graph
from app.detection.export import Export, newest_export
from app.detection.facts import GraphFacts
from app.detection.installed import Here
from app.detection.weights import Weights
from app.domain.precision import Precision
from app.errors import Misconfigured
from app.settings import Settings

WEIGHTS = Weights(Path("/models/street.pt"), "ab" * 32, is_demo=False)
ALL = {"openvino": "2", "torch": "9", "ultralytics": "8"}
SLIM = {"openvino": "2"}
NONE = Exports(None, [], [])


def export(made_by: str = "ultralytics8-openvino2", *, made: str = "", graph: str = "model.xml") -> Export:
    facts = GraphFacts("detect", ["cat"], graph=graph, no_graph="" if graph else "out of luck", made=made)
    return Export(Path(f"/models/street-abab-f32-dynamic-{made_by}.openvino"), facts)


def chosen(
    versions: dict[str, str],
    exports: Exports = NONE,
    *,
    precision: Precision = "f32",
    has_gpu: bool = False,
    has_int8: bool = True,
) -> Choice:
    settings = Settings(detector_precision=precision)
    return choose(WEIGHTS, settings, Here(has_gpu, versions, has_int8), exports)


def test_a_gpu_comes_first_whatever_was_exported() -> None:
    found = Exports(export(), [export()], [export()])
    assert chosen(ALL, found, has_gpu=True) == Choice(Way.ULTRALYTICS, "there is a GPU")


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_on_a_gpu_it_is_said_that_another_precision_is_half_precision(precision: Precision) -> None:
    said = f"there is a GPU, on which DETECTOR_PRECISION={precision} is f16"
    assert chosen(ALL, precision=precision, has_gpu=True).reason == said


def test_without_an_export_one_is_made() -> None:
    assert chosen(ALL).way is Way.EXPORT_FIRST


def test_an_export_of_other_versions_is_made_anew_where_that_is_possible() -> None:
    assert chosen(ALL, Exports(None, [export("ultralytics7-openvino1")], [])).way is Way.EXPORT_FIRST


def test_without_torch_an_export_of_other_versions_will_do() -> None:
    old = export("ultralytics7-openvino1")
    assert chosen(SLIM, Exports(None, [old], [])) == Choice(Way.OPENVINO, "there is no GPU", old)


def test_without_torch_and_export_the_line_says_what_to_install_or_to_do() -> None:
    with pytest.raises(
        Misconfigured, match=r"street\.pt have no OpenVINO export.*kadr\[inference\].*model exp"
    ):
        chosen(SLIM)


def test_without_openvino_ultralytics_runs_it_and_without_both_nobody() -> None:
    torch = {name: version for name, version in ALL.items() if name != "openvino"}
    assert chosen(torch).way is Way.ULTRALYTICS
    with pytest.raises(Misconfigured, match="OpenVINO is not installed"):
        chosen({})


def test_int8_without_an_export_names_the_command_and_is_never_f32() -> None:
    with pytest.raises(Misconfigured, match=r"run `kadr model export --precision int8 --calibrate FOLDER`"):
        chosen(ALL, Exports(export(), [export()], []), precision="int8")


@pytest.mark.parametrize("has_int8", [True, False])
def test_int8_on_a_processor_that_gains_little_by_it_is_run_and_says_so(*, has_int8: bool) -> None:
    quantized = export()
    choice = chosen(SLIM, Exports(None, [], [quantized]), precision="int8", has_int8=has_int8)
    assert (choice.way, choice.export) == (Way.OPENVINO, quantized)
    assert ("such as VNNI" in choice.reason) is not has_int8


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_what_openvino_refuses_in_another_precision_is_never_f32(precision: Precision) -> None:
    with pytest.raises(Misconfigured, match=rf"={precision} cannot be had for .*: its output is odd"):
        without_graph(
            WEIGHTS,
            Settings(detector_precision=precision),
            Here(has_gpu=False, versions=ALL),
            "its output is odd",
        )


def test_bf16_runs_the_f32_export() -> None:
    found = export()
    assert chosen(SLIM, Exports(found, [found], []), precision="bf16").export == found
    assert chosen(ALL, precision="bf16").way is Way.EXPORT_FIRST


def test_bf16_is_never_what_ultralytics_runs() -> None:
    torch = {name: version for name, version in ALL.items() if name != "openvino"}
    with pytest.raises(Misconfigured, match=r"bf16 cannot be had for .*: OpenVINO is not installed"):
        chosen(torch, precision="bf16")
    without = export(graph="")
    with pytest.raises(Misconfigured, match=r"bf16 cannot be had for .*: out of luck"):
        exported(without, WEIGHTS, Settings(detector_precision="bf16"), Here(has_gpu=False, versions=ALL))


def test_f32_that_openvino_refuses_runs_on_ultralytics() -> None:
    here = Here(has_gpu=False, versions=ALL)
    assert without_graph(WEIGHTS, Settings(), here, "odd") == Choice(Way.ULTRALYTICS, "odd")


def test_a_model_without_a_graph_needs_torch() -> None:
    found = export(graph="")
    settings = Settings()
    assert exported(found, WEIGHTS, settings, Here(has_gpu=False, versions=ALL)).reason == "out of luck"
    with pytest.raises(Misconfigured, match="out of luck"):
        exported(found, WEIGHTS, settings, Here(has_gpu=False, versions=SLIM))


def test_exports_of_the_installed_versions_come_before_newer_ones_of_others() -> None:
    fits = export("ultralytics8-openvino2-nncf3", made="2026-01-01")
    newer = export("ultralytics8-openvino1-nncf3", made="2026-02-02")
    assert newest_export([fits, newer], ALL) == fits
    assert newest_export([newer, fits], {}) == newer
    assert newest_export([], ALL) is None


def test_an_export_knows_its_makers_whatever_the_weights_are_called() -> None:
    odd = Export(
        Path(
            "my-openvino9-ultralytics1-x-abab-int8-mixed-12-ultralytics8.4-openvino2026.4.1-nncf3.0.openvino"
        ),
        GraphFacts("detect", []),
    )
    assert odd.made_by == {"ultralytics": "8.4", "openvino": "2026.4.1", "nncf": "3.0"}
