"""What a video's options ask of the model that is here."""

import pytest

from app.detection.wanted import Wanted, wanted_of
from app.domain.messages import Options
from app.errors import Rejected

NAMES = ("person", "cat", "dog", "cat")


def unknown(*classes: str | int, names: tuple[str, ...] = NAMES) -> str:
    with pytest.raises(Rejected) as caught:
        wanted_of(Options(classes=classes), names, 640)
    assert caught.value.code == "unknown_class"
    return caught.value.reason


def test_what_nobody_has_chosen_is_all_classes_at_the_operators_size() -> None:
    assert wanted_of(Options(), NAMES, 960) == Wanted(0.25, 0.45, 300, None, 960)


def test_what_was_chosen_is_asked() -> None:
    options = Options(conf=0.5, iou=0.7, max_det=3, imgsz=320, classes=("dog",))
    assert wanted_of(options, NAMES, 960) == Wanted(0.5, 0.7, 3, (2,), 320)


def test_a_class_is_named_or_numbered_and_a_name_may_mean_several() -> None:
    assert wanted_of(Options(classes=("cat", 0, "person", 2)), NAMES, 640).classes == (0, 1, 2, 3)


def test_a_class_that_the_model_lacks_is_refused_with_what_it_has() -> None:
    assert unknown("cat", "unicorn").endswith('It has none called "unicorn", but person, cat, dog, cat.')
    assert unknown(4).endswith("It has 4 classes, and so none with the id 4.")


def test_a_name_is_no_number_and_its_letters_count() -> None:
    assert '"1"' in unknown("1")
    assert '"Cat"' in unknown("Cat")


def test_the_sentence_of_a_model_with_many_classes_stays_short() -> None:
    reason = unknown("unicorn", names=tuple(f"class {number}" for number in range(80)))
    assert reason.endswith("class 19 and 60 more.")


def test_only_what_the_model_is_asked_keeps_two_videos_apart() -> None:
    first = Options(classes=("cat",), start=1, preprocess=False, vid_stride=2)
    second = Options(classes=(1, 3), end=9)
    assert wanted_of(first, NAMES, 640) == wanted_of(second, NAMES, 640)
