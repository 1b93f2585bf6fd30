"""Folders of images: names of splits, nesting, and folders that are no classes."""

import os
import shlex
import subprocess
import unicodedata
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cnn_engine.config.presets import load_config
from cnn_engine.data.image_files import EXTENSIONS, same_form
from cnn_engine.data.image_search import RequestedImage
from cnn_engine.data.sources.find_files import list_files
from cnn_engine.data.sources.layout import find_layout
from cnn_engine.data.sources.listing import list_images
from cnn_engine.data.sources.parts import part_of
from cnn_engine.errors import DataError
from photos_for_tests import load_folder


def make(root, *paths, count=3):
    """Create folders with `count` tiny images each."""
    for path in paths:
        (root / path).mkdir(parents=True)
        for number in range(count):
            Image.new("L", (8, 8), number).save(root / path / f"{number}.png")


def counts(root):
    """Return the classes, and the numbers of training, validation and test files."""
    listing = list_images(root, lambda *_: None)
    train, val = listing.train_count, listing.val_count
    return listing.classes, (train, val, len(listing.files) - train - val)


def notices(root):
    return " | ".join(list_images(root, lambda *_: None).notices)


PETS = ("cat", "dog")


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),  # Keras, Ultralytics
        ("train", "valid", "test"),  # Roboflow, fastai
        ("train", "validation", "test"),  # Hugging Face
        ("Training", "Validation", "Testing"),  # Kaggle
        ("training_set", "validation_set", "test_set"),
        ("training_set/training_set", "val", "test_set/test_set"),  # Kaggle's cats and dogs
        ("seg_train/seg_train", "seg_dev", "seg_test/seg_test"),  # Kaggle's Intel scenes
        ("TRAIN", "DEV", "TEST"),
        ("train_images", "eval_images", "test_images"),
        ("Train Data", "Eval-Data", "test.data"),
        ("train2017", "val2017", "test2017"),  # COCO
        ("chest_xray/train", "chest_xray/val", "chest_xray/test"),
        ("x/y/train/images", "x/y/val/images", "x/y/test/images"),
    ],
)
def test_given_splits_are_used(tmp_path, train, val, test):
    """Folders of splits have many names (huggingface/datasets#4839, fastai/fastai#1552)."""
    for folder, count in ((train, 4), (val, 3), (test, 2)):
        make(tmp_path, f"{folder}/cat", f"{folder}/dog", count=count)
    assert counts(tmp_path) == (PETS, (8, 6, 4))
    assert "used for training" in notices(tmp_path)


def test_given_validation_images_are_the_validation_set(tmp_path):
    """A folder of validation images beside `train` is not ignored (ultralytics#8837)."""
    make(tmp_path, "train/cat", "train/dog", count=10)
    make(tmp_path, "valid/cat", "valid/dog", count=2)
    data = load_folder(tmp_path)
    assert [len(part) for part in (data.train, data.val, data.test)] == [16, 4, 4]
    assert {data.name_of(index).split("/")[0] for index in data.val.tolist()} == {"valid"}
    assert {data.name_of(index).split("/")[0] for index in data.test.tolist()} == {"train"}
    assert data.notices[:2] == (
        "train/ is used for training, valid/ is used for validation",
        "there are no labelled test images: they are split off from train/",
    )
    unvalidated = load_folder(tmp_path, validation_fraction=0.0)
    assert (len(unvalidated.val), len(unvalidated.train)) == (0, 16)
    assert "the given validation images are not used" in unvalidated.notices[-1]


@pytest.mark.parametrize(
    "name", ["cat", "trains", "devil", "test tube", "evaluate", "training shoes"]
)
def test_similar_names_are_classes(name):
    assert part_of(name) is None


