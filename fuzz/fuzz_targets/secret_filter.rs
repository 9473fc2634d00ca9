#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sessiontut::untrusted::run("secret_filter", bytes));
