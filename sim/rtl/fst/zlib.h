// What Verilator's FST writer calls of zlib (zlib.net), so that its library alone must be installed, not its headers.
#pragma once

using Bytef = unsigned char;
using uLong = unsigned long;
using uLongf = uLong;

#define Z_OK 0

extern "C" {
uLong compressBound(uLong sourceLen);
int compress2(Bytef* dest, uLongf* destLen, const Bytef* source, uLong sourceLen, int level);
}