@pytest.mark.parametrize(
    ("folder", "problem"),
    [
        (
            "test/images",
            "none of its folders (images) is named like a training class",
        ),  # tiny-imagenet
        ("test", "its images are not in class folders"),  # Kaggle's competitions
        ("test1/test1", "none of its folders (test1) is named like a training class"),
        ("Testing/Cat", "none of its folders (Cat) is named like a training class"),
        ("val", "its images are not in class folders"),  # ImageNet as downloaded
    ],
)
def test_unlabelled_images_are_left_aside(tmp_path, folder, problem):
    """Test images without labels do not stop a run (facebookresearch/kill-the-bits#5)."""
    make(tmp_path, "train/cat", "train/dog", folder)
    assert counts(tmp_path) == (PETS, (6, 0, 0))
    assert problem in notices(tmp_path)


def test_named_but_empty_splits_are_reported(tmp_path):
    make(tmp_path, "train/cat", "train/dog")
    make(tmp_path, "val", "test/cat", "test/dog", count=0)
    assert counts(tmp_path) == (PETS, (6, 0, 0))
    assert "val/ is not used for validation: it contains no images" in notices(tmp_path)
    assert "test/ is not used for the test: it contains no images" in notices(tmp_path)
    assert "split off from train/" in notices(tmp_path)


def test_other_folders_beside_splits_are_reported(tmp_path):
    make(tmp_path, "train/cat", "train/dog", "seg_pred/seg_pred", "more")
    make(tmp_path, "docs", count=0)
    assert counts(tmp_path)[0] == PETS
    assert "not used, because beside train/: more/, seg_pred/" in notices(tmp_path)


def test_copy_of_the_splits_beside_them_is_reported(tmp_path):
    """Kaggle's chest X-rays contain their folder twice."""
    splits = [f"{split}/{name}" for split in ("train", "val", "test") for name in PETS]
    make(tmp_path, *splits, *(f"chest_xray/{path}" for path in splits))
    assert counts(tmp_path) == (PETS, (6, 6, 6))
    assert "not used, because beside train/: chest_xray/" in notices(tmp_path)


@pytest.mark.parametrize("folder", [".", "train", "val", "test"])
def test_images_beside_folders_of_splits_are_reported(tmp_path, folder):
    """Images beside the folders are passed over with a message, whatever part they are in."""
    make(tmp_path, *(f"{split}/{name}" for split in ("train", "val", "test") for name in PETS))
    Image.new("L", (8, 8)).save(tmp_path / folder / "stray.png")
    assert counts(tmp_path) == (PETS, (6, 6, 6))
    assert f"1 image beside the folders in {tmp_path / folder} not used" in notices(tmp_path)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (
            ("train/cat", "train/dog", "training_set/cat", "training_set/dog"),
            "rename or remove one",
        ),
        (("train/cat", "train/dog", "val/cat", "dev/cat"), "rename or remove one"),
        (("train/cat", "train/dog", "test/cow", "test/cat"), "cow: is not a class of the training"),
        (("cat", "dog", "val/cat", "val/dog"), "has val/ with class folders, but no such train/"),
        (("train", "test"), "train: contains images, but no class folders"),
        (("train/images",), "has only 1 class"),
        (("cat",), "has only 1 class, cat"),
    ],
)
def test_ambiguous_folders_are_refused(tmp_path, paths, message):
    make(tmp_path, *paths)
    with pytest.raises(DataError, match=message):
        find_layout(tmp_path)


@pytest.mark.parametrize("outer", ["photos", "PetImages", "a/b/c"])
def test_folder_too_many_is_entered(tmp_path, outer):
    """An unpacked archive often contains its folder twice."""
    make(tmp_path, f"{outer}/cat", f"{outer}/dog", "__MACOSX/photos/cat")
    make(tmp_path, "docs", count=0)
    (tmp_path / "docs" / "readme.txt").touch()
    assert counts(tmp_path) == (PETS, (6, 0, 0))
    assert f"the classes are the folders in {outer}/" in notices(tmp_path)
    listing = list_images(tmp_path, lambda *_: None)
    assert listing.relative_paths()[0] == f"{outer}/cat/0.png"


def test_same_folders_in_all_classes_are_reported(tmp_path):
    make(tmp_path, "Berlin/cat", "Berlin/dog", "Paris/cat", "Paris/dog")
    assert counts(tmp_path)[0] == ("Berlin", "Paris")
    assert f"such as --data-dir {tmp_path}/Berlin" in notices(tmp_path)


