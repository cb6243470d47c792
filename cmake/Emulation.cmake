# SPDX-License-Identifier: Apache-2.0
#
# gatefuse_emulated_sources(TARGET file.cu...) compiles CUDA sources as C++ into TARGET, which runs
# them in the emulation (docs/emulation.md) instead of on a GPU. The target is linked to
# gatefuse_emulation. Under every setting of GATEFUSE_SANITIZE the kernels are what is watched.
function(gatefuse_emulated_sources target)
  foreach(source ${ARGN})
    get_filename_component(path ${source} ABSOLUTE)
    get_filename_component(name ${source} NAME)
    # The compiler knows .cu as something else, so that a .cpp includes it.
    set(unit ${CMAKE_CURRENT_BINARY_DIR}/emulated/${target}/${name}.cpp)
    file(CONFIGURE OUTPUT ${unit} CONTENT "#include \"${path}\"  // emulated\n")
    target_sources(${target} PRIVATE ${unit})
    set_property(SOURCE ${unit} APPEND PROPERTY OBJECT_DEPENDS ${path})
    # "#pragma unroll" is nvcc's.
    set_property(SOURCE ${unit} APPEND PROPERTY COMPILE_OPTIONS -Wno-unknown-pragmas)
  endforeach()
  target_link_libraries(${target} PRIVATE gatefuse_emulation)
  # #pragma unroll is for nvcc.
  target_compile_options(${target} PRIVATE -Wno-unknown-pragmas)
endfunction()
