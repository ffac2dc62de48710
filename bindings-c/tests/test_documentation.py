"""The documentation's blocks of C, C++, CMake and Lua, unchanged, with what they assume around them.

A block after `<!-- from FILE -->` is left out: it is a copy of a file that another test compiles.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from conftest import HERE, ROOT, Installed, run

from endpoint import Endpoint

PAGES = (ROOT / "README.md", ROOT / "bindings-c" / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(r"(<!-- from \S+ -->\n)?^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECRET = "prod/checkout/db"
AROUND_C = """
#include <secretcache.h>
#include <stdio.h>
static void log_in(const char *password)
{{
    printf("%s\\n", password);
}}
int main(void)
{{
    secretcache_cache *cache = NULL;
    secretcache_error *error = NULL;
    secretcache_str password;
    if (secretcache_new(NULL, &cache, &error) != SECRETCACHE_OK)
        return 1;
{block}
    secretcache_value_free(value);
    secretcache_free(cache);
    return error != NULL;
}}
"""
AROUND_CPP = """
{includes}
#include <iostream>
int main()
{{
{block}
    if (!password)
        return 1;
    std::cout << *password << '\\n';
}}
"""
AROUND_CMAKE = """
cmake_minimum_required(VERSION 3.16)
project(consumer C)
add_executable(program {source})
{block}
"""
AROUND_LUA = """
local ffi = require("ffi")
ffi.cdef(assert(io.open(arg[2])):read("*a"))
local C = ffi.load(arg[1])
local failure = ffi.new("secretcache_error *[1]")
local function ok(result)
  assert(result == 0, failure[0] ~= nil and ffi.string(C.secretcache_ffi_error_message(failure[0])) or nil)
end
local place = ffi.new("secretcache_cache *[1]")
ok(C.secretcache_new(nil, place, failure))
local cache = ffi.gc(place[0], C.secretcache_free)
local value = ffi.gc(C.secretcache_value_new(), C.secretcache_value_free)
local out = ffi.new("secretcache_str[1]")
{block}
print(password)
"""


def blocks(language: str) -> list[Any]:
    """Return the blocks of a language that are not copies of files."""
    found = []
    for page in PAGES:
        for copied, kind, text in BLOCK.findall(page.read_text()):
            if kind == language and not copied:
                found.append(pytest.param(text, id=f"{page.parent.name}-{page.stem}-{len(found) + 1}"))
    return found


@pytest.fixture(scope="module")
def secret(endpoint: Endpoint) -> None:
    endpoint.client().create_secret(Name=SECRET, SecretString='{"username":"app","password":"hunter2"}')


@pytest.mark.parametrize("block", blocks("c"))
def test_c(installed: Installed, secret: None, block: str, tmp_path: Path) -> None:
    source = tmp_path / "example.c"
    source.write_text(AROUND_C.format(block=indent(block, "    ")))
    assert run(installed.compile(tmp_path / "example", [source]), timeout=300) == "hunter2\n"


@pytest.mark.parametrize("block", blocks("cpp"))
def test_cpp(installed: Installed, secret: None, block: str, tmp_path: Path) -> None:
    lines = block.splitlines()
    includes = [line for line in lines if line.startswith("#include")]
    rest = [line for line in lines if line not in includes]
    source = tmp_path / "example.cpp"
    source.write_text(AROUND_CPP.format(includes="\n".join(includes), block="\n".join(rest)))
    assert run(installed.compile(tmp_path / "example", [source]), timeout=300) == "hunter2\n"


@pytest.mark.parametrize("block", blocks("cmake"))
def test_cmake(installed: Installed, block: str, tmp_path: Path) -> None:
    project = AROUND_CMAKE.format(block=block, source=HERE / "consumer" / "main.c")
    (tmp_path / "CMakeLists.txt").write_text(project)
    build = tmp_path / "build"
    run("cmake", "-S", tmp_path, "-B", build, f"-DCMAKE_PREFIX_PATH={installed.prefix}")
    run("cmake", "--build", build)
    run(build / "program", env=os.environ | {"LC_ALL": "C"})


@pytest.mark.parametrize("block", blocks("lua"))
def test_lua(installed: Installed, secret: None, block: str, tmp_path: Path) -> None:
    luajit = shutil.which("luajit")
    assert luajit, "luajit is missing; `make test-c` installs it"
    script = tmp_path / "example.lua"
    script.write_text(AROUND_LUA.format(block=block))
    header = installed.prefix / "include" / "secretcache" / "ffi.h"
    assert run(luajit, script, installed.library, header, timeout=300) == "hunter2\n"


def test_there_are_blocks_of_each_language() -> None:
    counts = {language: len(blocks(language)) for language in ("c", "cpp", "cmake", "lua")}
    assert min(counts.values()) > 0, counts
