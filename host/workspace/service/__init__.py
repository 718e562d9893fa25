"""Services: images served on this machine, registered and kept apart from whoever started them."""

from host.workspace.service.configuration import LocalWebservice, ServiceConfiguration
from host.workspace.service.webservice import Webservice

__all__ = ["LocalWebservice", "ServiceConfiguration", "Webservice"]
