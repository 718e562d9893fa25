"""Maps the folders at the top of the repository into the package ``arrayloom``; all else is in pyproject.toml."""

from tempfile import mkdtemp

from setuptools import find_namespace_packages, setup

FOLDERS = ["isa", "hdl", "sim", "compiler", "host"]
# Folders without Python files are packages too: they hold data, such as the C++ of the simulator.
PACKAGES = find_namespace_packages(include=[*FOLDERS, *(f"{folder}.*" for folder in FOLDERS)], exclude=["*.__pycache__"])

setup(
    packages=["arrayloom", *(f"arrayloom.{name}" for name in PACKAGES)],
    package_dir={f"arrayloom.{folder}": folder for folder in FOLDERS},
    # A build folder that stays in the checkout would bring files that were deleted since into the next wheel.
    options={"build": {"build_base": mkdtemp()}},
)
