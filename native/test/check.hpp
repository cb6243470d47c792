// SPDX-License-Identifier: Apache-2.0
//
// Three checks for tests without a framework. A failed check prints where and what, and the test
// goes on; main ends with `return gatefuse::test::result();`, which is 1 where a check failed or
// none ran.
#pragma once

#include <cmath>
#include <cstdio>
#include <sstream>
#include <string>

namespace gatefuse::test {

inline int checks = 0;
inline int failures = 0;

inline void report(bool good, const char* file, int line, const std::string& what) {
  ++checks;
  if (good) return;
  ++failures;
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
}

template <class A, class B>
std::string compared(const char* text, const A& actual, const B& expected) {
  std::ostringstream out;
  out.precision(17);
  out << text << ": expected " << expected << ", got " << actual;
  return out.str();
}

template <class A, class B>
void equal(const A& actual, const B& expected, const char* text, const char* file, int line) {
  const bool good = actual == expected;
  report(good, file, line, good ? "" : compared(text, actual, expected));
}

// NaN is close to nothing.
inline void close(double actual, double expected, double tolerance, const char* text,
                  const char* file, int line) {
  const bool good = std::abs(actual - expected) <= tolerance;
  report(good, file, line, good ? "" : compared(text, actual, expected));
}

inline int result() {
  std::printf("%d checks, %d failed\n", checks, failures);
  return failures == 0 && checks > 0 ? 0 : 1;
}

}  // namespace gatefuse::test

#define CHECK(condition) \
  ::gatefuse::test::report((condition), __FILE__, __LINE__, "not true: " #condition)
#define CHECK_EQ(actual, expected) \
  ::gatefuse::test::equal((actual), (expected), #actual, __FILE__, __LINE__)
#define CHECK_CLOSE(actual, expected, tolerance) \
  ::gatefuse::test::close((actual), (expected), (tolerance), #actual, __FILE__, __LINE__)
