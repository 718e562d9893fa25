"""Names of files in the folder of a build."""

NETLIST, REPORT = "netlist.json", "report.json"
FIGURES = "build.json"      # what was built, as ``--json`` gives it
LOADABLE = "bit"            # suffix of the bitstream, after the board's name
