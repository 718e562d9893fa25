"""The names of models, images and services, which are also names on the wire and of folders."""

import re

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-._]{0,254}")
"""To be matched whole; the rule of Azure Machine Learning's model registry."""