@pytest.mark.parametrize("above", ["", "train"])
@pytest.mark.parametrize("splits", [("train", "test"), ("Training", "val", "test_set")])
def test_splits_within_classes_are_reported(tmp_path, above, splits):
    """Folders such as `cat/train` and `cat/test` are all one class, and named as splits."""
    make(tmp_path / above, *(f"{name}/{split}" for name in PETS for split in splits))
    assert counts(tmp_path)[0] == PETS
    assert "contain folders named like splits" in notices(tmp_path)
    assert f"as in {splits[0]}/cat/" in notices(tmp_path)
    assert "--data-dir" not in notices(tmp_path)


@pytest.mark.parametrize("names", [("fold0", "fold1"), ("Fold_1", "Fold_2"), ("cv1", "cv2")])
@pytest.mark.parametrize("inside", ["", "cat", "dog"])
def test_folds_are_doubtful_classes(tmp_path, names, inside):
    """Folders of a cross-validation may be taken for classes, with a message."""
    make(tmp_path, *(f"{name}/{inside}" for name in names))
    assert counts(tmp_path)[0] == names
    assert "named like folds of cross-validation" in notices(tmp_path)


@pytest.mark.parametrize(
    "pattern", ["{}.{}.png", "{}_00{}.png", "{} ({}).png", "{}{}.png", "{}-{}.png"]
)
@pytest.mark.parametrize("folder", ["", "train"])
def test_suggested_command_sorts_images_with_their_class_in_the_name(tmp_path, folder, pattern):
    root = tmp_path / "it's all"
    (root / folder).mkdir(parents=True)
    for name in PETS:
        for number in range(4):
            Image.new("L", (8, 8)).save(root / folder / pattern.format(name, number))
    with pytest.raises(DataError, match=r"begin with classes \(cat, dog\)") as caught:
        find_layout(root)
    command = str(caught.value).partition("to move them into folders: ")[2]
    subprocess.run(["sh", "-ec", command], check=True, cwd=tmp_path)
    assert counts(root) == (PETS, (8, 0, 0))


def counts_in_table(text):
    """Return classes and number of images of the suggested `cnn-tui run folder`."""
    words = shlex.split(text.partition("to train with it: ")[2])
    assert words[:3] == ["cnn-tui", "run", "folder"]
    folder = words[words.index("--data-dir") + 1]
    settings = [word for before, word in pairwise(words) if before == "--set"]
    config = load_config("folder", [f"data.path={folder}", *settings]).data
    listing = list_files(config, lambda *_: None)
    return listing.classes, len(listing.files)


@pytest.mark.parametrize("place", [".", ".."])
@pytest.mark.parametrize("suffix", ["", ".png"])
def test_suggested_command_trains_with_a_table(tmp_path, place, suffix):
    """Kaggle's competitions have a folder of images and a CSV file of their classes."""
    root = tmp_path / "dog's breeds"
    make(root, "train", "test", count=6)
    rows = "".join(f"{number}{suffix},{PETS[number % 2]}\n" for number in range(6))
    (root / "train" / place / "labels.csv").write_text(f"id,breed\n{rows}", encoding="utf-8-sig")
    (root / "sample_submission.csv").write_text("id,a,b\n9,0.5,0.5\n")
    with pytest.raises(
        DataError, match=r"labels\.csv has their classes in the column breed"
    ) as error:
        find_layout(root)
    assert counts_in_table(str(error.value)) == (PETS, 6)


@given(st.binary(max_size=60))
def test_any_table_is_read_or_passed_over(content):
    with TemporaryDirectory() as root:
        (Path(root) / "1.png").touch()
        (Path(root) / "labels.csv").write_bytes(b"id,label\n1,a\n1,b\n" + content)
        with pytest.raises(DataError, match="contains images, but no class folders"):
            find_layout(Path(root))


