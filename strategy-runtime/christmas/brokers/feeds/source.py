"""One file of market data: which format it has, and its prints one by one, never all at once."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Literal

from christmas.brokers.feeds.capture import captured_prints
from christmas.brokers.feeds.columns import NumberedRow, prints_of
from christmas.brokers.feeds.error import FeedError
from christmas.market.raw import FeedTick

if TYPE_CHECKING:
    import pyarrow.parquet

Format = Literal["table", "capture", "parquet"]

COUNTED_BYTES: Final = 64 << 20
"""Files up to this size are counted before they are played; a larger one's rows are estimated."""
_CHUNK_BYTES: Final = 1 << 20
_PARQUET_ROWS: Final = 4096
_GZIP_MAGIC, _PARQUET_MAGIC = b"\x1f\x8b", b"PAR1"


class Source:
    """A file of prints. Raises FeedError, naming file and line, wherever something cannot be read."""

    def __init__(self, path: Path, *, symbol: str | None, known: Mapping[str, object]) -> None:
        self.path = path
        self._symbol = symbol
        self._known = known
        self.rows = 0
        """Rows or messages read so far, prints or not."""
        self._raw: IO[bytes] | None = None
        try:
            with path.open("rb") as file:
                magic = file.read(4)
            self._size = path.stat().st_size
        except OSError as error:
            raise FeedError(f"{path}: {error.strerror or error}; name an existing file in feed.replay.files") from error
        self._zipped = magic[:2] == _GZIP_MAGIC
        self.format: Format = "parquet" if magic == _PARQUET_MAGIC else self._text_format()

    def prints(self) -> Iterator[tuple[int, FeedTick]]:
        """(µs by which it is paced, print): the receiver's time in a capture, else the print's own."""
        self.rows = 0
        if self.format == "capture":
            for captured in captured_prints(self._lines(), place=str(self.path), known=self._known):
                self.rows += 1
                if captured is not None:
                    yield captured
            return
        rows = self._parquet_rows() if self.format == "parquet" else self._csv_rows()
        try:
            _, header = next(rows)
        except StopIteration:
            raise FeedError(f"{self.path}: empty; give a file with a header line") from None
        for tick in prints_of(header, rows, place=str(self.path), symbol=self._symbol, known=self._known):
            self.rows += 1
            yield tick.time_us, tick

    def count(self) -> int | None:
        """How many rows there are, when it is cheap to tell."""
        if self.format == "parquet":
            return int(self._parquet().metadata.num_rows)
        if self._size > COUNTED_BYTES:
            return None
        lines, ended = 0, True
        try:
            with self._open() as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    lines += chunk.count(b"\n")
                    ended = chunk.endswith(b"\n")
        except (OSError, EOFError, zlib.error):
            return None  # Playing it will say at which line it is broken.
        return lines + (not ended) - (self.format == "table")

    def estimate(self) -> int | None:
        """The rows there will be, judging by the part of the file that was read."""
        if self._raw is None or self._raw.closed or not (position := self._raw.tell()):
            return None
        return max(self.rows, self.rows * self._size // position)

    # --- text ----------------------------------------------------------------------------------

    def _text_format(self) -> Format:
        try:
            with self._open() as stream:
                first = stream.readline(4096)
        except (OSError, EOFError, zlib.error) as error:
            raise FeedError(f"{self.path}: cannot be unpacked ({error}); fetch it again") from error
        return "capture" if first.partition(b" ")[0].isdigit() and b"{" in first else "table"

    def _open(self) -> IO[bytes] | gzip.GzipFile:
        self._raw = self.path.open("rb")
        if not self._zipped:
            return self._raw
        return _OwningGzip(self._raw)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        line = 0
        try:
            with self._open() as stream:
                for line, text in enumerate(stream, start=1):
                    if text.strip():
                        yield line, text
        except (OSError, EOFError, zlib.error) as error:
            raise FeedError(f"{self.path}, after line {line}: {error}; the file is broken, fetch it again") from error

    def _csv_rows(self) -> Iterator[NumberedRow]:
        reader = None
        try:
            with io.TextIOWrapper(self._open(), encoding="utf-8-sig", newline="") as text:
                reader = csv.reader(text, strict=True)
                for row in reader:
                    if row:
                        yield reader.line_num, row
        except UnicodeDecodeError as error:
            line = 0 if reader is None else reader.line_num
            shown = f"byte 0x{error.object[error.start]:02x}"
            raise FeedError(f"{self.path}, after line {line}: {shown} is not UTF-8; save the file as UTF-8") from error
        except (OSError, EOFError, zlib.error, csv.Error) as error:
            line = 0 if reader is None else reader.line_num
            raise FeedError(f"{self.path}, after line {line}: {error}; the file is broken, mend it") from error

    # --- Parquet -------------------------------------------------------------------------------

    def _parquet(self) -> pyarrow.parquet.ParquetFile:
        try:
            import pyarrow as arrow  # noqa: PLC0415  # 40 MB that only Parquet files cost
            from pyarrow import parquet  # noqa: PLC0415
        except ImportError as error:
            raise FeedError(f"{self.path}: Parquet needs pyarrow; install christmas[parquet]") from error
        try:
            return parquet.ParquetFile(self.path)
        except (OSError, arrow.ArrowException) as error:
            raise FeedError(f"{self.path}: {error}; the file is broken, write it again") from error

    def _parquet_rows(self) -> Iterator[NumberedRow]:
        file = self._parquet()
        import pyarrow as arrow  # noqa: PLC0415

        number = 1
        try:
            yield number, list(file.schema_arrow.names)
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                columns = []
                for column in batch.columns:
                    # ns would come out as a type of pandas, which need not be there.
                    times = arrow.types.is_timestamp(column.type)
                    cast = column.cast(arrow.timestamp("us", tz=column.type.tz), safe=False) if times else column
                    columns.append(["" if value is None else str(value) for value in cast.to_pylist()])
                for row in zip(*columns, strict=True):
                    number += 1
                    yield number, row
        except (OSError, OverflowError, ValueError, arrow.ArrowException) as error:
            raise FeedError(f"{self.path}, after row {number}: {error}; the file is broken, write it again") from error


class _OwningGzip(gzip.GzipFile):
    """Closes the file below it too: GzipFile leaves a file that it was handed open."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._below = raw

    def close(self) -> None:
        super().close()
        self._below.close()
