"""Services: images served on this machine, registered and kept apart from whoever started them."""

from arrayloom.host.workspace.service.configuration import LocalWebservice, ServiceConfiguration
from arrayloom.host.workspace.service.webservice import Webservice

__all__ = ["LocalWebservice", "ServiceConfiguration", "Webservice"]
