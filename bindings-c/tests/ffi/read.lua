-- LuaJIT: reads, an error, and a login; `luajit read.lua LIBRARY DECLARATIONS`. The environment sets the endpoint.
local ffi = require("ffi")
ffi.cdef(assert(io.open(arg[2])):read("*a"))
local library = ffi.load(arg[1])

local function text(str)
  return str.data ~= nil and ffi.string(str.data, tonumber(str.length)) or nil
end

local function fails(code, call, ...)
  local failure = ffi.new("secretcache_error *[1]")
  local count, arguments = select("#", ...), { ... } -- some may be nil
  arguments[count + 1] = failure
  local result = call(unpack(arguments, 1, count + 1))
  assert(result == code, ffi.string(library.secretcache_ffi_result_name(result)))
  return failure[0]
end

local function ok(call, ...)
  local error = fails(0, call, ...)
  assert(error == nil)
end

assert(ffi.string(library.secretcache_ffi_version()) == text(library.secretcache_version()))
local config = ffi.gc(library.secretcache_config_new(), library.secretcache_config_free)
ok(library.secretcache_ffi_config_set_region, config, "us-east-1")
local place = ffi.new("secretcache_cache *[1]")
ok(library.secretcache_new, config, place)
local cache = ffi.gc(place[0], library.secretcache_free)
local value = ffi.gc(library.secretcache_value_new(), library.secretcache_value_free)
local out = ffi.new("secretcache_str[1]")

ok(library.secretcache_ffi_get_field, cache, "ffi/db", nil, "password", value, out)
print(text(out[0]))
ok(library.secretcache_ffi_get_string, cache, "ffi/db", nil, value, out)
print(text(out[0]))
ok(library.secretcache_ffi_value_name, value, out)
print(text(out[0]))
ok(library.secretcache_ffi_value_version_id, value, out)
assert(#text(out[0]) > 30)
assert(not library.secretcache_ffi_is_outdated(cache, "ffi/db", text(out[0])))

local failure = fails(106, library.secretcache_ffi_get, cache, "ffi/none", nil, value)
print(ffi.string(library.secretcache_ffi_error_service_code(failure)))
library.secretcache_error_free(failure)

local log_in = ffi.cast("secretcache_on_login", function(_, credential)
  local user = ffi.string(library.secretcache_ffi_credential_field(credential, "username"))
  local password = ffi.string(library.secretcache_ffi_credential_field(credential, "password"))
  print(user, password)
  return 0
end)
ok(library.secretcache_ffi_connect, cache, "ffi/db", 0, log_in, nil)
log_in:free()
