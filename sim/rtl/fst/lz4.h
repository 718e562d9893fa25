// What Verilator's FST writer calls of LZ4 (lz4.org), so that its library alone must be installed, not its headers.
#pragma once

extern "C" {
int LZ4_compressBound(int inputSize);
int LZ4_compress_default(const char* src, char* dst, int srcSize, int dstCapacity);
}
