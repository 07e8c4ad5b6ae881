"""A real nginx, with the sites that docs/running.md shows, before a page of this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.app.serving import ROOT, free_port, wait_for_port
from tests.browser.chromium import NAME

"""The host whose sites docs/running.md shows; the browser of the tests is told that it is this machine."""

AROUND = """
daemon off; master_process off; pid {folder}/pid; error_log stderr warn;
events {{ worker_connections 256; }}
http {{
  access_log off; types {{ text/html html; }} default_type application/octet-stream;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {more}
  {site}
}}
"""


def find_nginx() -> str | None:
    """Path of an installed nginx, which for ordinary users may not be on their way; None without one."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def sites() -> dict[str, str]:
    """The sites that the page of docs shows, by the name in their first line."""
    text = (ROOT / "docs/running.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^```nginx\n# (\S+): [^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


@contextmanager
def nginx(site: str, page: int, folder: Path, more: str = "") -> Iterator[str]:
    """Address of a site before the page at a port; more: what else nginx is told, of all its sites."""
    port, secure = free_port(), "ssl" in site
    here = site.replace("127.0.0.1:7860", f"127.0.0.1:{page}").replace("/etc/ssl/", f"{folder}/")
    here = re.sub(r"listen \d+", f"listen 127.0.0.1:{port}", here)
    if secure:
        certify(folder)
    file = folder / "nginx.conf"
    file.write_text(AROUND.format(folder=folder, more=more, site=here), encoding="utf-8")
    command = [find_nginx() or "nginx", "-p", str(folder), "-c", str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for_port(lambda: process.poll() is None, port)
            yield f"http{'s' * secure}://{NAME}:{port}"
        finally:
            process.terminate()
            _, said = process.communicate()
    assert "[emerg]" not in said, said


def certify(folder: Path) -> None:
    """A certificate that nobody has signed."""
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", f"/CN={NAME}", "-keyout", f"{folder}/loupe.key", "-out", f"{folder}/loupe.crt",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
