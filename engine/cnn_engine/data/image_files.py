"""Image files by suffix or content, and the search for them below folders."""

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

EXTENSIONS = frozenset(
    ".jpg .jpeg .jpe .jfif .jfi .jif .mpo .png .apng .webp .bmp .gif .tif .tiff .ppm .pgm .pbm "
    ".pnm .jp2 .j2k .j2c .jpc .jpf .jpx .avif .avifs".split()
)

UNSUPPORTED_PHOTOS = frozenset(
    ".heic .heif .hif .jxl .raw .arw .cr2 .cr3 .dng .nef .nrw .orf .pef .raf .rw2 .srw".split()
)
"""Suffixes of photos that are not decoded."""

UNSUPPORTED_IMAGES = frozenset(
    ".dcm .dds .dib .emf .eps .exr .hdr .icns .ico .nii .npy .pcx .pdf .pfm .ps .psd .svg .svgz "
    ".tga .wmf .xcf".split()
)
"""Suffixes of other images that are not decoded."""

UNSUPPORTED = UNSUPPORTED_PHOTOS | UNSUPPORTED_IMAGES

NEVER_READ = UNSUPPORTED | frozenset(
    ".7z .avi .bak .bat .cfg .crdownload .csv .db .doc .docx .exe .gz .h5 .htm .html .ini .ipynb "
    ".json .jsonl .lnk .log .mat .md .mkv .mov .mp3 .mp4 .npz .onnx .parquet .part .pkl .pt .pth "
    ".py .pyc .rar .rtf .sh .tar .tmp .toml .tsv .txt .url .wav .webm .xls .xlsx .xml .yaml .yml "
    ".zip".split()
)
"""Suffixes of files that are not used; with another one, or with none, the content decides."""

SIGNATURES = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
)
"""First bytes of JPEG, PNG, GIF, TIFF and JPEG 2000."""

SYSTEM_NAMES = frozenset(
    "$recycle.bin #recycle #snapshot @eadir @recently-snapshot @recycle @tmp __macosx __pycache__ "
    "desktop.ini ehthumbs.db lightning_logs lost+found mlruns node_modules recycler thumbs.db "
    "wandb".split()
) | {"icon\r", "system volume information"}
"""Names, in lower case, of what operating systems, network drives and tools add to folders."""

MAX_KINDS = 6
"""Maximum number of suffixes or names in a text."""

MAX_SUFFIX_LENGTH = 10
"""Length of a suffix, with its dot; in names with longer ones the dot has another meaning."""


def is_hidden(name: str) -> bool:
    """Return True for a hidden file or folder, and for one that a system or a tool has added."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def same_form(name: str) -> str:
    """Return a name in Unicode's form NFC: macOS may store `é` as two characters."""
    return unicodedata.normalize("NFC", name)


@dataclass
class PassedOver:
    """Counts of files and folders below a folder that are not used."""

    suffixes: Counter[str] = field(default_factory=Counter)
    """Files that are not images, by suffix in lower case; "" without one."""

    hidden: Counter[str] = field(default_factory=Counter)
    """Hidden and system folders, by name."""

    hidden_files: int = 0
    """Hidden files with the suffix of an image."""

    links: int = 0
    """Links to folders, which are not followed."""

    def add_file(self, suffix: str) -> None:
        """Count a file; `suffix` is in lower case."""
        self.suffixes[suffix if len(suffix) <= MAX_SUFFIX_LENGTH else ""] += 1

    def add_hidden(self, name: str, *, is_folder: bool) -> None:
        """Count a hidden folder, or a hidden file if it has the suffix of an image."""
        if is_folder:
            self.hidden[name] += 1
        else:
            self.hidden_files += _suffix(name) in EXTENSIONS

    def update(self, other: "PassedOver") -> None:
        """Add the counts of another folder."""
        self.suffixes.update(other.suffixes)
        self.hidden.update(other.hidden)
        self.hidden_files += other.hidden_files
        self.links += other.links

    def has_unsupported(self) -> bool:
        """Return True if some of the files are images of an unsupported format."""
        return not UNSUPPORTED.isdisjoint(self.suffixes)

    def texts(self) -> list[str]:
        """Return all texts on what is not used, with counts and reasons."""
        return [text for text in (self.file_text(), *self.other_texts()) if text]

    def file_text(self) -> str:
        """Return a text on the files, by suffix and with reasons; empty if there are none."""
        if not (total := self.suffixes.total()):
            return ""
        kinds = sorted(self.suffixes.items(), key=lambda kind: (-kind[1], kind[0] or "~"))
        listed = [
            f"{f'{count:,} ' * (len(kinds) > 1)}{suffix or 'no suffix'} ({_reason(suffix)})"
            for suffix, count in kinds[:MAX_KINDS]
        ]
        if more := sum(count for _, count in kinds[MAX_KINDS:]):
            listed.append(f"{more:,} of other kinds")
        return f"{total:,} file{'s' * (total != 1)} passed over: {', '.join(listed)}"

    def other_texts(self) -> Iterator[str]:
        """Yield texts on hidden images, hidden folders and links to folders, if there are any."""
        if count := self.hidden_files:
            yield f"{count:,} hidden image file{'s' * (count != 1)} passed over"
        if total := self.hidden.total():
            names = ", ".join(sorted(self.hidden)[:MAX_KINDS])
            yield f"{total:,} hidden or system folder{'s' * (total != 1)} passed over: {names}"
        if self.links:
            noun = "link to a folder" if self.links == 1 else "links to folders"
            yield f"{self.links:,} {noun} passed over: links are not followed"


