# libsecretcache for vcpkg, from a checkout: vcpkg install secretcache --overlay-ports=packaging/vcpkg
#
# It compiles this checkout with cargo, which vcpkg does not provide. vcpkg's own registry would need a released archive
# and its hash, and a commit cannot contain its own hash.
find_program(CARGO cargo PATHS "$ENV{HOME}/.cargo/bin" REQUIRED)
get_filename_component(SOURCE_PATH "${CURRENT_PORT_DIR}/../../.." ABSOLUTE)

# Debug builds link the same library, because the interface is C.
set(VCPKG_BUILD_TYPE release)
set(VCPKG_POLICY_MISMATCHED_NUMBER_OF_BINARIES enabled)

if(VCPKG_LIBRARY_LINKAGE STREQUAL "static")
    set(LINKAGE static)
else()
    set(LINKAGE shared)
endif()

if(NOT SECRETCACHE_BUILT) # a folder where cargo has already built it, to try the port
    set(TARGET_DIR "${CURRENT_BUILDTREES_DIR}/${TARGET_TRIPLET}-rel")
    vcpkg_execute_required_process(
        COMMAND "${SOURCE_PATH}/packaging/reproducible" "${CARGO}" build --release --locked --package secretcache-c
            --target-dir "${TARGET_DIR}"
        WORKING_DIRECTORY "${SOURCE_PATH}"
        LOGNAME "build-${TARGET_TRIPLET}-rel"
    )
    set(SECRETCACHE_BUILT "${TARGET_DIR}/release")
endif()

vcpkg_execute_required_process(
    COMMAND "${CMAKE_COMMAND}" -E env RELOCATABLE=1 LIBDIR=lib "LINKAGE=${LINKAGE}"
        "${SOURCE_PATH}/bindings-c/install" "${SECRETCACHE_BUILT}" "${CURRENT_PACKAGES_DIR}"
    WORKING_DIRECTORY "${SOURCE_PATH}"
    LOGNAME "install-${TARGET_TRIPLET}-rel"
)

# vcpkg moves the CMake files, so the relative path to the libraries changes.
vcpkg_replace_string("${CURRENT_PACKAGES_DIR}/lib/cmake/secretcache/secretcacheConfig.cmake"
    "\${CMAKE_CURRENT_LIST_DIR}/../.."
    "\${CMAKE_CURRENT_LIST_DIR}/../../lib"
)
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/secretcache)
vcpkg_fixup_pkgconfig()
file(INSTALL "${CURRENT_PORT_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(
    FILE_LIST "${SOURCE_PATH}/LICENSE"
    COMMENT "`packaging/inventory.py secretcache-c FOLDER` writes the licences of the crates that are linked in."
)
