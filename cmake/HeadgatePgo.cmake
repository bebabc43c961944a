# Profile-guided optimisation of our own libraries and of headgate, not of tests and benchmarks: see scripts/build-pgo.
# `generate` counts, at run time, which way each branch goes, into HEADGATE_PGO_PROFILE when the program ends; `use`
# compiles with what was counted there, by another build folder of the same sources, compiler and other options.
set(HEADGATE_PGO off CACHE STRING "Profile-guided optimisation: off, generate, use")
set_property(CACHE HEADGATE_PGO PROPERTY STRINGS off generate use)
set(HEADGATE_PGO_PROFILE ${PROJECT_BINARY_DIR}/profile CACHE PATH "Where the profile is written to, or read from")

set(headgate_pgo_options "")
set(headgate_pgo_link_options "")
if(NOT HEADGATE_PGO MATCHES "^(off|generate|use)$")
  message(FATAL_ERROR "HEADGATE_PGO is off, generate or use, not ${HEADGATE_PGO}")
elseif(NOT HEADGATE_PGO STREQUAL off)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    message(FATAL_ERROR "HEADGATE_PGO needs GCC")
  endif()
  # A profile goes by the name of its object file below the build folder, so that another folder finds it.
  set(headgate_pgo_options -fprofile-${HEADGATE_PGO}=${HEADGATE_PGO_PROFILE} -fprofile-prefix-path=${PROJECT_BINARY_DIR})
  if(HEADGATE_PGO STREQUAL generate)
    # Workers count at once.
    list(APPEND headgate_pgo_options -fprofile-update=prefer-atomic)
  else()
    file(GLOB headgate_profiles ${HEADGATE_PGO_PROFILE}/*.gcda)
    if(NOT headgate_profiles)
      message(FATAL_ERROR "There is no profile in ${HEADGATE_PGO_PROFILE}: scripts/build-pgo makes one")
    endif()
    # What the training did not reach is optimised as without a profile, not for size.
    list(APPEND headgate_pgo_options -fprofile-partial-training -fprofile-correction -Wno-missing-profile)
    # In paths that never ran GCC 12 takes the lengths of strings in std::string's own code for negative.
    set(headgate_pgo_link_options -Wno-stringop-overflow)
  endif()
endif()

# headgate_pgo(TARGET): takes part in it.
function(headgate_pgo target)
  if(headgate_pgo_options)
    target_compile_options(${target} PRIVATE ${headgate_pgo_options})
    target_link_options(${target} PUBLIC ${headgate_pgo_options} ${headgate_pgo_link_options})
  endif()
endfunction()
