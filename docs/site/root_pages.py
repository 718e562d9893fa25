"""Makes pages of the site from the documents that lie at the top of the checkout, where people look for them."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
FROM_ROOT = re.compile(rf"\]\((?:docs/([^)]+)|({'|'.join(PAGES)}))\)")
FROM_DOCS = re.compile(rf"\]\(\.\./({'|'.join(PAGES)})\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages, with links as they are from within ``docs/``."""
    for source, target in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        text = FROM_ROOT.sub(lambda link: f"]({link[1] or PAGES[link[2]]})", text)
        files.append(File.generated(config, target, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001  MkDocs's names
    """Links to those documents as they are within the site."""
    return FROM_DOCS.sub(lambda link: f"]({PAGES[link[1]]})", markdown)
