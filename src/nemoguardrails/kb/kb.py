"""The knowledge base: finds the chunks of the user's documents that fit a text."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ..config.services import EmbeddingSearchProvider, KnowledgeBaseConfig
from ..embeddings.basic import BasicEmbeddingsIndex
from ..embeddings.index import EmbeddingsIndex, IndexItem, nearest
from ..embeddings.providers.registry import ModelChoice
from ..embeddings.registry import SearchProviders
from ..embeddings.single_flight import SingleFlight
from .chunks import chunks_of

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

GetIndex: TypeAlias = Callable[[EmbeddingSearchProvider], EmbeddingsIndex]

CACHE_FORMAT = 1
"""Part of every file's name; rises when chunks or vectors come to be made in another way."""

_log = logging.getLogger(__name__)


class KnowledgeBase:
    """The documents of a configuration, searched by similarity.

    The index is built at first use, once, however many ask at the same time; vectors of the search `default`
    are kept in `SLUICE_CACHE_DIR`, or else in the user's cache folder.

    Args:
        documents: Markdown texts.
        config: the `knowledge_base` section.
        get_index: makes an empty index for a section; else the built-in search.
    """

    def __init__(
        self,
        documents: Sequence[str],
        config: KnowledgeBaseConfig | None = None,
        get_index: GetIndex | None = None,
    ) -> None:
        self._section = (config or KnowledgeBaseConfig()).embedding_search_provider
        self._get_index: GetIndex = get_index or SearchProviders().search_index
        self._documents = tuple(documents)
        self._index: EmbeddingsIndex | None = None
        self._flight = SingleFlight()

    async def build(self) -> None:
        """Makes the documents searchable, if they are not yet.

        Raises:
            ConfigurationError: the search cannot be made as it is configured.
        """
        if self._index is None:
            async with self._flight.turn():
                if self._index is None:
                    self._index = await self._built()

    async def search_relevant_chunks(self, text: str, max_results: int = 3) -> list[dict[str, Any]]:
        """The chunks nearest to a text, the best first: `title`, `body` and the metadata of the document.

        Raises:
            ConfigurationError: as `build`.
        """
        await self.build()
        assert self._index is not None, "built just now"
        return [dict(item.meta) for item in await nearest(self._index, text, max_results)]

    async def _built(self) -> EmbeddingsIndex:
        items = await asyncio.to_thread(_items_of, self._documents)
        index = self._get_index(self._section)
        if isinstance(index, BasicEmbeddingsIndex):
            await _fill(index, items)
        elif items:
            await index.add_items(items)
            await index.build()
        return index


def cache_folder() -> Path | None:
    """Where vectors of knowledge bases are kept: `SLUICE_CACHE_DIR`, else the user's cache folder, if any."""
    if given := os.environ.get("SLUICE_CACHE_DIR"):
        return Path(given)
    by_system = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
    if sys.platform != "darwin" and (folder := os.environ.get(by_system)):
        return Path(folder) / "sluice"
    try:
        home = Path.home()
    except RuntimeError:  # a container may run as a user without a home
        return None
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "sluice"


def _items_of(documents: Sequence[str]) -> list[IndexItem]:
    chunks = (chunk for document in documents for chunk in chunks_of(document))
    return [IndexItem(chunk.searched_text(), chunk.as_dict()) for chunk in chunks]


async def _fill(index: BasicEmbeddingsIndex, items: list[IndexItem]) -> None:
    """Takes the vectors from their file if it is sound, else computes them and writes it."""
    if not items:
        return
    path = await asyncio.to_thread(_path_of, index.choice, items)
    kept = None if path is None else await asyncio.to_thread(_read, path, len(items))
    if kept is not None:
        index.add_built(items, kept)
        return
    await index.add_items(items)
    await index.build()
    if path is not None and index.vectors is not None:
        await asyncio.to_thread(_write, path, index.vectors)


def _path_of(choice: ModelChoice, items: Sequence[IndexItem]) -> Path | None:
    folder = cache_folder()
    parts = [CACHE_FORMAT, choice.identity(), *(item.text for item in items)]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return None if folder is None else folder / "kb" / f"{key}.npz"


def _read(path: Path, count: int) -> NDArray[float32] | None:
    """The vectors in a file; `None` where there is none, or where it is damaged and has to be made anew."""
    import numpy as np

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            vectors: NDArray[float32] = kept["vectors"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile) as error:
        _log.warning("The vectors kept in %s cannot be read and are made anew: %s", path, error)
        return None
    is_sound = vectors.dtype == np.float32 and vectors.ndim == 2 and len(vectors) == count
    return vectors if is_sound and bool(np.isfinite(vectors).all()) else None


def _write(path: Path, vectors: NDArray[float32]) -> None:
    """Writes beside the place and moves the file there, so that nobody reads half of it."""
    import numpy as np

    beside: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, vectors=vectors)
        os.replace(beside, path)
    except OSError as error:
        _log.warning("The vectors of the knowledge base are not kept: %s", error)
        if beside is not None:
            Path(beside).unlink(missing_ok=True)
