# Brotli::Encoder, and Brotli::Decoder for the tests: the coding "br" (RFC 7932).
find_path(BROTLI_INCLUDE_DIR brotli/encode.h)
find_library(BROTLI_ENCODER_LIBRARY brotlienc)
find_library(BROTLI_DECODER_LIBRARY brotlidec)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Brotli REQUIRED_VARS
  BROTLI_ENCODER_LIBRARY BROTLI_DECODER_LIBRARY BROTLI_INCLUDE_DIR)
if(Brotli_FOUND AND NOT TARGET Brotli::Encoder)
  add_library(Brotli::Encoder UNKNOWN IMPORTED)
  set_target_properties(Brotli::Encoder PROPERTIES
    IMPORTED_LOCATION ${BROTLI_ENCODER_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${BROTLI_INCLUDE_DIR})
  add_library(Brotli::Decoder UNKNOWN IMPORTED)
  set_target_properties(Brotli::Decoder PROPERTIES
    IMPORTED_LOCATION ${BROTLI_DECODER_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${BROTLI_INCLUDE_DIR})
endif()
