# mtl_add_simd_kernels(TARGET SOURCES...): compiles each source once per instruction set into TARGET.
#
# The sources are plain C++ that the compiler vectorises; everything in them lives in the namespace
# MTL_SIMD, so that no function made for a newer processor can stand in for an older one's.
# csrc/common/cpu_features.h picks the path at run time.
function(mtl_add_simd_kernels target)
  set(paths baseline)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND NOT MSVC)
    list(APPEND paths avx2 avx512)
  endif()
  set(flags_baseline "")
  set(flags_avx2 -mavx2 -mfma)
  set(flags_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma
    -mprefer-vector-width=512)
  foreach(path IN LISTS paths)
    set(object "${target}_${path}")
    add_library(${object} OBJECT ${ARGN})
    target_include_directories(${object} PRIVATE csrc)
    target_compile_definitions(${object} PRIVATE MTL_SIMD=${path})
    if(NOT MSVC)
      # Vectorised loops evaluate both sides of a select; nothing reads errno or the FP flags.
      target_compile_options(${object} PRIVATE -O3 -fopenmp-simd -fno-math-errno
        -fno-trapping-math -Wall -Wextra ${flags_${path}})
    endif()
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${object}>)
    string(TOUPPER ${path} upper)
    target_compile_definitions(${target} PRIVATE MTL_SIMD_${upper})
  endforeach()
endfunction()
