"""The known MovieLens sets, which `downloads` fetches."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """A known set. folder: its name in the archive. checksum: sha256 of the archive, or "md5:..." where it is md5;
    None where it changes with each release (the publisher's .md5 file is used). counts: of ratings, movies, users."""

    folder: str
    checksum: str | None = None
    counts: tuple[int, int, int] | None = None


KNOWN = {
    "ml-100k": Known(
        "ml-100k", "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229", (100_000, 1_682, 943)
    ),
    "ml-1m": Known(
        "ml-1m", "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20", (1_000_209, 3_706, 6_040)
    ),
    "ml-10m": Known(
        "ml-10M100K", "813c411ccb6122564edfe752e7f80c4dcc5aa25fa94c93622f6877a7ba252862", (10_000_054, 10_677, 69_878)
    ),
    "ml-20m": Known(
        "ml-20m", "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3", (20_000_263, 26_744, 138_493)
    ),
    "ml-25m": Known("ml-25m", "md5:6b51fb2759a8657d3bfcbfc42b592ada", (25_000_095, 59_047, 162_541)),
    "ml-32m": Known("ml-32m", "md5:d472be332d4daa821edc399621853b57", (32_000_204, 84_432, 200_948)),
    "ml-latest-small": Known("ml-latest-small"),
    "ml-latest": Known("ml-latest"),
}
