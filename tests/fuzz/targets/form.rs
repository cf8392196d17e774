#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (minirunc_tests::fuzz::target("form").body)(data));