def _reason(suffix: str) -> str:
    if suffix in UNSUPPORTED_PHOTOS:
        return "not supported; convert to JPEG"
    return "not supported; convert to PNG" if suffix in UNSUPPORTED_IMAGES else "not an image"


def walk_images(
    folder: str, passed_over: PassedOver, problem: Callable[[OSError], None]
) -> Iterator[os.DirEntry[str]]:
    """Yield all image files below a folder, unsorted.

    Links to folders are not followed, so loops are harmless.

    Args:
        folder: Folder to search.
        passed_over: Gets the counts of everything that is not used.
        problem: Called for each folder that cannot be read; the search continues.
    """
    pending = [folder]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if is_hidden(entry.name):
                        passed_over.add_hidden(entry.name, is_folder=is_folder)
                    elif is_folder:
                        pending.append(entry.path)
                    elif entry.is_symlink() and os.path.isdir(entry.path):  # noqa: PTH112
                        passed_over.links += 1
                    elif is_image(entry):
                        yield entry
                    else:
                        passed_over.add_file(_suffix(entry.name))
        except OSError as error:
            problem(error)


def is_image(entry: os.DirEntry[str]) -> bool:
    """Return True if a file is an image by its suffix, or by its content if that is unknown."""
    suffix = _suffix(entry.name)
    return suffix in EXTENSIONS or (suffix not in NEVER_READ and has_image_content(entry.path))


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - there may be millions


def has_image_content(path: str) -> bool:
    """Return True if a regular file starts like an image of a supported format."""
    try:
        # Opening a pipe could block forever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123
            is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            start = file.read(16) if is_regular else b""
    except OSError:
        return False
    in_container = start[4:12] in (b"ftypavif", b"ftypavis") or start[8:12] == b"WEBP"
    return start.startswith(SIGNATURES) or in_container


def sort_key(path: str) -> str:
    """Return a sort key by parts of a path: NUL sorts before all characters of names."""
    return path.replace(os.sep, "\0")


class RequestedImage(NamedTuple):
    """An image file given by the user, directly or by its folder."""

    path: str

    folder: str
    """Folder that was given; empty if the file itself was given."""

    def true_class(self, classes: Mapping[str, str]) -> str | None:
        """Return the class that a folder between `folder` and the file names; None without one.

        Args:
            classes: Names of classes by their form NFC.
        """
        between = Path(self.path).relative_to(self.folder).parts[:-1] if self.folder else ()
        names = (classes.get(same_form(part)) for part in between)
        return next((name for name in names if name is not None), None)


def find_images(
    names: Iterable[str], passed_over: PassedOver, problem: Callable[[OSError], None]
) -> list[RequestedImage]:
    """Return the given files, and the image files below the given folders, in order.

    Args:
        names: Files and folders; a file is an image whatever its name.
        passed_over: Gets the counts of everything below the folders that is not used.
        problem: Called for each folder that cannot be read; the search continues.
    """
    found = []
    for name in names:
        if os.path.isdir(name):  # noqa: PTH112
            paths = [entry.path for entry in walk_images(name, passed_over, problem)]
            found += [RequestedImage(path, name) for path in sorted(paths, key=sort_key)]
        else:
            found.append(RequestedImage(name, ""))
    return found
