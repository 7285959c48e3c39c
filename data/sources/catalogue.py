"""The catalogue of named data sets: a new set is one more row here.

Sizes and checksums are those of the publisher, or of others who published what they received; none is made up.
"""

from dataclasses import dataclass

from convmedia.data.storage.errors import InputError

BUNDLED = "digits"
"""The set that needs no network: it comes with scikit-learn."""


@dataclass(frozen=True)
class Source:
    """One named set.

    Attributes:
        kind: "digits" (an array file), "photos" (class folders), "pictures" (a flat folder) or "sounds".
        what: one line for people.
        urls: places of the same file, tried in order; none for the bundled set.
        bytes: size of that file; exact where `exact`, else about, because nobody published it or it is an archive
            that the server makes anew.
        sha256, md5: published checksums in hexadecimal, None where there is none.
        local: its place below the data folder and the cache.
        members: what is taken from the archive and where it goes below `local`; empty where the file is the set.
        suffixes, files, pixels: facts of its content: suffixes that count, how many files (each number is one known
            edition), pixels in all.
    """

    name: str
    kind: str
    what: str
    urls: tuple[str, ...]
    bytes: int
    sha256: str | None
    licence: str
    homepage: str
    local: str
    exact: bool = True
    md5: str | None = None
    members: tuple[tuple[str, str], ...] = ()
    suffixes: tuple[str, ...] = ()
    files: tuple[int, ...] = ()
    pixels: int | None = None


_SRCNN = "http://mmlab.ie.cuhk.edu.hk/projects/SRCNN"
_BSDS = "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision"
_BSDS_URLS = (f"{_BSDS}/bsds/BSDS300-images.tgz", f"{_BSDS}/grouping/segbench/BSDS300-images.tgz")
_BSDS_SHA256 = "a5f7d0e49fe135c75518a3543ced24470156fd69305ae77845dff2a5138652b4"
_BSDS_TERMS = "non-commercial research and education"  # said on its homepage
_ESC50 = "https://github.com/karolpiczak/ESC-50"
_ESC50_MEMBERS = ((r"[^/]+/audio/([^/]+\.wav)", r"audio/\1"), (r"[^/]+/meta/(esc50\.csv)", r"\1"))
_FSDD = "https://github.com/Jakobovski/free-spoken-digit-dataset"
_PETS = "https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F"
_UNSTATED = "not stated by the authors"

