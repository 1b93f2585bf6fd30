"""Image files by suffix or content, and the names that are never images."""

import os
import unicodedata

from cnn_engine.storage.regular_files import open_regular

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


def is_hidden(name: str) -> bool:
    """Return True for a hidden file or folder, and for one that a system or a tool has added."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def same_form(name: str) -> str:
    """Return a name in Unicode's form NFC: macOS may store `é` as two characters."""
    return unicodedata.normalize("NFC", name)


def is_image(entry: os.DirEntry[str]) -> bool:
    """Return True if a file is an image by its suffix, or by its content if that is unknown."""
    suffix = suffix_of(entry.name)
    return suffix in EXTENSIONS or (suffix not in NEVER_READ and _has_image_content(entry.path))


def suffix_of(name: str) -> str:
    """Return the suffix of a name in lower case, with its dot; empty without one."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - there may be millions


def _has_image_content(path: str) -> bool:
    """Return True if a regular file starts like an image of a supported format."""
    try:
        with open_regular(path) as file:
            start = file.read(16)
    except OSError:
        return False
    in_container = start[4:12] in (b"ftypavif", b"ftypavis") or start[8:12] == b"WEBP"
    return start.startswith(SIGNATURES) or in_container
