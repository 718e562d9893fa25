"""A client for a deployed service."""

from typing import Any, Protocol

from arrayloom.host.serving.client.client import PredictionClient


class Service(Protocol):
    """What a client must know of a deployed service; ``arrayloom.host.workspace``'s services are such."""

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> Any: ...

    @property
    def configuration(self) -> Any: ...

    @property
    def auth_enabled(self) -> bool: ...

    def get_keys(self) -> tuple[str, str]:
        """The primary and the secondary key."""
        ...


def client_from_service(service: Service, **options: Any) -> PredictionClient:
    """A client with the address, the transport and the primary key of a service; ``options`` go to ``PredictionClient``.

    The service's own certificate is trusted unless ``root_certificates`` says otherwise.
    """
    address = service.address
    if address.tls:
        options.setdefault("root_certificates", service.configuration.settings.tls_cert)
    token = service.get_keys()[0] if service.auth_enabled else None
    return PredictionClient(address.reachable, address.port, address.tls, token, service.name, **options)
