#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sessiontut::untrusted::run("aws_documents", bytes));
