# SPDX-License-Identifier: Apache-2.0
#
# GATEFUSE_CUDA says whether the CUDA backend is built: AUTO where a toolkit is found, OFF never.
set(GATEFUSE_CUDA AUTO CACHE STRING "The CUDA backend: AUTO or OFF")
set_property(CACHE GATEFUSE_CUDA PROPERTY STRINGS AUTO OFF)

if(GATEFUSE_CUDA STREQUAL "AUTO")
  set(GATEFUSE_CUDA_SUMMARY "off (no CUDA sources in this version)")
elseif(GATEFUSE_CUDA STREQUAL "OFF")
  set(GATEFUSE_CUDA_SUMMARY "off (GATEFUSE_CUDA=OFF)")
else()
  message(FATAL_ERROR "GATEFUSE_CUDA: expected AUTO or OFF, got ${GATEFUSE_CUDA}")
endif()
