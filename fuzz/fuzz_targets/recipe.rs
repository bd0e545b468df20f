//! libFuzzer's driver of the target `recipe`, which is in `src/`.
//! Takes any bytes; ends only by a panic, a timeout or too much memory.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bundle_fuzz::run("recipe", bytes));
