"""A web page on which people drop a picture and see what the model recognizes; its paths are defined here."""

from arrayloom.host.serving.core.protocol import Route

PAGE = Route("GET", "/", "page", keyless=True)
MODELS = Route("GET", "/page/models", "page_models")
LOOK = Route("POST", "/page/models/{name}[/versions/{version}]/look", "look")
