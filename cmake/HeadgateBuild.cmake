# Compiler settings and the two functions every folder uses: headgate_library and headgate_test.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

option(HEADGATE_LTO "Link-time optimisation" OFF)
option(HEADGATE_FUZZ "Build only the fuzz targets (needs clang)" OFF)
option(HEADGATE_UNIT_TESTS "Build the unit tests and replay the fuzz corpora" ON)
option(HEADGATE_WERROR "Treat warnings as errors" ON)
set(HEADGATE_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize=")

include(HeadgatePgo)
find_program(HEADGATE_CCACHE ccache)
if(HEADGATE_CCACHE AND HEADGATE_PGO STREQUAL off)  # it does not know which profile belongs to which file
  set(CMAKE_C_COMPILER_LAUNCHER ${HEADGATE_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${HEADGATE_CCACHE})
endif()

if(HEADGATE_LTO)
  # Where there are unit tests, which are many, objects carry ordinary code as well, so that those link without this.
  set(headgate_fat -fno-fat-lto-objects)
  if(HEADGATE_UNIT_TESTS)
    set(headgate_fat -ffat-lto-objects)
  endif()
  foreach(language C CXX)
    if(CMAKE_${language}_COMPILER_ID STREQUAL GNU)
      set(CMAKE_${language}_COMPILE_OPTIONS_IPO -flto=auto ${headgate_fat})
      set(CMAKE_${language}_LINK_OPTIONS_IPO -flto=auto)
    endif()
  endforeach()
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
endif()

# headgate_without_lto(TARGET): links it from the objects' ordinary code, where they have it.
function(headgate_without_lto target)
  set_target_properties(${target} PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
  if(NOT HEADGATE_UNIT_TESTS)
    return()  # objects have no other code
  endif()
  target_link_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fno-lto>)
endfunction()

if(HEADGATE_SANITIZE)
  # Optimised a little and with line numbers only: a third of the time to build, and reports lose nothing by it.
  set(CMAKE_C_FLAGS_RELWITHDEBINFO "-Og -g1")
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-Og -g1")
  add_compile_options(-fsanitize=${HEADGATE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  if(HEADGATE_SANITIZE MATCHES undefined)
    # The address sanitizer sees what these see, and they are a fifth of the build.
    add_compile_options(-fno-sanitize=null,alignment,object-size,vptr)
  endif()
  add_link_options(-fsanitize=${HEADGATE_SANITIZE})
endif()

if(HEADGATE_FUZZ)
  # Everything that is fuzzed tells the fuzzer where it has been; only the targets themselves link its main.
  # Clang 16 cannot check the types of function pointers in coroutines that are so instrumented.
  add_compile_options(-fsanitize=fuzzer-no-link -fno-sanitize=function)
endif()

set(HEADGATE_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Woverloaded-virtual -Wimplicit-fallthrough)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees overlaps and unset members in std::string's own code (its bugs 105651 and 105562).
  list(APPEND HEADGATE_WARNINGS -Wno-restrict -Wno-maybe-uninitialized)
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
  headgate_pgo(headgate_${name})
  target_link_libraries(headgate_${name} PUBLIC ${ARG_LINKS})
endfunction()

# headgate_test(NAME LABEL label SOURCES ... LINKS ...): one GoogleTest program, each of its tests known to CTest.
# The tests' own code is not optimised, which takes most of its time to build away; what they test is. What has the label
# unit is left out without HEADGATE_UNIT_TESTS.
function(headgate_test name)
  cmake_parse_arguments(ARG "" "LABEL" "SOURCES;LINKS" ${ARGN})
  if(ARG_LABEL STREQUAL unit AND NOT HEADGATE_UNIT_TESTS)
    return()
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_compile_options(${name} PRIVATE ${HEADGATE_WARNINGS} -O0)
  if(HEADGATE_SANITIZE MATCHES undefined)
    target_compile_options(${name} PRIVATE -fno-sanitize=undefined)
  endif()
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} GTest::gtest_main GTest::gmock)
  headgate_without_lto(${name})
  gtest_discover_tests(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT 60 DISCOVERY_TIMEOUT 60)
endfunction()