@pytest.mark.parametrize("folder", ["images", "data/images"])
def test_suggested_command_finds_images_by_their_paths_in_a_table(tmp_path, folder):
    """The table beside `images/` may have paths that start from itself."""
    make(tmp_path, folder, count=6)
    rows = "".join(f"{folder}/{number}.png,{PETS[number % 2]}\n" for number in range(6))
    (tmp_path / "train.csv").write_text(f"path,label\n{rows}")
    with pytest.raises(DataError, match=r"train\.csv has their classes in the column lab") as error:
        find_layout(tmp_path)
    assert counts_in_table(str(error.value)) == (PETS, 6)


def test_table_with_a_column_per_class_is_named(tmp_path):
    """Roboflow's `_classes.csv` may give an image several classes."""
    make(tmp_path, "train", "valid", count=4)
    rows = "".join(f"{number}.png, {number % 2}, {1 - number % 2}\n" for number in range(4))
    (tmp_path / "train" / "_classes.csv").write_text(f"filename, cat, dog\n{rows}")
    with pytest.raises(DataError, match=r"own folder, as .*/_classes\.csv says"):
        find_layout(tmp_path)


VOC = "<annotation><object><name>cat</name><bndbox><xmin>1</xmin></bndbox></object></annotation>"
COCO = '{"images": [], "annotations": [{"id": 1, "bbox": [1, 2, 3, 4], "category_id": 1}]}'
BOX_TABLE = "filename,width,height,class,xmin,ymin,xmax,ymax\n" + "".join(
    f"{number}.png,{8 + number % 2},8,cat,1,1,4,4\n" for number in range(4)
)


@pytest.mark.parametrize(
    ("images", "labels", "content"),
    [
        (("train", "valid"), "train/_annotations.csv", BOX_TABLE),  # Roboflow
        (("train", "valid"), "train/_annotations.coco.json", COCO),
        (("train", "valid"), "train/0.xml", VOC),
        (("train/images", "valid/images"), "train/labels/0.txt", "0 0.5 0.5 0.2 0.3\n"),  # YOLO
        (("images/train", "images/val"), "labels/train/0.txt", "1 0.5 0.5 1 .3\r\n2 0 0 1 1\r\n"),
        (("images",), "labels/0.txt", "0 0.5 0.5 0.2 0.3 0.4 0.5"),
        (("train2017", "val2017"), "annotations/instances_train2017.json", COCO),
        (("VOC/JPEGImages",), "VOC/Annotations/0.xml", VOC),
        (("images",), "train.csv", BOX_TABLE),
        ((".",), "labels.csv", 'image_id,width,bbox\n0,8,"[1, 2, 3, 4]"\n'),
    ],
)
def test_files_with_bounding_boxes_are_named(tmp_path, images, labels, content):
    """Data sets for detection are refused as such, instead of sorted by the width of images."""
    for folder in images:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for number in range(4):
            Image.new("L", (8, 8)).save(tmp_path / folder / f"{number}.png")
    (tmp_path / labels).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / labels).write_text(content, newline="")
    with pytest.raises(DataError, match="bounding boxes are not supported") as error:
        find_layout(tmp_path)
    assert str(tmp_path / labels) in str(error.value)
    assert "\n" not in str(error.value)


def test_boxes_at_the_end_of_a_large_file_are_found(tmp_path):
    """COCO's files list all images before the first box."""
    make(tmp_path, "train2017", "val2017")
    (tmp_path / "annotations").mkdir()
    images = '{"file_name": "0.png"}, ' * 60_000
    (tmp_path / "annotations" / "instances.json").write_text(images + COCO)
    with pytest.raises(DataError, match=r"bounding boxes are not supported .*/instances\.json"):
        find_layout(tmp_path)


@given(st.sampled_from((".txt", ".xml", ".json", ".csv")), st.binary(max_size=60))
def test_any_file_beside_images_is_read_or_passed_over(suffix, content):
    with TemporaryDirectory() as root:
        (Path(root) / "1.png").touch()
        (Path(root) / f"notes{suffix}").write_bytes(content)
        os.mkfifo(Path(root) / f"pipe{suffix}")
        with pytest.raises(DataError, match="contains images, but no class folders"):
            find_layout(Path(root))


