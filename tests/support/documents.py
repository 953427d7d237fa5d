"""Documents made on the spot: folders of files, and PDF files small enough to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def folder(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files (path within the folder: content) below ``root`` and return it."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return root


def pdf(*pages: Sequence[str], title: str = "", trailer: str = "") -> bytes:
    """Return a PDF with one page for each sequence of lines (ISO 32000-1, section 7.5).

    Args:
        pages: Lines of text without parentheses or backslashes; an empty page has no text.
        title: Goes into the document's properties.
        trailer: Further entries of the trailer dictionary.
    """
    numbers = [4 + 2 * index for index in range(len(pages))]
    kids = " ".join(f"{number} 0 R" for number in numbers)
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, lines in zip(numbers, pages, strict=True):
        shown = " ".join(f"({line}) Tj T*" for line in lines)
        content = f"BT /F1 12 Tf 14 TL 72 720 Td {shown} ET"
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {number + 1} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>",
            f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        ]
    objects.append(f"<< /Title ({title}) >>")
    return _assembled(objects, f"/Info {len(objects)} 0 R {trailer}")


def encrypted_pdf() -> bytes:
    """Return a PDF that claims 40-bit RC4 and a password nobody knows (ISO 32000-1, 7.6.3)."""
    unknown = "ab" * 32
    encrypt = f"<< /Filter /Standard /V 1 /R 2 /P -4 /O <{unknown}> /U <{unknown}> >>"
    identity = "cd" * 16
    return pdf(["secret"], trailer=f"/Encrypt {encrypt} /ID [<{identity}> <{identity}>]")


def _assembled(objects: Sequence[str], trailer: str) -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    start = len(out)
    out += f"xref\n0 {size}\n0000000000 65535 f \n{table}".encode("latin-1")
    out += f"trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\n".encode("latin-1")
    return bytes(out + f"startxref\n{start}\n%%EOF\n".encode("latin-1"))
