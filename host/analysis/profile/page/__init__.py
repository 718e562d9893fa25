"""The profile as one page that needs no other file and no network."""

from arrayloom.host.analysis.profile.page.document import page, write_page

__all__ = ["page", "write_page"]
