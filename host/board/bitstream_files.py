"""Names of files in the folder of a build."""

NETLIST, REPORT = "netlist.json", "report.json"
FIGURES = "build.json"      # the results of the build, in the form of ``--json``
LOADABLE = "bit"            # suffix of the bitstream, after the board's name
