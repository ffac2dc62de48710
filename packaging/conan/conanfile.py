"""A Conan package of libsecretcache, from a checkout: conan create packaging/conan

It compiles this checkout with cargo. A released tarball is a single build for one C library, but Conan packages differ
by platform, linkage and build type, and this recipe makes the one that a profile asks for.
"""

import os
import shutil
from pathlib import Path

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.apple import fix_apple_shared_install_name
from conan.tools.build import cross_building
from conan.tools.files import copy, rmdir
from conan.tools.layout import basic_layout
from conan.tools.scm import Git


class Secretcache(ConanFile):
    name = "secretcache"
    version = "0.1.0"
    package_type = "library"
    description = "Secrets from AWS Secrets Manager, cached in memory and kept fresh"
    license = "Apache-2.0"
    author = "The secretcache authors"
    url = homepage = "https://github.com/secretcache/secretcache"
    topics = ("aws", "secrets-manager", "cache", "rotation", "secrets")
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False]}
    default_options = {"shared": False}

    def export_sources(self):
        root = Path(self.recipe_folder).parents[1]
        for file in Git(self, root).included_files():
            target = Path(self.export_sources_folder, file)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / file, target, follow_symlinks=False)

    def layout(self):
        basic_layout(self)

    def validate(self):
        if self.settings.os not in ("Linux", "Macos"):
            raise ConanInvalidConfiguration(
                f"libsecretcache is built for Linux and macOS, not {self.settings.os}"
            )
        if cross_building(self):
            raise ConanInvalidConfiguration("libsecretcache must be built on its target platform")

    def validate_build(self):
        if not self._built and not shutil.which("cargo"):
            raise ConanInvalidConfiguration("building libsecretcache needs Rust: cargo is not on the PATH")

    # The interface is C, so a package works with every compiler.
    def package_id(self):
        self.info.settings.rm_safe("compiler")

    @property
    def _built(self):
        """A folder where cargo has already built the library, to try the recipe."""
        return self.conf.get("user.secretcache:built", check_type=str)

    @property
    def _profile(self):
        return "debug" if self.settings.build_type == "Debug" else "release"

    def build(self):
        if not self._built:
            profile = "dev" if self._profile == "debug" else self._profile
            reproducible = os.path.join(self.source_folder, "packaging", "reproducible")
            self.run(
                f'"{reproducible}" cargo build --profile {profile} --locked --package secretcache-c '
                f'--target-dir "{self.build_folder}"',
                cwd=self.source_folder,
            )

    def package(self):
        built = self._built or os.path.join(self.build_folder, self._profile)
        linkage = "shared" if self.options.shared else "static"
        install = os.path.join(self.source_folder, "bindings-c", "install")
        self.run(f'RELOCATABLE=1 LINKAGE={linkage} LIBDIR=lib "{install}" "{built}" "{self.package_folder}"')
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        # Conan generates these for the build system of the consumer.
        rmdir(self, os.path.join(self.package_folder, "lib", "cmake"))
        rmdir(self, os.path.join(self.package_folder, "lib", "pkgconfig"))
        fix_apple_shared_install_name(self)

    def package_info(self):
        self.cpp_info.libs = ["secretcache"]
        if self.options.shared:
            return
        self.cpp_info.defines = ["SECRETCACHE_STATIC"]
        if self.settings.os == "Macos":
            self.cpp_info.frameworks = ["CoreFoundation", "Security"]
            self.cpp_info.system_libs = ["iconv"]
        else:
            self.cpp_info.system_libs = ["util", "rt", "pthread", "m", "dl"]
