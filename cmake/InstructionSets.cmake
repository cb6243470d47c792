# SPDX-License-Identifier: Apache-2.0
#
# One source of kernels, compiled once for each instruction set. Each copy sees
#   GF_ISA_IS_<NAME>=1      which set it is compiled for
#   GF_ISA_NAMESPACE=<name> where its own symbols live
set(GATEFUSE_KERNELS native/src/cpu/kernels.cpp)
set(GATEFUSE_ISA_NAMES "")
set(GATEFUSE_ISA_OBJECTS "")

# Alignment the aligned instructions check themselves.
if(GATEFUSE_SANITIZE MATCHES "address" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set_source_files_properties(${GATEFUSE_KERNELS} PROPERTIES
    COMPILE_OPTIONS "-fno-sanitize=alignment")
endif()

macro(gatefuse_instruction_set name)
  string(TOUPPER ${name} upper)
  add_library(gatefuse_kernels_${name} OBJECT ${GATEFUSE_KERNELS})
  target_link_libraries(gatefuse_kernels_${name} PRIVATE gatefuse_flags)
  target_compile_options(gatefuse_kernels_${name} PRIVATE ${ARGN})
  # One set is enough to watch what is on the stack: that takes gcc longer than all the rest.
  if(GATEFUSE_SANITIZE MATCHES "address" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU"
     AND NOT "${name}" MATCHES "^(avx2|generic)$")
    target_compile_options(gatefuse_kernels_${name} PRIVATE --param=asan-stack=0)
  endif()
  target_compile_definitions(gatefuse_kernels_${name}
    PRIVATE GF_ISA_IS_${upper}=1 GF_ISA_NAMESPACE=${name})
  list(APPEND GATEFUSE_ISA_NAMES ${name})
  list(APPEND GATEFUSE_ISA_OBJECTS $<TARGET_OBJECTS:gatefuse_kernels_${name}>)
endmacro()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  # The slowest to compile comes first, so that the others are compiled beside it.
  # gcc 12's own AVX-512 header uses a variable before it is set, on purpose, and warns of itself.
  gatefuse_instruction_set(avx512
    -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512
    $<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized> $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  gatefuse_instruction_set(avx2 -mavx2 -mfma)
  gatefuse_instruction_set(baseline -msse2)
else()
  gatefuse_instruction_set(generic)
endif()
