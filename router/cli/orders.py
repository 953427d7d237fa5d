"""What ``router ingest`` is asked to take in, checked before anything is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

if TYPE_CHECKING:
    from backends.ingest import Progress, Wishes
    from backends.ingest.source import Source
    from backends.principals import Principals


@dataclass(frozen=True, slots=True)
class Order:
    """What to take in, and how.

    Attributes:
        kind: Where from.
        paths: Files and folders.
        sitemap: Address.
        query, query_url: A SELECT, and the database to ask.
        acl: Who may see what does not say so itself; None keeps known readers, and means everyone
            for new documents.
        every: Seconds between two runs; None for a single run.
    """

    kind: Literal["paths", "sitemap", "sql"]
    paths: tuple[Path, ...] = ()
    sitemap: str = ""
    query: str = ""
    query_url: str = ""
    acl: Principals | None = None
    name: str | None = None
    prune: bool = False
    allow_empty: bool = False
    every: float | None = None

    def pruning(self, prune: bool, *, allow_empty: bool) -> Order:
        """Return the order with what is to be deleted.

        Raises:
            typer.BadParameter: That makes no sense.
        """
        if allow_empty and not prune:
            raise typer.BadParameter("is for --prune", param_hint="--allow-empty")
        return replace(self, prune=prune, allow_empty=allow_empty)

    def staying(self, *, watch: bool, every: float | None) -> Order:
        """Return the order with how long to go on.

        Raises:
            typer.BadParameter: That makes no sense.
        """
        if watch and every is not None:
            raise typer.BadParameter("does not go with --every", param_hint="--watch")
        if watch and (len(self.paths) != 1 or not self.paths[0].is_dir()):
            raise typer.BadParameter("is for a single folder", param_hint="--watch")
        return replace(self, every=every)

    def source(self) -> Source:
        """Return what the documents come from."""
        from backends.ingest import FolderSource, SitemapSource, SqlSource

        if self.kind == "sitemap":
            return SitemapSource(self.sitemap)
        if self.kind == "sql":
            return SqlSource(self.query, url=self.query_url, name=self.name or "")
        return FolderSource(self.paths, name=self.name, allow_empty=self.allow_empty)

    def wishes(self, on_progress: Callable[[Progress], None] | None) -> Wishes:
        """Return what is asked of the ingestion."""
        from backends.ingest import Wishes
        from backends.principals import EVERYONE, NOBODY

        if self.kind == "sql":  # each row says it
            return Wishes(NOBODY, False, self.prune, self.allow_empty, on_progress)
        readers = frozenset({EVERYONE}) if self.acl is None else self.acl
        return Wishes(readers, self.acl is None, self.prune, self.allow_empty, on_progress)

    def acl_json(self) -> list[str]:
        """Return whom the documents are for that do not say it themselves."""
        return sorted(self.wishes(None).acl)

    def seen_by(self) -> str:
        """Return the same as a sentence."""
        if self.kind == "sql":
            return "Each row is seen by those whom it names itself."
        if self.acl is None:
            return (
                "New documents are seen by everyone and known ones keep their readers (--acl), "
                "unless a document says otherwise itself."
            )
        if not self.acl:
            return "Nobody may see documents that do not say otherwise themselves (empty --acl)."
        readers = ", ".join(sorted(self.acl))
        return f"Seen by {readers}, unless a document says otherwise itself (--acl)."


def as_path(value: str) -> Path:
    """Read a path; what an unset variable leaves would otherwise mean the current folder."""
    if not value.strip():
        raise typer.BadParameter("a path is empty; write . for the current folder")
    return Path(value)


def order_of(
    paths: list[Path],
    sitemap: str | None,
    sql: Path | None,
    sql_url: str | None,
    *,
    acl: str | None,
    name: str | None,
) -> Order:
    """Return what was asked for.

    Raises:
        typer.BadParameter: Not exactly one kind of source, or something that does not go with it.
    """
    from backends.principals import parse_principals

    given = [kind for kind in (paths, sitemap, sql) if kind]
    if len(given) != 1:
        raise typer.BadParameter("give PATHS, or --sitemap, or --sql, and only one of them")
    if name is not None:
        _check_name(name)
    readers = None if acl is None else parse_principals(acl)
    if sql is not None:
        return _of_query(sql, sql_url, acl, name)
    if sitemap is not None:
        return _of_sitemap(sitemap, readers, name)
    if name is not None and len(paths) > 1:
        raise typer.BadParameter("is for a single path", param_hint="--name")
    return Order("paths", paths=tuple(paths), acl=readers, name=name)


def _of_sitemap(url: str, readers: Principals | None, name: str | None) -> Order:
    from backends.ingest import SitemapSource

    if name is not None:
        raise typer.BadParameter("is not for pages, which are named by their address")
    try:
        SitemapSource(url)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--sitemap") from error
    return Order("sitemap", sitemap=url, acl=readers)


def _of_query(file: Path, url: str | None, acl: str | None, name: str | None) -> Order:
    if name is None:
        raise typer.BadParameter("says what the rows are called, such as orders; give one with it")
    if acl is not None:
        raise typer.BadParameter("is not for rows, each of which says it", param_hint="--acl")
    if not url:
        raise typer.BadParameter("say which database, in $ROUTER_INGEST_SQL_URL")
    try:
        query = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read as text", param_hint="--sql") from error
    if not query.strip("; \t\r\n"):
        raise typer.BadParameter(f"{file} is empty", param_hint="--sql")
    return Order("sql", query=query, query_url=url, name=name)


def _check_name(name: str) -> None:
    from backends.ingest.files import unfit_name

    if reason := unfit_name(name.strip("/")):
        raise typer.BadParameter(reason, param_hint="--name")
