# Finds a CUDA compiler and turns the language on. Sets MTL_HAS_CUDA, MTL_CUDA_VERSION and
# MTL_CUDA_ARCHITECTURES (both strings empty without CUDA).
#
# enable_language alone looks in CUDACXX and PATH; nvcc also lives where CUDA_HOME and CUDA_PATH
# point, in /usr/local/cuda, and in the site-packages of pip-installed toolkits.
set(MTL_HAS_CUDA OFF)
set(MTL_CUDA_VERSION "")
set(MTL_CUDA_ARCHITECTURES "")

if(NOT MTL_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "MTL_CUDA: expected AUTO, ON or OFF, got '${MTL_CUDA}'")
endif()

if(NOT MTL_CUDA STREQUAL "OFF")
  if(DEFINED ENV{CUDACXX} AND NOT CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_COMPILER "$ENV{CUDACXX}" CACHE FILEPATH "CUDA compiler")
  elseif(NOT CMAKE_CUDA_COMPILER)
    execute_process(
      COMMAND "${Python_EXECUTABLE}" -c "import sysconfig; print(sysconfig.get_path('purelib'))"
      OUTPUT_VARIABLE mtl_site_packages OUTPUT_STRIP_TRAILING_WHITESPACE)
    find_program(MTL_NVCC nvcc
      HINTS "$ENV{CUDA_HOME}/bin" "$ENV{CUDA_PATH}/bin"
      PATHS ENV PATH /usr/local/cuda/bin "${mtl_site_packages}/nvidia/cu13/bin"
      NO_DEFAULT_PATH)
    if(MTL_NVCC)
      set(CMAKE_CUDA_COMPILER "${MTL_NVCC}" CACHE FILEPATH "CUDA compiler")
    endif()
  endif()

  if(CMAKE_CUDA_COMPILER AND EXISTS "${CMAKE_CUDA_COMPILER}")
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
      set(CMAKE_CUDA_ARCHITECTURES all-major)  # every major version, and PTX of the newest
    endif()
    enable_language(CUDA)
    set(CMAKE_CUDA_STANDARD 17)
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
    set(MTL_HAS_CUDA ON)
    set(MTL_CUDA_VERSION "${CMAKE_CUDA_COMPILER_VERSION}")
    string(REPLACE ";" " " MTL_CUDA_ARCHITECTURES "${CMAKE_CUDA_ARCHITECTURES}")
    message(STATUS "mtl_cuda: CUDA ${MTL_CUDA_VERSION} kernels for ${MTL_CUDA_ARCHITECTURES}")
  elseif(MTL_CUDA STREQUAL "ON")
    message(FATAL_ERROR
      "MTL_CUDA=ON, but no nvcc was found in CUDACXX, CUDA_HOME, CUDA_PATH, PATH, /usr/local/cuda "
      "or site-packages: install the CUDA toolkit or set CUDACXX to its nvcc.")
  else()
    message(STATUS
      "mtl_cuda: no nvcc found, building for the CPU only. For CUDA kernels install the CUDA "
      "toolkit (or set CUDACXX to its nvcc) and install mtl_cuda again.")
  endif()
endif()
