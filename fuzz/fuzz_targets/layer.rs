//! libFuzzer's driver of the target `layer`, which is in `src/`.
//! Takes any bytes; ends only by a panic, a timeout or too much memory.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bundle_fuzz::run("layer", bytes));
