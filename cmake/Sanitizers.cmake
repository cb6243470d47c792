# SPDX-License-Identifier: Apache-2.0
#
# GATEFUSE_SANITIZE=address,undefined or thread: the whole build under gcc's or clang's sanitizers,
# with -O1: more takes gcc minutes over the checked kernels. Of UndefinedBehaviorSanitizer it goes
# without those for accesses that AddressSanitizer finds: a quarter of gcc's time over the kernels.
# Its checks of accesses are calls and not inline: the build takes 60 % of the time, tests 150 %.
set(GATEFUSE_SANITIZE "" CACHE STRING "Sanitizers: address,undefined or thread; empty for none")

if(GATEFUSE_SANITIZE)
  target_compile_options(gatefuse_flags INTERFACE
    -fsanitize=${GATEFUSE_SANITIZE} -fno-sanitize=null,object-size,pointer-overflow
    -fno-sanitize-recover=all -fno-omit-frame-pointer -g1 -O1)
  if(GATEFUSE_SANITIZE MATCHES "address" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(gatefuse_flags INTERFACE
      --param=asan-instrumentation-with-call-threshold=0)
  endif()
  target_link_options(gatefuse_flags INTERFACE -fsanitize=${GATEFUSE_SANITIZE})
endif()
