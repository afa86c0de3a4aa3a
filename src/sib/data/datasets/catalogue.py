"""Facts about the published data sets: counts, archives, checksums."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Archive:
    """One file to download.

    Args:
        url: where it is published.
        size: in bytes.
        checksum: ``md5:…`` or ``sha256:…``; None where no trustworthy source publishes one.
    """

    url: str
    size: int
    checksum: str | None

    @property
    def file(self) -> str:
        """The name of the file."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Published:
    """One published data set.

    Args:
        title: the authors' name for it.
        classes: number of classes.
        train: images to train and to validate on.
        test: images to test on.
        foreground: what is known about it.
        reader: its module beside this one, with functions ``matches`` and ``read`` of a folder.
        folder: name of the folder that ``prepare`` makes, where the set is looked for first.
        archives: its archives; none if it cannot be downloaded without an account.
        largest: most bytes that the archives may unpack to.
        most: most files that they may unpack to.
        by_hand: what to put below the root if there are no archives.
        places: where else the set may be below the root.
    """

    title: str
    classes: int
    train: int
    test: int
    foreground: str
    reader: str
    folder: str
    archives: tuple[Archive, ...] = ()
    largest: int = 0
    most: int = 0
    by_hand: str = ""
    places: tuple[str, ...] = ()

    def advice(self, name: str, root: Path) -> str:
        """Which files to put where."""
        if not self.archives:
            return self.by_hand.format(root=root)
        files = " and ".join(archive.file for archive in self.archives)
        return (
            f"`sib data prepare {name} --root {root}` downloads it, or unpacks {files} where they "
            f"lie in {root}"
        )


MB = 10**6
CATALOGUE = {
    # checksum: torchvision.datasets.CIFAR100
    "cifar100": Published(
        title="CIFAR-100",
        classes=100,
        train=50_000,
        test=10_000,
        foreground="none",
        reader="cifar100",
        folder="cifar-100-python",
        archives=(
            Archive(
                "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
                169_001_437,
                "md5:eb9058c3a382ffc7106e4002c42a8d85",
            ),
        ),
        largest=400 * MB,
        most=100,
    ),
    # checksums: the two records at data.caltech.edu
    "cub200": Published(
        title="CUB-200-2011",
        classes=200,
        train=5_994,
        test=5_794,
        foreground="segmentations",
        reader="cub",
        folder="CUB_200_2011",
        archives=(
            Archive(
                "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
                1_150_585_339,
                "md5:97eceeb196236b17998738112f37df78",
            ),
            Archive(
                "https://data.caltech.edu/records/w9d68-gec53/files/segmentations.tgz",
                39_272_883,
                "md5:4d47ba1228eae64f2fa547c47bc65255",
            ),
        ),
        largest=3_000 * MB,
        most=60_000,
    ),
    # checksums: tensorflow/datasets, url_checksums/stanford_dogs.txt
    "stanford_dogs": Published(
        title="Stanford Dogs",
        classes=120,
        train=12_000,
        test=8_580,
        foreground="boxes",
        reader="stanford_dogs",
        folder="stanford_dogs",
        places=("StanfordDogs",),
        archives=(
            Archive(
                "http://vision.stanford.edu/aditya86/ImageNetDogs/images.tar",
                793_579_520,
                "sha256:a443fc2f9a851aa1a7b8e4fa4af94b8459fce2c9f5a2f4dd4669cf9673a4ec58",
            ),
            Archive(
                "http://vision.stanford.edu/aditya86/ImageNetDogs/annotation.tar",
                21_852_160,
                "sha256:662ed36f707be6b195c2fda392d8e153e83af28cedc8e2134a649f198def30fd",
            ),
            Archive(
                "http://vision.stanford.edu/aditya86/ImageNetDogs/lists.tar",
                481_280,
                "sha256:34b47cacd9a98b5d150e084f24d29391c084c55272295ec65c85651bc35f4d6c",
            ),
        ),
        largest=2_000 * MB,
        most=100_000,
    ),
    "imagenet": Published(
        title="ImageNet-1k",
        classes=1000,
        train=1_281_167,
        test=50_000,
        foreground="boxes for some of the images",
        reader="imagenet",
        folder="imagenet",
        places=("ILSVRC/Data/CLS-LOC", "Data/CLS-LOC", "imagenet/ILSVRC/Data/CLS-LOC"),
        by_hand=(
            "image-net.org distributes it to people with an account: put train/<synset>/*.JPEG "
            "and val/<synset>/*.JPEG into {root}/imagenet, or unpack the whole ILSVRC folder into "
            "{root}"
        ),
    ),
    # checksums: torchvision.datasets.OxfordIIITPet
    "oxford_pet": Published(
        title="Oxford-IIIT Pet",
        classes=37,
        train=3_680,
        test=3_669,
        foreground="segmentations (trimaps)",
        reader="oxford_pet",
        folder="oxford-iiit-pet",
        places=("oxford_pet",),
        archives=(
            Archive(
                "https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz",
                791_918_971,
                "md5:5c4f3ee8e5d25df40f4fd59a7f44e54c",
            ),
            Archive(
                "https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz",
                19_173_078,
                "md5:95a8c909bbe2e81eed6a22bccdf3f68f",
            ),
        ),
        largest=2_000 * MB,
        most=60_000,
    ),
}
