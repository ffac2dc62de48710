# Ruby's Fiddle, which cannot pass structures by value: `ruby read.rb LIBRARY`. The environment sets the endpoint.
require "fiddle"

POINTER = Fiddle::TYPE_VOIDP
NUMBER = -Fiddle::TYPE_INT
LIBRARY = Fiddle.dlopen(ARGV[0])

def function(name, arguments, result = NUMBER)
  Fiddle::Function.new(LIBRARY["secretcache_#{name}"], arguments, result)
end

# Calls a function with an output for the error after the arguments.
def call(function, *arguments)
  failure = Fiddle::Pointer.malloc(Fiddle::SIZEOF_VOIDP, Fiddle::RUBY_FREE)
  [function.call(*arguments, failure), failure.ptr]
end

def ok(function, *arguments)
  result, = call(function, *arguments)
  raise RESULT_NAME.call(result).to_s unless result.zero?
end

# Converts a secretcache_str that a function wrote.
def text(place)
  data, length = place[0, 16].unpack("JJ")
  data.zero? ? nil : Fiddle::Pointer.new(data)[0, length]
end

RESULT_NAME = function("ffi_result_name", [NUMBER], POINTER)
place = Fiddle::Pointer.malloc(16, Fiddle::RUBY_FREE)
ok(function("new", [POINTER] * 3), nil, place)
cache = place.ptr
value = function("value_new", [], POINTER).call

ok(function("ffi_get_field", [POINTER] * 7), cache, "ffi/db", nil, "password", value, place)
puts text(place)
ok(function("ffi_get_string", [POINTER] * 6), cache, "ffi/db", nil, value, place)
puts text(place)
ok(function("ffi_value_name", [POINTER] * 3), value, place)
puts text(place)

result, failure = call(function("ffi_get", [POINTER] * 5), cache, "ffi/none", nil, value)
raise result.to_s unless result == 106

puts function("ffi_error_service_code", [POINTER], POINTER).call(failure).to_s
function("error_free", [POINTER], Fiddle::TYPE_VOID).call(failure)

FIELD = function("ffi_credential_field", [POINTER, POINTER], POINTER)
log_in = Fiddle::Closure::BlockCaller.new(NUMBER, [POINTER, POINTER]) do |_user_data, credential|
  puts "#{FIELD.call(credential, 'username')}\t#{FIELD.call(credential, 'password')}"
  0
end
connect = function("ffi_connect", [POINTER, POINTER, -Fiddle::TYPE_LONG_LONG, POINTER, POINTER, POINTER])
ok(connect, cache, "ffi/db", 0, log_in, nil)
function("value_free", [POINTER], Fiddle::TYPE_VOID).call(value)
function("free", [POINTER], Fiddle::TYPE_VOID).call(cache)
