// For functions that Python calls through ctypes: `return simt::entry([&] { ...; });`. Their
// parameters are pointers, int64_t and double.
#pragma once

#include <exception>
#include <string>

#include "simt/scheduler.h"

#define SIMT_ENTRY extern "C" __attribute__((visibility("default"))) const char*

namespace simt {

// Null, or what was thrown; valid until the next call.
template <class Body>
const char* entry(Body body) {
  static std::string message;
  try {
    body();
    return nullptr;
  } catch (const std::exception& error) {
    message = error.what();
    return message.c_str();
  }
}

}  // namespace simt
