// Included in every file of the build: redirects Verilator's prints, $stop and $fatal from stdout and exit().
#pragma once

extern "C" int arrayloom_print(const char* format, ...);

#define VL_PRINTF arrayloom_print
#define VL_USER_STOP
#define VL_USER_FATAL
#define VL_USER_FINISH
#define VL_USER_WARN
