# Llhttp::Llhttp, with which the tests compare our parser; from libllhttp-dev where the distribution has it, else from the generated C sources of node-llhttp.
find_path(LLHTTP_INCLUDE_DIR llhttp.h PATH_SUFFIXES llhttp PATHS /usr/include /usr/share/include)
find_library(LLHTTP_LIBRARY llhttp)
find_path(LLHTTP_SOURCE_DIR llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH)

set(Llhttp_VERSION "")
if(LLHTTP_INCLUDE_DIR)
  foreach(part MAJOR MINOR PATCH)
    file(STRINGS ${LLHTTP_INCLUDE_DIR}/llhttp.h line REGEX "define LLHTTP_VERSION_${part} ")
    string(REGEX MATCH "[0-9]+" number "${line}")
    list(APPEND Llhttp_VERSION ${number})
  endforeach()
  list(JOIN Llhttp_VERSION "." Llhttp_VERSION)
endif()

include(FindPackageHandleStandardArgs)
if(LLHTTP_LIBRARY)
  find_package_handle_standard_args(Llhttp REQUIRED_VARS LLHTTP_LIBRARY LLHTTP_INCLUDE_DIR)
else()
  find_package_handle_standard_args(Llhttp REQUIRED_VARS LLHTTP_SOURCE_DIR LLHTTP_INCLUDE_DIR)
endif()

if(Llhttp_FOUND AND NOT TARGET Llhttp::Llhttp)
  if(LLHTTP_LIBRARY)
    add_library(Llhttp::Llhttp UNKNOWN IMPORTED)
    set_target_properties(Llhttp::Llhttp PROPERTIES
      IMPORTED_LOCATION ${LLHTTP_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${LLHTTP_INCLUDE_DIR})
  else()
    add_library(llhttp_sources STATIC
      ${LLHTTP_SOURCE_DIR}/llhttp.c ${LLHTTP_SOURCE_DIR}/api.c ${LLHTTP_SOURCE_DIR}/http.c)
    # Optimised in every preset: the generated state machine is unusably slow at -O0. Strict: see RFC 9112 section 2.2.
    target_compile_options(llhttp_sources PRIVATE -O2 -w)
    target_compile_definitions(llhttp_sources PUBLIC LLHTTP_STRICT_MODE=1)
    target_include_directories(llhttp_sources SYSTEM PUBLIC ${LLHTTP_INCLUDE_DIR})
    add_library(Llhttp::Llhttp ALIAS llhttp_sources)
  endif()
endif()
