//! Compiles the body of the fuzz target, which the tests run too.

fn main() {
    let programs = "../tests/programs";
    println!("cargo::rerun-if-changed={programs}");
    let objects = cc::Build::new()
        .files([format!("{programs}/fuzz.c"), format!("{programs}/store.c")])
        .include("../include")
        .define("LIBFUZZER", None)
        .define("_GNU_SOURCE", None)
        .compile_intermediates();
    // As objects, so that they come before the library that they call.
    for object in objects {
        println!("cargo::rustc-link-arg-bins={}", object.display());
    }
}
