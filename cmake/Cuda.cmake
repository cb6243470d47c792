# SPDX-License-Identifier: Apache-2.0
#
# GATEFUSE_CUDA says whether CUDA sources are compiled: AUTO where a toolkit is found (nvcc on the
# path, in CUDACXX, CUDA_PATH or /usr/local/cuda), OFF never. No GPU is needed.
#
# GATEFUSE_CUDA_ARCHITECTURES says for what: `default`, two that have what the others have too;
# `release`, every one that the kernels run on; or a list in CMake's form. PTX (a plain number, or
# NN-virtual) is for devices to come, and never that of an `a` target, which no other device takes.
# PTX of 7.5 has neither bfloat16 nor TF32 products nor clusters; the backend asks a kernel what it is
# compiled for.
#
# Sets GATEFUSE_CUDA_FOUND, and gatefuse_cuda_flags for targets with CUDA sources.
set(GATEFUSE_CUDA AUTO CACHE STRING "The CUDA backend: AUTO or OFF")
set_property(CACHE GATEFUSE_CUDA PROPERTY STRINGS AUTO OFF)
set(GATEFUSE_CUDA_ARCHITECTURES default CACHE STRING
  "The architectures to compile CUDA sources for: default, release or a list")
set(GATEFUSE_CUDA_FOUND OFF)

if(GATEFUSE_CUDA STREQUAL "OFF")
  set(GATEFUSE_CUDA_SUMMARY "off (GATEFUSE_CUDA=OFF)")
  return()
elseif(NOT GATEFUSE_CUDA STREQUAL "AUTO")
  message(FATAL_ERROR "GATEFUSE_CUDA: expected AUTO or OFF, got ${GATEFUSE_CUDA}")
elseif(GATEFUSE_SANITIZE)
  set(GATEFUSE_CUDA_SUMMARY "off (sanitizers watch the emulation)")
  return()
endif()

find_program(GATEFUSE_NVCC nvcc
  HINTS $ENV{CUDACXX} $ENV{CUDA_PATH}/bin PATHS /usr/local/cuda/bin
  DOC "CUDA's compiler")
if(NOT GATEFUSE_NVCC)
  set(GATEFUSE_CUDA_SUMMARY "off (nvcc not found)")
  return()
endif()

# Both have to be known before the language is.
set(CMAKE_CUDA_COMPILER ${GATEFUSE_NVCC} CACHE FILEPATH "CUDA's compiler")
if(GATEFUSE_CUDA_ARCHITECTURES STREQUAL "default")
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90a-real)
elseif(GATEFUSE_CUDA_ARCHITECTURES STREQUAL "release")
  set(CMAKE_CUDA_ARCHITECTURES 75 80-real 86-real 89-real 90a-real 100-real 120)
elseif(GATEFUSE_CUDA_ARCHITECTURES MATCHES "[0-9][af](;|-virtual|$)")
  message(FATAL_ERROR "GATEFUSE_CUDA_ARCHITECTURES: expected no PTX of an architecture with a letter "
    "(90a-real in place of 90a), got ${GATEFUSE_CUDA_ARCHITECTURES}")
else()
  set(CMAKE_CUDA_ARCHITECTURES ${GATEFUSE_CUDA_ARCHITECTURES})
endif()
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  set(GATEFUSE_CUDA_SUMMARY "off (${GATEFUSE_NVCC} does not work)")
  return()
endif()
enable_language(CUDA)
# CMake 3.25 does not know that nvcc knows it.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)

# As everywhere, what is fused says fma.
add_library(gatefuse_cuda_flags INTERFACE)
target_include_directories(gatefuse_cuda_flags INTERFACE native/include native/src)
target_compile_options(gatefuse_cuda_flags INTERFACE
  "$<$<COMPILE_LANGUAGE:CUDA>:-fmad=false;--Werror=all-warnings>"
  "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Werror,-ffp-contract=off>"
  "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=>"
  "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Werror;-ffp-contract=off>"
  "$<$<COMPILE_LANGUAGE:CXX>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=>")
target_link_libraries(gatefuse_cuda_flags INTERFACE Threads::Threads)
set(GATEFUSE_CUDA_FOUND ON)
set(GATEFUSE_CUDA_SUMMARY "nvcc ${CMAKE_CUDA_COMPILER_VERSION}, for ${CMAKE_CUDA_ARCHITECTURES}")
