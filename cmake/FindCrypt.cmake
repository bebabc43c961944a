# Crypt::Crypt: passwords as crypt(5) keeps them (libxcrypt).
find_path(CRYPT_INCLUDE_DIR crypt.h)
find_library(CRYPT_LIBRARY crypt)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Crypt REQUIRED_VARS CRYPT_LIBRARY CRYPT_INCLUDE_DIR)
if(Crypt_FOUND AND NOT TARGET Crypt::Crypt)
  add_library(Crypt::Crypt UNKNOWN IMPORTED)
  set_target_properties(Crypt::Crypt PROPERTIES
    IMPORTED_LOCATION ${CRYPT_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${CRYPT_INCLUDE_DIR})
endif()
