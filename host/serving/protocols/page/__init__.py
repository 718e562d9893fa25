"""A page for people, who drop a picture and see what the model sees; here are its paths."""

from arrayloom.host.serving.core.protocol import Route

PAGE = Route("GET", "/", "page", keyless=True)
MODELS = Route("GET", "/page/models", "page_models")
LOOK = Route("POST", "/page/models/{name}[/versions/{version}]/look", "look")