_TABLE = (
    Source(
        name="mnist",
        kind="digits",
        what="MNIST: 60,000 + 10,000 handwritten digits, 28x28 grey",
        urls=("https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",),
        bytes=11_490_434,
        sha256="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
        licence="CC BY-SA 3.0",
        homepage="https://yann.lecun.com/exdb/mnist/",
        local="mnist.npz",
    ),
    Source(
        name=BUNDLED,
        kind="digits",
        what="1,797 handwritten digits, 8x8 grey, bundled with scikit-learn",
        urls=(),
        bytes=57_523,
        sha256=None,
        licence="CC BY 4.0",
        homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        local="",
    ),
    Source(
        name="dogs-vs-cats",
        kind="photos",
        what="Asirra: 25,000 photos of cats and dogs",
        urls=(f"{_PETS}/kagglecatsanddogs_5340.zip",),
        bytes=824_887_076,
        sha256="b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9",
        # Rules of Kaggle's competition of 2013, https://www.kaggle.com/c/dogs-vs-cats/rules.
        licence="non-commercial research, no re-publication",
        homepage="https://www.microsoft.com/en-us/download/details.aspx?id=54765",
        local="cats_vs_dogs",
        members=((r"PetImages/Cat/(\d+\.jpg)", r"cat/\1"), (r"PetImages/Dog/(\d+\.jpg)", r"dog/\1")),
        suffixes=(".jpg",),
        files=(25_000, 2_600),
    ),
    Source(
        name="Set5",
        kind="pictures",
        what="Set5: 5 test pictures for super-resolution (Bevilacqua et al. 2012)",
        urls=(f"{_SRCNN}/SRCNN_v1.zip",),
        bytes=7_558_018,
        sha256="bfa68ca613c1326a59e0c34353205a254ab2b67e34df7f04e28eef567980af30",
        licence=_UNSTATED,
        homepage=f"{_SRCNN}.html",
        local="super_resolution/Set5/HR",
        members=((r"(?:.*/)?Set5/([^/]+\.bmp)", r"\1"),),
        suffixes=(".bmp", ".png"),
        files=(5,),
        pixels=567_456,
    ),
    Source(
        name="Set14",
        kind="pictures",
        what="Set14: 14 test pictures for super-resolution (Zeyde et al. 2010)",
        urls=(f"{_SRCNN}/SRCNN_v1.zip",),
        bytes=7_558_018,
        sha256="bfa68ca613c1326a59e0c34353205a254ab2b67e34df7f04e28eef567980af30",
        licence=_UNSTATED,
        homepage=f"{_SRCNN}.html",
        local="super_resolution/Set14/HR",
        members=((r"(?:.*/)?Set14/([^/]+\.bmp)", r"\1"),),
        suffixes=(".bmp", ".png"),
        files=(14,),
        pixels=3_222_840,
    ),
    Source(
        name="B100",
        kind="pictures",
        what="B100: the 100 test pictures of BSDS300 (Martin et al. 2001)",
        urls=_BSDS_URLS,
        bytes=22_000_000,
        exact=False,
        sha256=_BSDS_SHA256,
        licence=_BSDS_TERMS,
        homepage=f"{_BSDS}/bsds/",
        local="super_resolution/B100",
        members=((r"(?:.*/)?images/test/([^/]+\.jpg)", r"\1"),),
        suffixes=(".jpg", ".png"),
        files=(100,),
        pixels=100 * 481 * 321,
    ),
    Source(
        name="Urban100",
        kind="pictures",
        what="Urban100: 100 test pictures of buildings for super-resolution (Huang et al. 2015)",
        urls=("https://huggingface.co/datasets/eugenesiow/Urban100/resolve/main/data/Urban100_HR.tar.gz",),
        bytes=135_000_000,
        exact=False,
        sha256=None,
        md5="65d9d84a34b72c6f7ca1e26a12df1e4c",
        licence="CC BY 4.0",
        homepage="https://github.com/jbhuang0604/SelfExSR",
        local="super_resolution/Urban100",
        members=((r"(?:.*/)?([^/]+\.png)", r"\1"),),
        suffixes=(".png",),
        files=(100,),
    ),
    Source(
        name="T91",
        kind="pictures",
        what="T91: 91 training pictures for super-resolution (Yang et al. 2010)",
        urls=(f"{_SRCNN}/SRCNN_train.zip",),
        bytes=19_619_221,
        sha256="001146419f7acfb12a3e7929c8acd5de88a08d687d6881085f81321ad6982b1a",
        licence=_UNSTATED,
        homepage=f"{_SRCNN}.html",
        local="super_resolution/T91",
        members=((r"(?:.*/)?Train/([^/]+\.bmp)", r"\1"),),
        suffixes=(".bmp", ".png"),
        files=(91,),
        pixels=5_355_633,
    ),
    Source(
        name="BSD200",
        kind="pictures",
        what="BSD200: the 200 training pictures of BSDS300 (Martin et al. 2001)",
        urls=_BSDS_URLS,
        bytes=22_000_000,
        exact=False,
        sha256=_BSDS_SHA256,
        licence=_BSDS_TERMS,
        homepage=f"{_BSDS}/bsds/",
        local="super_resolution/BSD200",
        members=((r"(?:.*/)?images/train/([^/]+\.jpg)", r"\1"),),
        suffixes=(".jpg", ".png"),
        files=(200,),
        pixels=200 * 481 * 321,
    ),
    Source(
        name="fsdd",
        kind="sounds",
        what="Free Spoken Digit Dataset 1.0.10: 3,000 clips, 6 speakers, 8 kHz",
        urls=(f"{_FSDD}/archive/refs/tags/v1.0.10.zip",),
        bytes=16_419_872,
        sha256="c680098f5d2355ba7cc4bd8b0ca9e0a24c00ebe3b4c552208889a4d28d4fbc2b",
        licence="CC BY-SA 4.0",
        homepage=_FSDD,
        local="audio/fsdd/recordings",
        members=((r"[^/]+/recordings/([^/]+\.wav)", r"\1"),),
        suffixes=(".wav",),
        files=(3_000,),
    ),
    Source(
        name="esc10",
        kind="sounds",
        what="ESC-10: the 400 clips of ESC-50 that are marked esc10, 10 sounds, 5 folds",
        urls=(f"{_ESC50}/archive/master.zip",),
        bytes=646_000_000,
        exact=False,
        sha256=None,
        licence="CC BY 3.0",
        homepage=_ESC50,
        local="audio/esc10",
        members=_ESC50_MEMBERS,
        suffixes=(".ogg", ".wav"),
        files=(400,),
    ),
    Source(
        name="esc50",
        kind="sounds",
        what="ESC-50: 2,000 clips of 50 environmental sounds, 5 folds, 44.1 kHz (Piczak 2015)",
        urls=(f"{_ESC50}/archive/master.zip",),
        bytes=646_000_000,
        exact=False,
        sha256=None,
        licence="CC BY-NC 3.0",
        homepage=_ESC50,
        local="audio/esc50",
        members=_ESC50_MEMBERS,
        suffixes=(".ogg", ".wav"),
        files=(2_000,),
    ),
    Source(
        name="speech-commands",
        kind="sounds",
        what="Speech Commands 0.02: 105,829 clips of 35 words, 16 kHz (Warden 2018)",
        urls=("https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",),
        bytes=2_428_923_189,
        sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        licence="CC BY 4.0",
        homepage="https://arxiv.org/abs/1804.03209",
        local="audio/speech_commands",
        members=((r"(?:\./)?([^/]+/[^/]+\.wav)", r"\1"), (r"(?:\./)?([^/]+\.(?:txt|md))", r"\1")),
        suffixes=(".wav",),
        files=(105_829,),
    ),
)
SOURCES = {source.name: source for source in _TABLE}
"""Every named set, by its name."""

HOLD_NONE = {
    "digits": "{} holds no digits: give mnist, digits or a folder of class folders",
    "photos": "{} holds no class folders of photos: give dogs-vs-cats or a folder of class folders, or a CSV file",
    "sounds": "{} holds no sounds: give fsdd, esc10, esc50, speech-commands, a folder or a CSV file",
    "pictures": "{} is no set of pictures to enlarge: give one of "
    + ", ".join(row.name for row in _TABLE if row.kind == "pictures")
    + ", or a folder",
}


def require_kind(name: str, kind: str) -> None:
    """Raises InputError: the set of a name is of another kind; a name of no set passes."""
    if name in SOURCES and SOURCES[name].kind != kind:
        raise InputError(HOLD_NONE[kind].format(name))
