# Compiler settings and the two functions every folder uses: headgate_library and headgate_test.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

option(HEADGATE_LTO "Link-time optimisation" OFF)
option(HEADGATE_FUZZ "Build only the fuzz targets (needs clang)" OFF)
option(HEADGATE_WERROR "Treat warnings as errors" ON)
set(HEADGATE_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize=")

find_program(HEADGATE_CCACHE ccache)
if(HEADGATE_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${HEADGATE_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${HEADGATE_CCACHE})
endif()

if(HEADGATE_LTO)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_link_options(-flto=auto)  # as many jobs as there are processors
  endif()
endif()

if(HEADGATE_SANITIZE)
  add_compile_options(-fsanitize=${HEADGATE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${HEADGATE_SANITIZE})
endif()

if(HEADGATE_FUZZ)
  # Everything that is fuzzed tells the fuzzer where it has been; only the targets themselves link its main.
  # Clang 16 cannot check the types of function pointers in coroutines that are so instrumented.
  add_compile_options(-fsanitize=fuzzer-no-link -fno-sanitize=function)
endif()

set(HEADGATE_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Woverloaded-virtual -Wimplicit-fallthrough)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees overlaps in std::string's own copies (its bug 105651).
  list(APPEND HEADGATE_WARNINGS -Wno-restrict)
endif()
if(HEADGATE_WERROR)
  list(APPEND HEADGATE_WARNINGS -Werror)
endif()

# headgate_library(NAME LINKS ...): one folder, one library: every .cc file in it, linked to the folders it may include.
# A test compares the includes of every file with that table.
function(headgate_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB ARG_SOURCES CONFIGURE_DEPENDS *.cc)
  endif()
  add_library(headgate_${name} STATIC ${ARG_SOURCES})
  target_include_directories(headgate_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(headgate_${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${HEADGATE_WARNINGS}>)
  target_link_libraries(headgate_${name} PUBLIC ${ARG_LINKS})
endfunction()

# headgate_test(NAME LABEL label SOURCES ... LINKS ...): one GoogleTest program, each of its tests known to CTest.
function(headgate_test name)
  cmake_parse_arguments(ARG "" "LABEL" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_compile_options(${name} PRIVATE ${HEADGATE_WARNINGS})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} GTest::gtest_main GTest::gmock)
  gtest_discover_tests(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT 60 DISCOVERY_TIMEOUT 60)
endfunction()