def test_numbered_photos_get_no_command(tmp_path):
    for number in range(5):
        Image.new("L", (8, 8)).save(tmp_path / f"IMG_{number}.png")
    with pytest.raises(DataError, match=r"put the images of each class into their own folder$"):
        find_layout(tmp_path)


def test_folders_of_programs_are_no_classes(tmp_path, monkeypatch):
    """A run started in the folder of images passes over its own runs (ultralytics#4310)."""
    make(tmp_path, "cat", "dog", "wandb/media", "venv/lib/icons", "$RECYCLE.BIN", ".git/x")
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    for folder in ("results/0101-0000-moss", "old runs/0102-0000-oak", "0103-0000-elm"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "events.jsonl").touch()
    Image.new("L", (8, 8)).save(tmp_path / "results" / "0101-0000-moss" / "exported.png")
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert counts(tmp_path)[0] == PETS
    assert counts(Path())[0] == PETS
    make(tmp_path, "runs/today")
    assert counts(tmp_path)[0] == PETS


@pytest.mark.parametrize(
    ("classes", "warning"),
    [
        (("cat", "dog", "test"), "test/ is a class, but named like a split"),
        (("Cat", "cat", "dog"), "classes with nearly the same name: 'Cat' and 'cat'"),
        (("hot dog", "hot_dog", "cat"), "nearly the same name: 'hot dog' and 'hot_dog'"),
    ],
)
def test_doubtful_classes_are_reported(tmp_path, classes, warning):
    make(tmp_path, *classes)
    assert counts(tmp_path)[0] == tuple(sorted(classes))
    assert warning in notices(tmp_path)


def test_class_may_be_named_runs(tmp_path, monkeypatch):
    make(tmp_path, "runs", "jumps")
    monkeypatch.chdir(tmp_path)
    assert counts(tmp_path)[0] == ("jumps", "runs")


def test_folders_without_images_are_no_classes_but_empty_ones_are(tmp_path):
    make(tmp_path, "cat", "dog")
    make(tmp_path, "annotations", count=0)
    (tmp_path / "annotations" / "0.xml").touch()
    Image.new("L", (8, 8)).save(tmp_path / "cover.png")
    assert counts(tmp_path)[0] == PETS
    assert "annotations/ is not a class: it contains no images" in notices(tmp_path)
    assert "1 image beside the folders in" in notices(tmp_path)
    make(tmp_path, "emu", count=0)
    with pytest.raises(DataError, match="emu: contains no images; add some, or remove the folder"):
        counts(tmp_path)


def test_hidden_folders_within_a_class_are_passed_over(tmp_path):
    """Hidden folders within a class are passed over (pytorch/vision#2831, immich#30690)."""
    hidden = ("cat/.ipynb_checkpoints", "cat/@eaDir/0.jpg", "dog/.thumbnails", "dog/x/__MACOSX")
    make(tmp_path, "cat", "dog", *hidden)
    (tmp_path / "cat" / "Thumbs.db").touch()
    (tmp_path / "cat" / ".DS_Store").touch()
    assert counts(tmp_path) == (PETS, (6, 0, 0))
    names = ".ipynb_checkpoints, .thumbnails, @eaDir, __MACOSX"
    assert f"4 hidden or system folders passed over: {names}" in notices(tmp_path)


@pytest.mark.parametrize("suffix", [*sorted(EXTENSIONS), ".JPG", ".jpg_large", ""])
def test_suffixes_of_supported_formats_are_images(tmp_path, suffix):
    """Browsers save JPEG images as .jfif and other names (jmathai/elodie#269)."""
    make(tmp_path, "cat", "dog")
    (tmp_path / "cat" / "0.png").rename(tmp_path / "cat" / f"0{suffix}")
    assert counts(tmp_path) == (PETS, (6, 0, 0))
    assert len(load_folder(tmp_path, image_size=8).images) == 6


def test_other_files_are_counted_by_suffix(tmp_path):
    """Photos of an iPhone are not passed over without a word (caezium/burrow#283)."""
    make(tmp_path, "cat", "dog")
    for number in range(10):
        (tmp_path / "cat" / f"IMG_{number}.HEIC").touch()
    text = "10 files passed over: .heic (not supported; convert to JPEG)"
    assert notices(tmp_path) == text
    assert load_folder(tmp_path, image_size=8).notices[0] == text
    for name in ("a.txt", "b.txt", "scan.dcm", "README", "c.part"):
        (tmp_path / "dog" / name).touch()
    assert notices(tmp_path) == (
        "15 files passed over: 10 .heic (not supported; convert to JPEG), 2 .txt (not an image), "
        "1 .dcm (not supported; convert to PNG), 1 .part (not an image), 1 no suffix (not an image)"
    )


def test_class_of_unsupported_images_is_named(tmp_path):
    make(tmp_path, "cat", "dog")
    make(tmp_path, "emu", count=0)
    (tmp_path / "emu" / "1.HEIC").touch()
    with pytest.raises(
        DataError, match=r"emu: contains no images that can be used: 1 file .*\.heic"
    ):
        counts(tmp_path)


def test_csv_file_with_texts_too_long_for_names_is_not_an_error(tmp_path):
    """A table of captions beside the images is not taken for a table of their names."""
    Image.new("L", (8, 8)).save(tmp_path / "1.png")
    (tmp_path / "captions.csv").write_text(f"caption,label\n{'a' * 5_000},x\n")
    with pytest.raises(DataError, match="contains images, but no class folders"):
        find_layout(tmp_path)


def test_pipe_without_a_suffix_is_not_opened(tmp_path):
    make(tmp_path, "cat", "dog")
    os.mkfifo(tmp_path / "cat" / "pipe")
    assert counts(tmp_path) == (PETS, (6, 0, 0))


def test_unicode_forms_of_a_name_are_one_class(tmp_path):
    """A name copied from a Mac is the same class (llmsresearch/paperbanana#240)."""
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    make(tmp_path, f"train/{composed}", f"train/{decomposed}", "train/dog")
    make(tmp_path, f"test/{decomposed}", "test/dog")
    assert counts(tmp_path) == ((composed, "dog"), (9, 0, 6))
    image = RequestedImage(f"{tmp_path}/test/{decomposed}/0.png", str(tmp_path))
    assert image.true_class({composed: composed, "dog": "dog"}) == composed
    assert image.true_class({composed: decomposed, "dog": "dog"}) == decomposed


def test_paths_are_relative_to_any_root(tmp_path, monkeypatch):
    """Names are not cut off if the folder is `.` or `/` (greenbone/openvas-scanner#1921)."""
    make(tmp_path, "cat", "dog")
    monkeypatch.chdir(tmp_path)
    expected = [f"{name}/{number}.png" for name in PETS for number in range(3)]
    for root in (Path(), Path("../") / tmp_path.name, tmp_path):
        listing = list_images(root, lambda *_: None)
        assert listing.relative_paths() == expected
    assert replace(listing, root=Path("/")).relative_paths()[0] == f"{tmp_path}/cat/0.png"[1:]
    assert list_images(Path(), lambda *_: None).digest() == listing.digest()


def test_unreadable_root_names_the_current_directory(tmp_path, monkeypatch):
    """A relative path that does not exist is reported with its start (octodns#1420)."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=rf"start from the current directory, {tmp_path}\)"):
        find_layout(Path("nowhere"))


@given(
    st.lists(
        st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=8),
        max_size=6,
    )
)
def test_any_names_are_listed_or_refused(names):
    with TemporaryDirectory() as root:
        for name in names:
            with suppress(OSError):  # `.`, `..` and names that are too long
                folder = Path(root) / name / name
                folder.mkdir(parents=True)
                (folder / f"{name}.png").touch()
        with suppress(DataError):
            listing = list_images(Path(root), lambda *_: None)
            assert len(listing.classes) == len({same_form(name) for name in listing.classes}) > 1
            assert len(listing.files) == len(set(listing.relative_paths()))
